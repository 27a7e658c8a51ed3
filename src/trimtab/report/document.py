"""What a report consists of, before it is a page or a Markdown file: sections of a few kinds of blocks.

Text is plain and is escaped by whoever renders it; only ``Figure`` and ``Cell.picture`` hold markup, and that is drawn
by :mod:`trimtab.report.charts`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A name as it is written in a file."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """Words that matter most."""

    text: str


@dataclass(frozen=True, slots=True)
class Highlight:
    """The words or the number in a source that a reader should look at."""

    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """A way to a file in the run folder; ``target`` is relative to the report."""

    text: str
    target: str


Inline = str | Code | Strong | Highlight | Link


@dataclass(frozen=True, slots=True)
class ReportCell:
    """One cell of a table: lines of text, a kind for the style sheet, a small picture, a tooltip."""

    lines: tuple[tuple[Inline, ...], ...]
    kind: str = ""
    picture: str = ""
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    parts: tuple[Inline, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of short texts."""

    items: tuple[tuple[Inline, ...], ...]
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """A table; ``folded`` is the summary under which it is folded away, on a page that can fold.

    Of the kind "filtered", a page offers to show only rows whose first cell begins with one text.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[ReportCell, ...], ...]
    caption: str = ""
    kind: str = ""
    folded: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartMark:
    """The numbers behind one mark of a drawing.

    Attributes:
        names: What it is, one name a naming column.
        points: Its points, one value a column of numbers; None where there is none.
        links: Where a point leads, each a label and an address: one list for all points, or one a point.
    """

    names: tuple[str, ...]
    points: tuple[tuple[str | float | None, ...], ...]
    links: tuple[tuple[Link, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartData:
    """The numbers of a drawing; mark ``i`` is the element of it whose attribute ``data-mark`` is ``i``.

    ``columns`` are the heads of the table that a reader may download: those of names, then those of points.
    """

    columns: tuple[str, ...]
    marks: tuple[ChartMark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawing and its numbers; ``name`` is its file's name in the Markdown report and of the download."""

    name: str
    svg: str
    caption: str
    data: ChartData | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A file shown as it is."""

    summary: str
    text: str


Block = Paragraph | Bullets | ReportTable | Figure | Listing


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled part."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDocument:
    """A whole report; ``chips`` are the few facts needed before the first number, ``brand`` what it is about."""

    title: str
    subtitle: str
    chips: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    brand: str = "trimtab study"


def cell(*parts: Inline, kind: str = "", picture: str = "", tip: str = "") -> ReportCell:
    """Return a table cell with one line."""
    return ReportCell((parts,), kind=kind, picture=picture, tip=tip)
