"""The one way over HTTP for the whole package: who is asked again, after which pause, how much is read, what is sent.

Decisions: one policy says which refusals are worth another try and how long to wait, by the server's own
``Retry-After`` where it gives one, in seconds or as a date; a server that asks for more patience than we have is an
error that says so, because asking before its time is refused again. Every body has a largest size, so that a stream
without end is no danger. Keys are read from the environment when a request goes out, and struck from what a server
says. httpx is an extra and is loaded by the first request.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import functools
import itertools
import json
import os
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar

from trimtab.errors import HttpError, MissingExtraError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from email.message import Message

    import httpx

TRY_AGAIN: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_OK: Final = 200
_SHOWN: Final = 200  # characters of what a server says
_Result = TypeVar("_Result")


class Clock(Protocol):
    """Seconds that only go forward, and a way to let them pass; a test drives its own and never waits."""

    def now(self) -> float:
        """Return seconds since some moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Return seconds of a clock that is never set back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class TryAgain(Exception):  # noqa: N818 - what one attempt says to the policy, never an error of the user's
    """An attempt that came to nothing and is worth another.

    Args:
        problem: What happened.
        after_s: The pause the server asks for; None where it asks for none.
    """

    def __init__(self, problem: str, after_s: float | None = None) -> None:
        super().__init__(problem)
        self.problem, self.after_s = problem, after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a request is sent, and what passes between two attempts.

    Attributes:
        attempts: At most; None is as many as ``deadline_s`` allows.
        deadline_s: Of all attempts together; None is no limit.
        pause_s: Before the second attempt where the server names none; doubled after each.
        longest_pause_s: Of those pauses.
        patience_s: The longest pause that a server may ask for; one that asks for more is given up at once.
        jitter: Share by which a pause of our own is drawn longer or shorter, so that many clients do not come at once.
    """

    attempts: int | None = 5
    deadline_s: float | None = None
    pause_s: float = 1.0
    longest_pause_s: float = 60.0
    patience_s: float = 300.0
    jitter: float = 0.5

    def persist(
        self,
        send: Callable[[], _Result],
        *,
        clock: Clock | None = None,
        pause: Callable[[float], None] | None = None,
    ) -> _Result:
        """Return what ``send`` returns, calling it again for as long as it raises :class:`TryAgain`.

        Args:
            send: One attempt.
            clock: What the deadline is measured by.
            pause: Lets seconds pass before the next attempt; by default the clock's own.

        Raises:
            HttpError: The attempts or the deadline are used up, or the server asks for a longer pause than we wait.
        """
        clock = clock or SystemClock()
        until = clock.now() + self.deadline_s if self.deadline_s is not None else float("inf")
        own = self.pause_s
        for attempt in itertools.count(1):
            try:
                return send()
            except TryAgain as refusal:
                problem, asked_s = refusal.problem, refusal.after_s
            if asked_s is not None and asked_s > self.patience_s:
                raise HttpError(f"asks for a pause of {asked_s:.0f} seconds: {problem}")
            if attempt == self.attempts:
                raise HttpError(f"gave no usable answer, tried {attempt} times: {problem}")
            wait = random.uniform(1 - self.jitter, 1 + self.jitter) * own if asked_s is None else asked_s
            own = min(2 * own, self.longest_pause_s)
            if clock.now() + wait >= until:
                raise HttpError(f"gave no answer within {self.deadline_s:g} s: {problem}")
            (pause or clock.sleep)(wait)
        raise AssertionError("the loop above ends by itself")  # pragma: no cover


def asked_pause_s(headers: Mapping[str, str] | Message, today: dt.datetime | None = None) -> float | None:
    """Return the seconds of a ``Retry-After`` header, which may be a number or a date (RFC 9110); None without one.

    >>> asked_pause_s({"retry-after": "7"}), asked_pause_s({"retry-after": "tomorrow"}), asked_pause_s({})
    (7.0, None, None)
    """
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=dt.UTC)
    return max(0.0, (until - (today or dt.datetime.now(dt.UTC))).total_seconds())


def connect(*, extra: str, connections: int | None = None, **options: Any) -> httpx.Client:  # noqa: ANN401 - httpx' own
    """Return a client that follows no redirect.

    Args:
        extra: The extra of this package that brings httpx, for the error where it is missing.
        connections: Open at once, and kept; None is httpx' own number.
        options: As ``httpx.Client`` takes them.

    Raises:
        MissingExtraError: httpx is not installed.
    """
    try:
        import httpx  # noqa: PLC0415 - an extra, and slow to load
    except ImportError as error:
        raise MissingExtraError("httpx", extra=extra) from error
    if connections is not None:
        options["limits"] = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx.Client(follow_redirects=False, verify=_trusted(), **options)


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Return whom to trust; reading the list takes longer than a question to a server on this machine."""
    import httpx  # noqa: PLC0415

    return httpx.create_ssl_context()


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What a server answered, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def shown(self) -> str:
        """The beginning of the body, for messages."""
        return self.body[:_SHOWN].decode("utf-8", "replace")

    @property
    def redirect(self) -> str | None:
        """Where it says to ask instead."""
        return self.headers.get("location") if self.status in REDIRECTS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one exchange may take.

    Attributes:
        body_bytes: Of a body at most, compression undone.
        deadline_s: For the whole of a body; None is no limit.
        when_unreachable: Whether a connection that fails is worth another try.
    """

    body_bytes: int = 32 << 20
    deadline_s: float | None = None
    when_unreachable: bool = True


def exchange(
    client: httpx.Client,
    method: str,
    url: str,
    *,
    bounds: Bounds,
    clock: Clock | None = None,
    heard: Callable[[Mapping[str, str]], None] | None = None,
    **sent: Any,  # noqa: ANN401 - httpx' own
) -> Response:
    """Send one request and read its answer, within bounds.

    Args:
        client: From :func:`connect`.
        method: "GET" or "POST".
        url: Where to.
        bounds: What it may take.
        clock: What the deadline is measured by.
        heard: Told the headers as soon as they are there.
        sent: Headers and body, as ``httpx.Client.stream`` takes them.

    Raises:
        TryAgain: The server could not be reached or broke off.
        HttpError: The same where it is not to be asked again; or it sends too much or for too long.
    """
    import httpx  # noqa: PLC0415

    clock = clock or SystemClock()
    started, parts, size = clock.now(), [], 0
    try:
        with client.stream(method, url, **sent) as response:
            if heard is not None:
                heard(response.headers)
            for part in response.iter_bytes():
                size += len(part)
                if size > bounds.body_bytes:
                    raise HttpError(f"sends more than {bounds.body_bytes:,} bytes")
                if bounds.deadline_s is not None and clock.now() - started > bounds.deadline_s:
                    raise HttpError(f"did not end its reply in {bounds.deadline_s:g} seconds")
                parts.append(part)
            return Response(status=response.status_code, headers=response.headers, body=b"".join(parts))
    except httpx.HTTPError as error:
        problem = f"{type(error).__name__} {error}".strip()
        if isinstance(error, httpx.TimeoutException) and client.timeout.read is not None:
            problem = f"did not answer in {client.timeout.read:g} seconds ({type(error).__name__})"
        if bounds.when_unreachable:
            raise TryAgain(problem) from error
        raise HttpError(problem) from error


def refuse_or_return(response: Response) -> Response:
    """Return an answer of status 200.

    Raises:
        TryAgain: It is a refusal for now.
        HttpError: It is a refusal for good; ``status`` says which.
    """
    if response.status == _OK:
        return response
    problem = f"status {response.status}: {response.shown}"
    if response.status in TRY_AGAIN:
        raise TryAgain(problem, asked_pause_s(response.headers))
    raise HttpError(f"refuses, {problem}", status=response.status)


@dataclass(slots=True, kw_only=True)
class OpenAIServer:
    """An OpenAI-compatible server: vLLM, llama.cpp, Ollama, or a vendor's; a context manager.

    Args:
        url: Up to and with the version, such as ``http://localhost:8000/v1``.
        extra: The extra of this package that brings httpx.
        key_variable: Environment variable of the key, if it wants one; it is sent and kept nowhere.
        policy: Who is asked again.
        bounds: What one answer may take.
        timeout_s: Without any byte.
        connections: Open at once; None is httpx' own number.
        clock: For pauses and deadlines.
    """

    url: str
    extra: str
    key_variable: str = "OPENAI_API_KEY"
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    bounds: Bounds = field(default_factory=Bounds)
    timeout_s: float = 300.0
    connections: int | None = None
    clock: Clock = field(default_factory=SystemClock)
    _client: httpx.Client = field(init=False, repr=False, compare=False)

    def __enter__(self) -> Self:
        self._client = connect(extra=self.extra, connections=self.connections, timeout=self.timeout_s)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the server answers to ``body``, trying again while it is busy; thread-safe.

        Args:
            path: "chat/completions" or "completions".
            body: JSON.

        Raises:
            HttpError: There is no answer; ``status`` of a refusal says which it was. The message does not name the
                server, and holds no key.
        """
        key = os.environ.get(self.key_variable)
        headers = {"Authorization": f"Bearer {key}"} if key else {}

        def struck(text: str) -> str:
            return text.replace(key, "[private]") if key else text

        def send() -> dict[str, Any]:
            response = exchange(
                self._client, "POST", f"{self.url.rstrip('/')}/{path}", bounds=self.bounds, clock=self.clock,
                json=dict(body), headers=headers,
            )  # fmt: skip
            refuse_or_return(response)
            try:
                answer = json.loads(response.body)
            except ValueError as error:
                raise TryAgain(f"what it answers is no completion: {response.shown}") from error
            if not isinstance(answer, dict):
                raise HttpError(f"what it answers is no completion: {response.shown}")
            return answer

        try:
            return self.policy.persist(send, clock=self.clock)
        except HttpError as error:
            raise HttpError(struck(error.message), status=error.status) from error

    def hint(self, status: int) -> str | None:
        """Return the way out of a refusal, where there is one."""
        return f"put the key into {self.key_variable}" if status in {401, 403} else None
