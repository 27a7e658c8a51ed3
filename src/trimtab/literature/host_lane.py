"""One host: its connection, and how fast it may be asked: by its published rule or its headers, whichever is slower.

A redirect is followed on the same host only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from trimtab.errors import SearchError
from trimtab.http_client import exchange

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from trimtab.http_client import Bounds, Clock, Response
    from trimtab.literature.request import Request

_LONGEST_PAUSE_S: Final = 300.0
_REDIRECTS: Final = 3
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_UNITS_S: Final = {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(slots=True, kw_only=True)
class HostLane:
    """The way to one host.

    Args:
        client: Its connection.
        clock: What pauses are measured by.
        interval_s: Least time from one request to the next.
        requests: How many were sent.
    """

    client: httpx.Client
    clock: Clock
    interval_s: float
    requests: int = 0
    _least_s: float = 0.0
    _next: float = float("-inf")

    def send(self, request: Request, bounds: Bounds) -> Response:
        """Send a request when the host may be asked again.

        Raises:
            TryAgain: The server could not be reached or broke off.
            HttpError: It sends too much.
            SearchError: It redirects to another place, or too often.
        """
        address, secrets = request.sent, dict(request.headers)
        for _ in range(_REDIRECTS + 1):
            self._wait()
            self.requests += 1
            response = exchange(self.client, "GET", address, bounds=bounds, heard=self._learn, headers=secrets)
            if response.redirect is None:
                return response
            target = urljoin(address, response.redirect)
            parts = urlsplit(target)
            if parts.netloc.lower() != request.host or parts.scheme != urlsplit(address).scheme:
                raise SearchError(
                    f"{request.shown} redirects to {parts.scheme}://{parts.netloc}, another place, and is not followed"
                )
            address = target
        raise SearchError(f"{request.shown} redirects more than {_REDIRECTS} times")

    def hold(self, seconds: float) -> None:
        """Send nothing for ``seconds``."""
        self._next = max(self._next, self.clock.now() + seconds)

    def _wait(self) -> None:
        """Let pass what is left until the next request may go out, and count it as going out now."""
        left = self._next - self.clock.now()
        if left > 0:
            self.clock.sleep(left)
        self._next = self.clock.now() + max(self.interval_s, self._least_s)

    def _learn(self, headers: Mapping[str, str]) -> None:
        """Take on what an answer says about its limits; a header can only slow this down.

        Crossref says ``x-rate-limit-limit`` requests in ``x-rate-limit-interval``; OpenAlex and others say what remains
        and when it is renewed.
        """
        limit, span = headers.get("x-rate-limit-limit", ""), _seconds(headers.get("x-rate-limit-interval", ""))
        if limit.isdigit() and int(limit) > 0 and span is not None:
            self._least_s = span / int(limit)
        for prefix in ("ratelimit-", "x-ratelimit-"):
            renewed = _seconds(headers.get(f"{prefix}reset", ""))
            if headers.get(f"{prefix}remaining", "") == "0" and renewed is not None:
                self.hold(min(renewed, _LONGEST_PAUSE_S))


def _seconds(text: str) -> float | None:
    match = _SPAN.fullmatch(text.strip())
    return float(match[1]) * _UNITS_S[match[2] or ""] if match else None
