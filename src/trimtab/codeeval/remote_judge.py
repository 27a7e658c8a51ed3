"""A reward's judging by a server: the client of ``trimtab serve``.

Decisions: a full server is asked again when it says so, until a deadline; what it never answers is a ruling with a
reason, as when a sandbox of one's own fails. What it refuses as malformed is an error here too. One connection a
request that is under way, kept open; in a forked process a client starts anew.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from trimtab.codeeval import request_json, ruling
from trimtab.errors import BenchmarkError, HttpError, SandboxError
from trimtab.http_client import TRY_AGAIN, Bounds, RetryPolicy, TryAgain, asked_pause_s, connect, exchange

if TYPE_CHECKING:
    from trimtab.codeeval.ruling import Ruling, RulingRequest
    from trimtab.http_client import Response

TOKEN: Final = "TRIMTAB_SERVE_TOKEN"  # noqa: S105 - the name of a variable
_CONNECT_S: Final = 10.0
_BUSY: Final = TRY_AGAIN - {500}  # a fault of our own server, which the same request meets again


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
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        self._client = connect(
            extra="endpoint",
            connections=self._concurrency,
            headers=headers,
            timeout=(_CONNECT_S, self._deadline_s, self._deadline_s, self._deadline_s),
            trust_env=False,
        )
        self._process = os.getpid()
        self._threads = concurrent.futures.ThreadPoolExecutor(self._concurrency, "trimtab-remote")

    def submit(self, request: RulingRequest) -> concurrent.futures.Future[Ruling]:
        """Judge a request; the future raises BenchmarkError where the server refuses it as malformed."""
        if os.getpid() != self._process:
            self._connect()
        return self._threads.submit(self._ask, request_json.to_json(request))

    def _ask(self, message: dict[str, Any]) -> Ruling:
        def send() -> Response:
            response = exchange(self._client, "POST", f"{self._url}/v1/judge", bounds=Bounds(), json=message)
            if response.status in _BUSY:
                raise TryAgain(f"answers {response.status}: {response.shown}", asked_pause_s(response.headers))
            return response

        policy = RetryPolicy(
            attempts=None, deadline_s=self._deadline_s, pause_s=0.2, longest_pause_s=5.0, patience_s=self._deadline_s
        )
        try:
            return self._read(policy.persist(send))
        except HttpError as error:
            return ruling.failed(f"{self._url} {error.message}")

    def _read(self, response: Response) -> Ruling:
        if response.status == 200:
            try:
                return request_json.read_ruling(json.loads(response.body))
            except (ValueError, KeyError, TypeError) as error:
                return ruling.failed(f"{self._url} answers what is no ruling: {error}")
        try:
            refusal = json.loads(response.body)["error"]
        except (ValueError, KeyError, TypeError):
            refusal = response.shown
        if response.status in (400, 413, 415, 422):
            raise BenchmarkError(f"{self._url} refuses a request: {refusal}")
        if response.status in (401, 403):
            raise SandboxError(f"{self._url} refuses this client: {refusal}", hint=f"set {TOKEN}")
        return ruling.failed(f"{self._url} answers {response.status}: {refusal}")

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("_url", "_token", "_concurrency", "_deadline_s")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._connect()
