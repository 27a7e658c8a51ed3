"""How numbers are written: signs where the sign is the message, decimals enough for the margin, points for pass@1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimtab.stats import Interval
    from trimtab.study.endpoints import Endpoint

_POINTS = ("pass@1", "share")


def unit(endpoint: Endpoint) -> str:
    """Return the unit a difference is written in."""
    return "points" if endpoint.unit in _POINTS else endpoint.unit


def level_unit(endpoint: Endpoint) -> str:
    """Return the unit a metric's value is written in."""
    return "%" if endpoint.unit in _POINTS else endpoint.unit


def scaled(endpoint: Endpoint, value: float) -> float:
    """Return a value in the unit it is written in."""
    return value * 100 if endpoint.unit in _POINTS else value


def level(endpoint: Endpoint, value: float) -> str:
    """Return a metric's value."""
    return f"{scaled(endpoint, value):.1f}" if endpoint.unit in _POINTS else f"{value:.3f}"


def signed(endpoint: Endpoint, value: float, margin: float | None = None) -> str:
    """Return a difference."""
    places = 1 if endpoint.unit in _POINTS else 3
    if margin:
        places = max(places, 1 - math.floor(math.log10(scaled(endpoint, margin))))
    text = f"{scaled(endpoint, value):+.{places}f}"
    # "-0.000" claims a sign that rounding has taken away.
    return text.replace("-", "\u2212") if float(text) else text.lstrip("+-")


def span(endpoint: Endpoint, interval: Interval | None, margin: float | None = None) -> str:
    """Return an interval in brackets."""
    if interval is None:
        return "no interval"
    return f"[{signed(endpoint, interval.low, margin)}, {signed(endpoint, interval.high, margin)}]"


def percent(share: float) -> str:
    """Return a share as per cent: 95 %, 97.5 %."""
    return f"{share * 100:.4g}\u202f%"


def p_value(p: float | None) -> str:
    """Return a p-value to two digits."""
    if p is None:
        return "\u2013"
    return "<\u202f0.001" if p < 0.001 else f"{p:.2g}"
