"""The three drawings of a report: intervals beside each other, lines in a grid of panels, and one small interval.

A series has a number, which the style sheet gives a color; what a mark stands for is in its tooltip. Forests and grids
come with their numbers, so that a page can name the point under a pointer, lead to its cells and hand out a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.report import svg
from trimtab.report.document import ChartData, ChartMark
from trimtab.report.svg import Scale

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.report.document import Link

WIDTH: Final = 1040.0
_LEFT: Final = 58.0
_GAP: Final = 20.0
_LEGEND: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A value with its interval and the single values (seeds) behind it; None where there is no interval.

    ``links`` are where the value leads, then where each dot does.
    """

    series: int
    value: float
    low: float | None
    high: float | None
    dots: tuple[float, ...]
    seeds: tuple[int, ...]
    links: tuple[tuple[Link, ...], ...]
    tip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRow:
    """The marks of one label."""

    label: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """Rows of marks over one axis, on which right is worse."""

    title: str
    unit: str
    rows: tuple[ChartRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points (x, y, low, high) of one series, and a tooltip; the band from low to high is what seeds span."""

    series: int
    points: tuple[tuple[float, float, float, float], ...]
    tip: str
    links: tuple[Link, ...] = ()
    dots: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartPanel:
    """Lines over one pair of axes; ``floor`` is what sampling alone would show."""

    title: str
    lines: tuple[Line, ...]
    floor: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """What the panels of a grid share: labels, kind of scale, and names for the positions on x."""

    x: str
    y: str
    log: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing and the numbers in it."""

    svg: str
    data: ChartData


def small_interval(value: float, outer: tuple[float, float], inner: tuple[float, float], *, margin: float | None,
                   reach: float) -> str:  # fmt: skip
    """Return one interval around zero: thin and thick line, point, and the band of the margin.

    Args:
        value: The estimate.
        outer: The printed interval (thin).
        inner: The equivalence interval (thick).
        margin: Half the width of the band; None draws none.
        reach: Largest absolute value on the axis.
    """
    width, height = 150.0, 24.0
    x, y = Scale(low=-reach, high=reach, start=4, end=width - 4), height / 2
    parts = []
    if margin is not None:
        parts.append(
            svg.tag("rect", class_="margin", x=x(-margin), y=2, width=x(margin) - x(-margin), height=height - 4)
        )
    parts += [
        svg.tag("line", class_="zero", x1=x(0), x2=x(0), y1=0, y2=height),
        svg.tag("line", class_="outer", x1=x(outer[0]), x2=x(outer[1]), y1=y, y2=y),
        svg.tag("line", class_="inner", x1=x(inner[0]), x2=x(inner[1]), y1=y, y2=y),
        svg.tag("circle", class_="point", cx=x(value), cy=y, r=3.5),
    ]
    return svg.drawing(width, height, "interval", parts)


def forest(panels: Sequence[Forest], names: Sequence[str], label: str) -> Drawing:
    """Return panels side by side that share their rows; ``names`` are the series."""
    marks: list[ChartMark] = []
    margin = 18 + 7.4 * max(len(row.label) for panel in panels for row in panel.rows)
    width = (WIDTH - margin) / len(panels) - _GAP
    heights = [12.0 + 15 * max(len(panel.rows[i].marks) for panel in panels) for i in range(len(panels[0].rows))]
    top = _LEGEND + 26
    parts = list(_legend(names))
    for index, row in enumerate(panels[0].rows):
        middle = top + sum(heights[:index]) + heights[index] / 2
        parts.append(svg.text(row.label, class_="row", x=margin - 10, y=middle + 4, text_anchor="end"))
    for index, panel in enumerate(panels):
        parts.extend(_forest_panel(panel, margin + index * (width + _GAP), width, (top, heights), len(marks)))
        for row in panel.rows:
            for mark in row.marks:
                single = [(f"seed {seed}", dot, None, None) for seed, dot in zip(mark.seeds, mark.dots, strict=True)]
                points = (("mean", mark.value, mark.low, mark.high), *single)
                named = (panel.title, panel.unit, row.label, names[mark.series])
                marks.append(ChartMark(names=named, points=tuple(map(_rounded, points)), links=mark.links))
    columns = ("endpoint", "unit", "stress", "method", "over", "degradation", "interval from", "interval to")
    drawing = svg.drawing(WIDTH, top + sum(heights) + 40, label, parts)
    return Drawing(drawing, ChartData(columns=columns, marks=tuple(marks)))


def _rounded(point: tuple[str | float | None, ...]) -> tuple[str | float | None, ...]:
    """Return a point as a reader downloads it: six digits, more than any drawing shows."""
    return tuple(float(f"{value:.6g}") if isinstance(value, float) else value for value in point)


def _forest_panel(
    panel: Forest, left: float, width: float, rows: tuple[float, Sequence[float]], first: int
) -> Iterator[str]:
    """Yield a panel; ``rows`` are their top and heights, ``first`` is the number of its first mark."""
    top, heights = rows
    marks = [mark for row in panel.rows for mark in row.marks]
    ends = [end for mark in marks for end in (mark.low, mark.high) if end is not None]
    low, high = svg.extent([0.0, *ends, *(dot for mark in marks for dot in mark.dots)])
    x, bottom = Scale(low=low, high=high, start=left, end=left + width), top + sum(heights)
    yield svg.text(panel.title, class_="title", x=left, y=top - 10)
    for tick in x.ticks(4):
        yield svg.tag("line", class_="zero" if tick == 0 else "grid", x1=x(tick), x2=x(tick), y1=top, y2=bottom)
        yield svg.text(svg.short(tick), class_="tick", x=x(tick), y=bottom + 14, text_anchor="middle")
    yield svg.text(
        f"{panel.unit}, worse \u2192", class_="axis", x=left + width / 2, y=bottom + 31, text_anchor="middle"
    )
    for index, row in enumerate(panel.rows):
        start = top + sum(heights[:index])
        if index:
            yield svg.tag("line", class_="rule", x1=left, x2=left + width, y1=start, y2=start)
        for place, mark in enumerate(row.marks):
            yield _mark(mark, x, start + heights[index] / 2 + 15 * (place - (len(row.marks) - 1) / 2), first)
            first += 1


def _mark(mark: Mark, x: Scale, y: float, number: int) -> str:
    parts = [svg.title(mark.tip)]
    parts += [svg.tag("circle", class_="seed", cx=x(dot), cy=y, r=2) for dot in mark.dots]
    if mark.low is not None and mark.high is not None:
        parts.append(svg.tag("line", class_="whisker", x1=x(mark.low), x2=x(mark.high), y1=y, y2=y))
    parts.append(svg.tag("circle", class_="point", cx=x(mark.value), cy=y, r=4.2))
    parts.append(svg.tag("rect", class_="touch", x=x.start, y=y - 7, width=x.end - x.start, height=14))
    return svg.tag("g", *parts, class_=f"mark s{mark.series}", data_mark=number)


def grid(rows: Sequence[Sequence[ChartPanel]], axes: Sequence[Axes], names: Sequence[str], label: str) -> Drawing:
    """Return a grid of panels; each row has its own axes, so its panels can be compared."""
    marks: list[ChartMark] = []
    columns = max(len(row) for row in rows)
    width, height = (WIDTH - _LEFT) / columns - _GAP, 136.0
    step, floors = height + 58, any(panel.floor is not None for row in rows for panel in row)
    parts = list(_legend(names, floor=floors))
    for index, (row, shared) in enumerate(zip(rows, axes, strict=True)):
        top = _LEGEND + 22 + index * step
        values = [value for panel in row for line in panel.lines for point in line.points for value in point[1:]]
        values += [panel.floor for panel in row if panel.floor is not None]
        low, high = svg.extent(values, log=shared.log)
        y = Scale(low=low, high=high, start=top + height, end=top, log=shared.log)
        middle = top + height / 2
        parts.append(
            svg.text(shared.y, class_="axis", text_anchor="middle", transform=f"translate(13 {middle:.1f}) rotate(-90)")
        )
        for place, panel in enumerate(row):
            sides = (_LEFT + place * (width + _GAP), width)
            parts.extend(_panel(panel, shared, y, sides, labels=place == 0, first=len(marks)))
            for line in panel.lines:
                points = tuple(
                    _rounded((shared.names[round(point[0])] if shared.names else point[0], *point[1:]))
                    for point in line.points
                )
                named = (shared.y, panel.title, names[line.series])
                marks.append(ChartMark(names=named, points=points, links=(line.links,) if line.links else ()))
    drawing = svg.drawing(WIDTH, _LEGEND + 10 + len(rows) * step, label, parts)
    heads = ("measure", "panel", "series", axes[0].x, "mean", "lowest", "highest")
    return Drawing(drawing, ChartData(columns=heads, marks=tuple(marks)))


def _panel(
    panel: ChartPanel, shared: Axes, y: Scale, sides: tuple[float, float], *, labels: bool, first: int
) -> Iterator[str]:
    left, width = sides
    low, high = svg.extent([point[0] for line in panel.lines for point in line.points], pad=0.02)
    if shared.names:
        low, high = -0.35, len(shared.names) - 0.65
    x = Scale(low=low, high=high, start=left, end=left + width)
    yield svg.text(panel.title, class_="title", x=left, y=y.end - 8)
    for tick in y.ticks(4):
        yield svg.tag("line", class_="grid", x1=left, x2=left + width, y1=y(tick), y2=y(tick))
        if labels:
            yield svg.text(svg.short(tick), class_="tick", x=left - 6, y=y(tick) + 4, text_anchor="end")
    named = [(float(place), name) for place, name in enumerate(shared.names)]
    for position, name in named or [(tick, svg.short(tick)) for tick in x.ticks(4)]:
        yield svg.text(name, class_="tick", x=x(position), y=y.start + 14, text_anchor="middle")
    yield svg.text(shared.x, class_="axis", x=left + width / 2, y=y.start + 29, text_anchor="middle")
    if panel.floor is not None:
        yield svg.tag(
            "line", svg.title(f"sampling floor {panel.floor:.3g}"), class_="floor", x1=left, x2=left + width,
            y1=y(panel.floor), y2=y(panel.floor),
        )  # fmt: skip
    # The first series, the study's treatment, is drawn last and lies on top.
    for order, line in reversed(list(enumerate(panel.lines))):
        aside = 0.07 * (order - (len(panel.lines) - 1) / 2) if shared.names else 0.0
        yield _line(line, x, y, aside, first + order)


def _line(line: Line, x: Scale, y: Scale, aside: float, number: int) -> str:
    upper = [(x(point[0] + aside), y(point[3])) for point in line.points]
    lower = [(x(point[0] + aside), y(point[2])) for point in line.points]
    middle = [(x(point[0] + aside), y(point[1])) for point in line.points]
    parts = [svg.title(line.tip), svg.band(upper, lower, class_="band"), svg.polyline(middle, class_="line")]
    if line.dots:
        parts += [svg.tag("circle", class_="point", cx=across, cy=down, r=3) for across, down in middle]
    return svg.tag("g", *parts, svg.polyline(middle, class_="touch"), class_=f"mark s{line.series}", data_mark=number)


def _legend(names: Sequence[str], *, floor: bool = False) -> Iterator[str]:
    left = 4.0
    for index, name in enumerate(names):
        yield svg.tag("g", svg.tag("circle", class_="point", cx=left + 5, cy=12, r=5), class_=f"s{index}")
        yield svg.text(name, class_="legend", x=left + 15, y=16)
        left += 34 + 7.2 * len(name)
    if floor:
        yield svg.tag("line", class_="floor", x1=left, x2=left + 22, y1=12, y2=12)
        yield svg.text("sampling floor", class_="legend", x=left + 28, y=16)
