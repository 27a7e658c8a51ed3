"""The one way to a server: paced, patient, bounded, cached, and only to hosts that were named.

Decisions: one connection a host, and one request on it at a time; a redirect is followed on the same host only; what a
busy server refuses is tried again after the pause it asks for, what it refuses for good is an error with its words; an
answer is kept once it could be read, so that a cut or garbled body is asked for again and never replayed.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Self, TypeVar
from urllib.parse import urljoin, urlsplit

from trimtab.errors import HttpError, SearchError
from trimtab.http_client import Bounds, RetryPolicy, SystemClock, TryAgain, connect, exchange, refuse_or_return
from trimtab.literature.pace import Pace
from trimtab.literature.request import ServerAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    import httpx

    from trimtab.http_client import Clock, Response
    from trimtab.literature.bodies import Bodies
    from trimtab.literature.request import Request

Read = TypeVar("Read")
Mode = Literal["live", "offline", "replay"]

ABSENT: Final = frozenset({404, 410})
"""Statuses by which a server says that there is no such thing."""

_REDIRECTS: Final = 3
_FIRST_PAUSE_S: Final = 2.0


class Unreadable(Exception):  # noqa: N818 - what a reader says of a body, not an error of the user's
    """A body that is not what it should be: cut, garbled, or a page that should not be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a transport keeps to.

    Args:
        hosts: Host (with a port where it is not the usual one) → least seconds between two requests. No other is asked.
        agent: The ``User-Agent`` header.
        attempts: How often one request is sent at most.
        body_bytes: A longer body, gzip undone, is refused.
        timeout_s: Without any byte.
    """

    hosts: Mapping[str, float]
    agent: str
    attempts: int = 5
    body_bytes: int = 32 << 20
    timeout_s: float = 30.0


@dataclass(slots=True)
class _HostLane:
    """One host: its pace, its connection, and who may use it now."""

    pace: Pace
    client: httpx.Client
    lock: threading.Lock = field(default_factory=threading.Lock)


class Transport:
    """Fetches; also a context manager.

    Args:
        rules: What it keeps to.
        bodies: Cache; None keeps nothing.
        mode: "live"; "offline" and "replay" answer from the cache alone.
        clock: What pauses are measured by.
    """

    def __init__(
        self, rules: Rules, bodies: Bodies | None = None, mode: Mode = "live", clock: Clock | None = None
    ) -> None:  # fmt: skip
        self.rules, self.mode = rules, mode
        self.requests = 0
        self._bodies, self._clock = bodies, clock or SystemClock()
        self._lanes: dict[str, _HostLane] = {}
        self._guard = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lane in self._lanes.values():
            lane.client.close()

    def fetch(self, request: Request, read: Callable[[ServerAnswer], Read]) -> tuple[ServerAnswer, Read]:
        """Return an answer and what ``read`` makes of it.

        Args:
            request: What to ask for.
            read: Raises ``Unreadable`` for a body that should be asked for again. It sees answers of status 200, and of
                404 and 410 where the request allows them.

        Raises:
            SearchError: The host is not allowed, refuses, cannot be reached, goes on giving unreadable answers, sends
                too much, redirects elsewhere, or the answer is not in the cache and may not be fetched.
            MissingExtraError: The package httpx is not installed.
        """
        stored = self._bodies.get(request) if self._bodies else None
        if stored is not None:
            try:
                return stored, read(stored)
            except Unreadable as error:
                raise SearchError(f"the kept answer of {request.shown} cannot be read: {error}") from error
        if self.mode != "live":
            raise SearchError(
                f"{request.shown} was never answered in this folder, and nobody is asked now ({self.mode})",
                hint="run the search once with a network",
            )
        with self._lane(request).lock:
            answer, found = self._patiently(request, read)
        if self._bodies:
            self._bodies.put(request, answer)
        return answer, found

    def _lane(self, request: Request) -> _HostLane:
        """Return the lane of a host that may be asked."""
        parts, host = urlsplit(request.url), request.host
        if parts.scheme not in ("http", "https") or host not in self.rules.hosts or "@" in host:
            raise SearchError(
                f"{request.shown} is not asked: {host or 'no host'} is none of the hosts named"
                f" ({', '.join(sorted(self.rules.hosts))})",
                hint="allow a host with --allow-host",
            )
        with self._guard:
            if host not in self._lanes:
                client = connect(
                    extra="evidence",
                    connections=1,
                    headers={"User-Agent": self.rules.agent, "Accept-Encoding": "gzip, deflate"},
                    timeout=self.rules.timeout_s,
                )
                self._lanes[host] = _HostLane(Pace(interval_s=self.rules.hosts[host]), client)
            return self._lanes[host]

    def _patiently(self, request: Request, read: Callable[[ServerAnswer], Read]) -> tuple[ServerAnswer, Read]:
        """Ask until there is a readable answer; pauses hold up whoever else asks this host."""
        lane = self._lane(request)
        policy = RetryPolicy(attempts=self.rules.attempts, pause_s=_FIRST_PAUSE_S, jitter=0.0)

        def attempt() -> tuple[ServerAnswer, Read]:
            response = self._once(request, lane)
            if not (request.may_be_absent and response.status in ABSENT):
                refuse_or_return(response)
            answer = _answer(request, response)
            try:
                return answer, read(answer)
            except Unreadable as error:
                raise TryAgain(str(error)) from error

        def pause(seconds: float) -> None:
            lane.pace.hold(self._clock, seconds)

        try:
            return policy.persist(attempt, clock=self._clock, pause=pause)
        except HttpError as error:
            hint: str | None = "the same command goes on from here"
            if error.status:
                hint = "see that the key is right" if error.status in {401, 403} else None
            raise SearchError(
                f"{request.shown} {request.strike(error.message)}", hint=hint, status=error.status
            ) from error

    def _once(self, request: Request, lane: _HostLane) -> Response:
        """Send a request, following redirects on its host."""
        address, first = request.sent, request.host
        for _ in range(_REDIRECTS + 1):
            lane.pace.wait(self._clock)
            self.requests += 1
            response = exchange(
                lane.client, "GET", address, bounds=Bounds(body_bytes=self.rules.body_bytes),
                heard=lambda headers: lane.pace.learn(headers, self._clock), headers=dict(request.headers),
            )  # fmt: skip
            if response.redirect is None:
                return response
            target = urljoin(address, response.redirect)
            parts = urlsplit(target)
            if parts.netloc.lower() != first or parts.scheme != urlsplit(address).scheme:
                raise SearchError(
                    f"{request.shown} redirects to {parts.scheme}://{parts.netloc}, another place, and is not followed"
                )
            address = target
        raise SearchError(f"{request.shown} redirects more than {_REDIRECTS} times")


def _answer(request: Request, response: Response) -> ServerAnswer:
    try:
        date = email.utils.parsedate_to_datetime(response.headers.get("date", ""))
    except ValueError:
        date = dt.datetime.now(dt.UTC)
    return ServerAnswer(
        key=request.key,
        url=request.shown,
        status=response.status,
        body=request.strike_bytes(response.body),
        date=date.astimezone(dt.UTC).isoformat(timespec="seconds"),
        kind=response.headers.get("content-type", ""),
    )
