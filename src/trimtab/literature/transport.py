"""The one way to a server: paced, patient, bounded, cached, and only to hosts that were named.

Decisions: one connection a host, and one request at a time; what a busy server refuses is tried again after the pause
it asks for, what it refuses for good is an error with its words; an answer is kept once it could be read, so that a cut
or garbled body is asked for again and never replayed.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Self, TypeVar
from urllib.parse import urlsplit

from trimtab.errors import HttpError, SearchError
from trimtab.http_client import Bounds, Clock, RetryPolicy, SystemClock, TryAgain, connect, refuse_or_return
from trimtab.literature.host_lane import HostLane
from trimtab.literature.request import ServerAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trimtab.http_client import Response
    from trimtab.literature.request import Bodies, Request

Read = TypeVar("Read")
Mode = Literal["live", "offline", "replay"]

ABSENT: Final = frozenset({404, 410})
"""Statuses by which a server says that there is no such thing."""

_TIMEOUT_S: Final = 30.0  # without any byte
_POLICY: Final = RetryPolicy(pause_s=2.0, jitter=0.0)
_BOUNDS: Final = Bounds()


class Unreadable(Exception):  # noqa: N818 - what a reader says of a body, not an error of the user's
    """A body that is not what it should be: cut, garbled, or a page that should not be empty."""


@dataclass(slots=True, kw_only=True)
class Transport:
    """Fetches; also a context manager.

    Args:
        hosts: Host (with a port where it is not the usual one) → least seconds between two requests. No other is asked.
        agent: The ``User-Agent`` header.
        bodies: Cache; None keeps nothing.
        mode: "live"; "offline" and "replay" answer from the cache alone.
        clock: What pauses are measured by.
        policy: How often one request is sent, and after which pauses.
        bounds: What one answer may take.
    """

    hosts: Mapping[str, float]
    agent: str
    bodies: Bodies | None = None
    mode: Mode = "live"
    clock: Clock = field(default_factory=SystemClock)
    policy: RetryPolicy = _POLICY
    bounds: Bounds = _BOUNDS
    _lanes: dict[str, HostLane] = field(default_factory=dict)
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for lane in self._lanes.values():
            lane.client.close()

    @property
    def requests(self) -> int:
        """How many were sent."""
        return sum(lane.requests for lane in self._lanes.values())

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
        earlier = self.bodies.get(request) if self.bodies else None
        if earlier is not None:
            try:
                return earlier, read(earlier)
            except Unreadable as error:
                raise SearchError(f"the kept answer of {request.shown} cannot be read: {error}") from error
        if self.mode != "live":
            raise SearchError(
                f"{request.shown} was never answered in this folder, and nobody is asked now ({self.mode})",
                hint="run the search once with a network",
            )
        with self._asking:
            answer, content = self._patiently(request, read)
        if self.bodies:
            self.bodies.put(request, answer)
        return answer, content

    def _lane(self, request: Request) -> HostLane:
        """Return the lane of a host that may be asked."""
        host = request.host
        if urlsplit(request.url).scheme not in ("http", "https") or host not in self.hosts or "@" in host:
            raise SearchError(
                f"{request.shown} is not asked: {host or 'no host'} is none of the hosts named"
                f" ({', '.join(sorted(self.hosts))})",
                hint="allow a host with --allow-host",
            )
        if host not in self._lanes:
            headers = {"User-Agent": self.agent, "Accept-Encoding": "gzip, deflate"}
            client = connect(extra="evidence", connections=1, headers=headers, timeout=_TIMEOUT_S)
            self._lanes[host] = HostLane(client=client, clock=self.clock, interval_s=self.hosts[host])
        return self._lanes[host]

    def _patiently(self, request: Request, read: Callable[[ServerAnswer], Read]) -> tuple[ServerAnswer, Read]:
        """Ask until there is a readable answer."""
        lane = self._lane(request)

        def attempt() -> tuple[ServerAnswer, Read]:
            response = lane.send(request, self.bounds)
            if not (request.may_be_absent and response.status in ABSENT):
                refuse_or_return(response)
            answer = _answer(request, response)
            try:
                return answer, read(answer)
            except Unreadable as error:
                raise TryAgain(str(error)) from error

        try:
            return self.policy.persist(attempt, clock=self.clock, pause=lane.hold)
        except HttpError as error:
            hint: str | None = "the same command goes on from here"
            if error.status:
                hint = "see that the key is right" if error.status in {401, 403} else None
            message = request.strike(error.message.encode()).decode()
            raise SearchError(f"{request.shown} {message}", hint=hint, status=error.status) from error


def _answer(request: Request, response: Response) -> ServerAnswer:
    try:
        date = email.utils.parsedate_to_datetime(response.headers.get("date", ""))
    except ValueError:
        date = dt.datetime.now(dt.UTC)
    return ServerAnswer(
        status=response.status,
        body=request.strike(response.body),
        date=date.astimezone(dt.UTC).isoformat(timespec="seconds"),
        kind=response.headers.get("content-type", ""),
    )
