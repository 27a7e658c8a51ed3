"""SVG by hand: escaped elements, scales with round ticks. Colors are the style sheet's, for light and dark."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Value = str | int | float | None


def tag(name: str, *children: str, **attributes: Value) -> str:
    """Return one element; attribute values are escaped, ``children`` are markup already.

    ``class_`` is class, other underscores become hyphens, None leaves an attribute out.
    """
    written = "".join(
        f' {key if key == "viewBox" else key.rstrip("_").replace("_", "-")}="{_text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{''.join(children)}</{name}>"


def text(words: str, **attributes: Value) -> str:
    """Return escaped text."""
    return tag("text", escape(words), **attributes)


def title(words: str) -> str:
    """Return a tooltip for the element around it."""
    return tag("title", escape(words))


def drawing(width: float, height: float, label: str, parts: Iterable[str]) -> str:
    """Return a drawing that scales with its container."""
    return tag(
        "svg",
        *parts,
        class_="chart",
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
    )


def polyline(points: Sequence[tuple[float, float]], **attributes: Value) -> str:
    """Return an open line."""
    return tag("path", d="M" + "L".join(f"{_number(x)},{_number(y)}" for x, y in points), **attributes)


def band(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]], **attributes: Value) -> str:
    """Return the area between two lines."""
    outline = [*upper, *reversed(lower)]
    return tag("path", d="M" + "L".join(f"{_number(x)},{_number(y)}" for x, y in outline) + "Z", **attributes)


def standalone(svg: str, style: str) -> str:
    """Return the same drawing as a file of its own, without the numbers of marks, which only a page looks up."""
    return (
        re.sub(r' data-mark="\d+"', "", svg)
        .replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        .replace(">", f"><style>{style}</style>", 1)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Values from ``low`` to ``high`` onto pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of ``value``, held inside the range."""
        low, high, value = map(self._map, (self.low, self.high, min(max(value, self.low), self.high)))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Return round values inside the range."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            marks = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
            found = [mark for mark in marks if self.low <= mark <= self.high]
            if len(found) > count + 2:
                return [mark for mark in found if f"{mark:e}"[0] == "1"] or found
            if len(found) >= 3:
                return found
        step = _round_step((self.high - self.low) / count)
        first = math.ceil(self.low / step - 1e-9)
        return [round(i * step, 12) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def _map(self, value: float) -> float:
        return math.log(value) if self.log else value


def extent(values: Iterable[float], *, pad: float = 0.06, log: bool = False) -> tuple[float, float]:
    """Return a range that holds all values with room around them."""
    found = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    if not found:
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = min(found), max(found)
    if log:
        return low / 1.15, high * 1.15
    room = (high - low) * pad or abs(high) * pad or 1.0
    return low - room, high + room


def short(value: float) -> str:
    """Return a tick label."""
    return f"{value:.6g}".replace("-", "\u2212")


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _text(value: str | float) -> str:
    return escape(value if isinstance(value, str) else _number(value))
