"""A reward's judging by a server: the client of ``trimtab serve``.

Decisions: a full server is asked again when it says so, until a deadline; what it never answers is a ruling with a
reason, as when a sandbox of one's own fails. What it refuses as malformed is an error here too. One connection a
request that is under way, kept open; in a forked process a client starts anew.
"""

from __future__ import annotations

import concurrent.futures
import os
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from trimtab.codeeval import ruling, transfer
from trimtab.errors import BenchmarkError, MissingExtraError, SandboxError

if TYPE_CHECKING:
    import httpx

    from trimtab.codeeval.ruling import Ruling, RulingRequest

TOKEN: Final = "TRIMTAB_SERVE_TOKEN"  # noqa: S105 - the name of a variable
_BUSY: Final = (429, 502, 503, 504)
_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0


class RemoteJudge:
    """Judges on a server.

    Args:
        url: For example ``http://127.0.0.1:8642``.
        token: What the server asks for; None reads ``TRIMTAB_SERVE_TOKEN``.
        concurrency: Requests under way at once.
        deadline_s: Seconds by the clock in which a request must have been answered.

    Raises:
        MissingExtraError: httpx is not installed.
        SandboxError: The address is not one of HTTP.
    """

    def __init__(self, url: str, *, token: str | None = None, concurrency: int = 64, deadline_s: float = 300.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise SandboxError(f"{url!r} is no address of a server", hint="for example http://127.0.0.1:8642")
        self._url = url.rstrip("/")
        self._token = os.environ.get(TOKEN, "") if token is None else token
        self._concurrency, self._deadline_s = concurrency, deadline_s
        self._process = 0
        self._connect()

    def _connect(self) -> None:
        try:
            import httpx  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingExtraError("httpx", extra="endpoint") from error
        self._process = os.getpid()
        self._threads = concurrent.futures.ThreadPoolExecutor(self._concurrency, "trimtab-remote")
        limits = httpx.Limits(max_connections=self._concurrency, max_keepalive_connections=self._concurrency)
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        self._client = httpx.Client(
            headers=headers, limits=limits, timeout=httpx.Timeout(self._deadline_s, connect=10.0), trust_env=False
        )

    def submit(self, request: RulingRequest) -> concurrent.futures.Future[Ruling]:
        """Judge a request; the future raises BenchmarkError where the server refuses it as malformed."""
        if os.getpid() != self._process:
            self._connect()
        return self._threads.submit(self._ask, transfer.to_json(request))

    def _ask(self, message: dict[str, Any]) -> Ruling:
        import httpx  # noqa: PLC0415 - an extra

        until, pause, reason = time.monotonic() + self._deadline_s, _PAUSE_S, ""
        while time.monotonic() < until:
            try:
                answer = self._client.post(f"{self._url}/v1/judge", json=message)
            except httpx.TransportError as error:
                reason = f"{self._url}: {type(error).__name__}: {error}"
            else:
                if answer.status_code not in _BUSY:
                    return self._read(answer)
                reason = f"{self._url} answers {answer.status_code}: {answer.text[:200]}"
                pause = max(pause, _seconds(answer.headers.get("retry-after", "")))
            time.sleep(min(pause, _LONGEST_PAUSE_S, max(0.0, until - time.monotonic())))
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        return ruling.failed(f"no answer within {self._deadline_s:g} s: {reason}")

    def _read(self, answer: httpx.Response) -> Ruling:
        if answer.status_code == 200:
            try:
                return transfer.read_ruling(answer.json())
            except (ValueError, KeyError, TypeError) as error:
                return ruling.failed(f"{self._url} answers what is no ruling: {error}")
        try:
            told = answer.json()["error"]
        except (ValueError, KeyError, TypeError):
            told = answer.text[:200]
        if answer.status_code in (400, 413, 415, 422):
            raise BenchmarkError(f"{self._url} refuses a request: {told}")
        if answer.status_code in (401, 403):
            raise SandboxError(f"{self._url} refuses this client: {told}", hint=f"set {TOKEN}")
        return ruling.failed(f"{self._url} answers {answer.status_code}: {told}")

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("_url", "_token", "_concurrency", "_deadline_s")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._connect()


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() else 0.0
