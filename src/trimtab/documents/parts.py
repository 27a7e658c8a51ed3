"""Document, Span and Cell: what was read, with the exact place of each piece.

Offsets count characters of :attr:`Document.text`, the readable text of the file with hidden text removed, so that
``document.text[span.start:span.end] == span.text`` always holds. A :class:`Position` leads back into the file itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal  # noqa: TC003 - the corpus file is read by these annotations
from typing import Literal

Format = Literal["latex", "html", "jats", "pdf", "markdown", "csv", "text"]
SpanKind = Literal["heading", "sentence", "caption", "reference", "code"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a file: as many coordinates as its format has.

    Args:
        page: Counted from 1 (PDF).
        path: XPath of the element (HTML, JATS).
        line: Counted from 1 (LaTeX, Markdown, CSV, text; HTML and JATS where the parser knows it).
        box: Left, top, right, bottom in PDF points from the page's top left corner.
    """

    page: int | None = None
    path: str = ""
    line: int | None = None
    box: tuple[float, float, float, float] | None = None

    def __str__(self) -> str:
        parts = (f"page {self.page}" if self.page else "", f"line {self.line}" if self.line else "", self.path)
        return ", ".join(part for part in parts if part) or "somewhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A sentence, heading, caption, bibliography entry or block of code.

    Args:
        document: SHA-256 of the file, hexadecimal.
        kind: What it is.
        section: Headings above it, outermost first, joined by " > ".
        start: Offset into :attr:`Document.text`.
        end: Offset behind its last character.
        text: The characters between them.
        position: Where it is in the file.
    """

    document: str
    kind: SpanKind
    section: str = ""
    start: int
    end: int
    text: str
    position: Position = Position()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCell:
    """One body cell of a table with everything its headers say about it.

    Args:
        document: SHA-256 of the file, hexadecimal.
        table: Number of the table in the file, counted from 1.
        label: What the paper calls it (``Table 2``); empty where it does not.
        caption: The caption without its label.
        row: Row of the whole grid, headers included, counted from 0.
        column: Column of the whole grid, counted from 0.
        row_path: Row headers, outermost first: group rows, then row labels from left to right.
        column_path: Column headers, from top to bottom.
        text: The cell as printed.
        numbers: Every number in it, in order, without the spread; their digits are kept (``Decimal("54.90")``).
        spread: The number behind ± or a subscripted deviation, if there is one.
        unit: ``%``, ``s`` …, from the cell, else from its headers, else from the caption; empty where unknown.
        bold: Whether the cell is set in bold, which result tables use for the best.
        position: Where it is in the file.
    """

    document: str
    table: int
    label: str = ""
    caption: str = ""
    row: int
    column: int
    row_path: tuple[str, ...] = ()
    column_path: tuple[str, ...] = ()
    text: str
    numbers: tuple[Decimal, ...] = ()
    spread: Decimal | None = None
    unit: str = ""
    bold: bool = False
    position: Position = Position()

    @property
    def number(self) -> Decimal | None:
        """The first number of the cell, or None."""
        return self.numbers[0] if self.numbers else None

    @property
    def table_name(self) -> str:
        """What the paper calls its table, else its number."""
        return self.label or f"table {self.table}"

    def __str__(self) -> str:
        row, column = " > ".join(self.row_path), " > ".join(self.column_path)
        return f"{self.table_name}, row {row!r}, column {column!r}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLabel:
    """A cell that labels its row and holds no number: a part of the row's path, under the head of its column.

    Args:
        table: Number of the table in the file, counted from 1.
        row: Row of the whole grid, counted from 0.
        column: Column of the whole grid, counted from 0.
        head: The column's headers, joined.
        text: The label; one that is printed once for several rows is each row's.
    """

    table: int
    row: int
    column: int
    head: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenText:
    """Text a reader cannot see, removed from what was read.

    Args:
        reason: ``white``, ``tiny``, ``off-page``, ``invisible`` (PDF render mode 3), ``zero-width``, ``display:none`` …
        text: What it says.
        position: Where it was.
    """

    reason: str
    text: str
    position: Position = Position()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file, read.

    Args:
        sha256: Of the file's bytes, hexadecimal.
        path: The file's name as given.
        format: How it was read.
        work: Id of the :class:`~trimtab.documents.work.Work` it is a text of.
        version: Which version of that work; empty where unknown.
        title: As printed in it.
        text: All its readable text; spans point into it.
        spans: In reading order.
        cells: Body cells of all tables, by table, row, column.
        labels: What stands left of them in words, with the heads of its columns, in the same order.
        hidden: What was removed because a reader cannot see it.
        warnings: What could not be read or was cut by a limit: a document with warnings was read in part.
    """

    sha256: str
    path: str
    format: Format
    work: str = ""
    version: str = ""
    title: str = ""
    text: str = ""
    spans: tuple[Span, ...] = ()
    cells: tuple[TableCell, ...] = ()
    labels: tuple[RowLabel, ...] = ()
    hidden: tuple[HiddenText, ...] = ()
    warnings: tuple[str, ...] = ()
