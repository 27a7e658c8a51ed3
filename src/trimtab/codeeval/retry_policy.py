"""Which refusals of a model's server are worth another try, and after which pause: the same for all who ask one."""

from __future__ import annotations

from typing import Final

TRY_AGAIN: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
LONGEST_PAUSE_S: Final = 60.0


def pause_s(asked: str, otherwise: float) -> float:
    """Return the seconds to wait: what ``Retry-After`` asks for in digits, else another number; at most a minute.

    >>> pause_s("7", 1.0), pause_s("", 1.5), pause_s("3600", 1.0), pause_s("tomorrow", 90.0)
    (7.0, 1.5, 60.0, 60.0)
    """
    return min(float(asked) if asked.isdecimal() else otherwise, LONGEST_PAUSE_S)
