"""The PRISMA 2020 flow diagram: how many records came, went and stayed, drawn from counts that add up."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from trimtab.report import svg
from trimtab.report.charts import Drawing
from trimtab.report.document import ChartData, ChartMark, Link

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.literature.prisma import Flow

    Lines = tuple[tuple[str, int], ...]

_LINE: Final = 17
_PAD: Final = 12
_GAP: Final = 26
_LEFT: Final = (46, 360)
_RIGHT: Final = (456, 360)
_WIDTH: Final = 830
_PART: Final = "\u00b7 "
_LETTERS: Final = 54  # of one line at 12 px in the width of a box


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    """A box with a line a count, of which the first is its title, and the section of the page that lists them."""

    counts: Lines
    section: str = "Log"

    @property
    def height(self) -> int:
        return len(self.counts) * _LINE + 2 * _PAD - 5


def draw(flow: Flow) -> Drawing:
    """Return the diagram and its counts."""
    rows = _rows(flow)
    parts: list[str] = []
    marks: list[ChartMark] = []
    top, tops = 8, []
    for left, right in rows:
        height = max(left.height, right.height if right else 0)
        tops.append((top, height))
        for box, column in ((left, _LEFT), (right, _RIGHT)):
            if box:
                parts.append(svg.tag("g", *_box(box, column, top, height), data_mark=len(marks)))
                lead = (Link(f"section {box.section}", f"#{box.section.lower()}"),)
                counts = tuple((name.removeprefix(_PART), count) for name, count in box.counts)
                marks.append(ChartMark(names=(box.counts[0][0],), points=counts, links=(lead,)))
        if right:
            middle = top + height / 2
            parts += _arrow((_LEFT[0] + _LEFT[1], middle), (_RIGHT[0], middle))
        top += height + _GAP
    centre = _LEFT[0] + _LEFT[1] / 2
    for (start, height), (following, _) in pairwise(tops):
        parts += _arrow((centre, start + height), (centre, following))
    parts += _phases(tops)
    words = (
        f"PRISMA 2020 flow: {flow.identified} records identified, {flow.duplicates} duplicates removed,"
        f" {flow.screened} works screened, {flow.sought} full texts sought, {flow.assessed} assessed,"
        f" {flow.included} included"
    )
    drawing = svg.drawing(_WIDTH, top - _GAP + 8, words, parts)
    return Drawing(drawing, ChartData(columns=("box", "of it", "count"), marks=tuple(marks)))


def _rows(flow: Flow) -> tuple[tuple[_Box, _Box | None], ...]:
    """Return the boxes, the main one of each step and what left there.

    Databases and other methods stand apart, as PRISMA 2020 has them, each with its sum.
    """
    identified: list[tuple[str, int]] = [("Records identified", flow.identified)]
    for name, counts in (("Databases", flow.databases), ("Other methods", flow.others)):
        if counts:
            parts = ((f"{_PART}{place}", count) for place, count in counts.items())
            identified += [(name, sum(counts.values())), *parts]
    removed: Lines = (("duplicates", flow.duplicates),)
    by_others: Lines = ()
    if flow.databases and flow.others:
        removed = (
            ("duplicates among databases", flow.duplicates - flow.repeated_others),
            ("from other methods, found before", flow.repeated_others),
        )
        by_others = (("by other methods alone", flow.included_others),)
    return (
        (
            _Box(counts=tuple(identified)),
            _Box(counts=(("Records removed before screening", flow.duplicates), *removed)),
        ),
        (
            _Box(counts=(("Works screened by title and abstract", flow.screened),)),
            _Box(counts=(("Works excluded", flow.screened - flow.sought), *flow.excluded.items())),
        ),
        (
            _Box(counts=(("Full texts sought", flow.sought),)),
            _Box(counts=(("Full texts not retrieved", flow.sought - flow.assessed), *flow.not_retrieved.items())),
        ),
        (
            _Box(counts=(("Full texts assessed", flow.assessed),)),
            _Box(counts=(("Works excluded", flow.assessed - flow.included), *flow.ineligible.items())),
        ),
        (_Box(counts=(("Works included", flow.included), *by_others), section="References"), None),
    )


def _box(box: _Box, column: tuple[int, int], top: float, height: float) -> Iterator[str]:
    left, width = column
    yield svg.tag("rect", x=left, y=top, width=width, height=height, rx=6, class_="step")
    for at, (name, count) in enumerate(box.counts):
        y = top + _PAD + 9 + at * _LINE
        short = name if len(name) <= _LETTERS - 12 else f"{name[: _LETTERS - 13]}\u2026"
        yield svg.text(f"{short} (n = {count:,})", x=left + _PAD, y=y, class_="title" if at == 0 else None)


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> Iterator[str]:
    """Yield a line with a head, level or upright."""
    right, down = end
    level = start[1] == down
    yield svg.polyline([start, (right - 6, down) if level else (right, down - 6)], class_="way")
    head = ((right - 7, down - 4), (right, down), (right - 7, down + 4))
    if not level:
        head = ((right - 4, down - 7), (right, down), (right + 4, down - 7))
    yield svg.tag("polygon", points=" ".join(f"{a:.1f},{b:.1f}" for a, b in head), class_="head")


def _phases(tops: Sequence[tuple[float, float]]) -> Iterator[str]:
    """Yield the names of the phases at the left edge, upright."""
    ends = [top + height for top, height in tops]
    spans = (
        ("Identification", tops[0][0], ends[0]),
        ("Screening", tops[1][0], ends[3]),
        ("Included", tops[4][0], ends[4]),
    )
    for name, top, bottom in spans:
        yield svg.tag("rect", x=8, y=top, width=26, height=bottom - top, rx=6, class_="phase")
        middle = (top + bottom) / 2
        short = name if bottom - top > 80 else f"{name[:4]}."
        yield svg.text(
            short,
            x=21,
            y=middle,
            text_anchor="middle",
            dominant_baseline="central",
            transform=f"rotate(-90 21 {middle:.1f})",
        )
