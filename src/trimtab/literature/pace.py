"""How fast a server may be asked: by its published rule and by what its headers say, whichever is slower."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trimtab.http_client import Clock

LONGEST_PAUSE_S: Final = 300.0
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_UNITS: Final = {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(slots=True, kw_only=True)
class Pace:
    """Of one host.

    Args:
        interval_s: Least time from one request to the next, by the host's published rule.
    """

    interval_s: float
    _least: float = 0.0
    _next: float = float("-inf")

    def wait(self, clock: Clock) -> None:
        """Let pass what is left until the next request may go out, and count it as going out now."""
        left = self._next - clock.now()
        if left > 0:
            clock.sleep(left)
        self._next = clock.now() + max(self.interval_s, self._least)

    def hold(self, clock: Clock, seconds: float) -> None:
        """Send nothing for ``seconds``."""
        self._next = max(self._next, clock.now() + seconds)

    def learn(self, headers: Mapping[str, str], clock: Clock) -> None:
        """Take on what an answer says about its limits; a header can only slow this down.

        Crossref says ``x-rate-limit-limit`` requests in ``x-rate-limit-interval``; OpenAlex and others say what remains
        and when it is renewed.
        """
        limit, span = headers.get("x-rate-limit-limit", ""), _seconds(headers.get("x-rate-limit-interval", ""))
        if limit.isdigit() and int(limit) > 0 and span is not None:
            self._least = span / int(limit)
        for prefix in ("ratelimit-", "x-ratelimit-"):
            renewed = _seconds(headers.get(f"{prefix}reset", ""))
            if headers.get(f"{prefix}remaining", "") == "0" and renewed is not None:
                self.hold(clock, min(renewed, LONGEST_PAUSE_S))


def _seconds(text: str) -> float | None:
    match = _SPAN.fullmatch(text.strip())
    return float(match[1]) * _UNITS[match[2] or ""] if match else None
