"""From the cells a format gives to cells that know their headers: merged cells laid out, heads and labels found.

One reading for all formats, so that the same table gives the same cells wherever it comes from. A format says what it
knows (a rule below the head, ``<th>``); the rest is seen as a person sees it: heads hold no numbers, labels stand left.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from trimtab.documents.formats.cell_text import EMPTY, counted, mostly_numeric, names_a_column, numeric, unit, values
from trimtab.documents.parts import Position, RowLabel, TableCell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

NOWHERE = Position()
MAX_SPAN = 1_000  # as in the HTML standard's limit on colspan
SIZE = re.compile(r"[~\u2248]?\d+(?:[.x\u00d7]\d+)*\s?[BMK]?(?:-A\d+(?:\.\d+)?B)?", re.IGNORECASE)
SIZE_HEAD = re.compile(r"\bsizes?\b|param|^#\s?p\b", re.IGNORECASE)
# A column beside the names that points somewhere: no part of a row's name.
POINTS = re.compile(
    r"\W*(?:checkpoints?|papers?|licen[sc]es?|links?|urls?|demos?|online demo|downloads?|repo(?:sitory|s)?"
    r"|hugging\s?face(?: link)?|hf(?: link)?|(?:model )?weights|venue|publication|ref(?:erence)?s?|organi[sz]ation"
    r"|org|developer|creator|vendor)\W*",
    re.IGNORECASE,
)
ADDED = re.compile(r"(?:[\u2514\u21b3\u2570]\s*)?(?:\+|w/o?\b\.?)\s*(?=[A-Za-z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCell:
    """A cell as a format gives it."""

    text: str = ""
    rowspan: int = 1
    colspan: int = 1
    header: bool = False
    bold: bool = False
    position: Position = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """A table as a format gives it.

    Args:
        rows: Cells of each row, merged cells once.
        caption: With its label, if it is printed.
        label: Where the caption does not hold it.
        head_rows: Rows above the body, where the format says; None where it has to be seen.
        position: Where the table is.
    """

    rows: Sequence[Sequence[RawCell]]
    caption: str = ""
    label: str = ""
    head_rows: int | None = None
    position: Position = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class TableBody:
    """The body of a table: its cells and the labels of its rows; ``warning`` says what was left out."""

    cells: Sequence[TableCell] = ()
    labels: Sequence[RowLabel] = ()
    warning: str | None = None


Grid = list[list[RawCell]]


def read(table: RawTable, document: str, number: int, limit: int, clean: Callable[[str, Position], str]) -> TableBody:
    """Return the body of a table.

    Args:
        table: With a caption that is clean and does not hold its label.
        document: SHA-256 of the file, hexadecimal.
        number: Of the table in the file, from 1.
        limit: Most places its grid may have.
        clean: Makes a cell's text readable.
    """
    cleaned = [[replace(cell, text=clean(cell.text, cell.position)) for cell in row] for row in table.rows[: limit + 1]]
    grid, cut = lay_out(cleaned, limit)
    warning = f"{table.label or f'table {number}'} was cut after {len(grid)} rows: over {limit} cells" if cut else None
    if not grid or not grid[0]:
        return TableBody(warning=warning)
    shared = TableCell(
        document=document, table=number, label=table.label, caption=table.caption, row=0, column=0, text=""
    )
    return replace(GridReader(grid, table.head_rows, shared).read(), warning=warning)


def lay_out(rows: Sequence[Sequence[RawCell]], limit: int) -> tuple[Grid, bool]:
    """Return the rectangular grid of a table with merged cells in every place they cover, and whether rows were cut.

    Args:
        rows: Cells of each row, merged cells once.
        limit: Most places the grid may have.
    """
    grid: Grid = []
    hanging: dict[int, tuple[int, RawCell]] = {}
    width, cut = 1, False
    for row in rows:
        line = _line(row, hanging, limit)
        if max(width, len(line)) * (len(grid) + 1) > limit:
            cut = True
            break
        width = max(width, len(line))
        grid.append(line)
    blank = RawCell()
    return [line + [blank] * (width - len(line)) for line in grid], cut


def _line(row: Sequence[RawCell], hanging: dict[int, tuple[int, RawCell]], limit: int) -> list[RawCell]:
    """Lay out one row beside the cells that hang into it from above; ``hanging`` maps column to (rows left, cell)."""
    line: list[RawCell] = []
    waiting = list(reversed(row))
    while waiting or len(line) in hanging:
        column = len(line)
        if column in hanging:
            left, cell = hanging.pop(column)
            if left > 1:
                hanging[column] = (left - 1, cell)
            line.append(cell)
            continue
        cell = waiting.pop()
        for offset in range(min(max(1, cell.colspan), MAX_SPAN)):
            if offset and column + offset in hanging:
                break
            line.append(cell)
            if cell.rowspan > 1:
                hanging[column + offset] = (cell.rowspan - 1, cell)
        if len(line) > limit:
            break
    return line


class GridReader:
    """How one grid is read.

    Args:
        grid: Rectangular.
        head_rows: Rows above the body where the format says, else None.
        shared: A cell with what all of the table share.
    """

    def __init__(self, grid: Grid, head_rows: int | None, shared: TableCell) -> None:
        self.grid = grid
        self.shared = shared
        self.width = len(grid[0])
        self.heads = self._heads(head_rows)
        self.body = range(self.heads, len(grid))
        self.labels = self._labels()

    def read(self) -> TableBody:
        """Return the body cells and the labels of the rows, by row and column."""
        columns = [_distinct(self._head_text(row, column) for row in range(self.heads)) for column in range(self.width)]
        pointing = {column for column in range(1, self.labels) if POINTS.fullmatch(" ".join(columns[column]))}
        group: tuple[str, ...] = ()
        cells: list[TableCell] = []
        labels: list[RowLabel] = []
        above = under = [""] * self.labels
        for row in self.body:
            line = self.grid[row]
            if (title := self._group(line)) is not None:
                group = (title,) if title else ()
                continue
            above = self._inherited(line, above, under)
            under = under if ADDED.match(line[0].text) else above
            for column in range(self.width):
                if line[column].text and (column >= self.labels or numeric(line[column].text)):
                    inner = above if column >= self.labels else above[:column]
                    path = _distinct([*group, *(text for at, text in enumerate(inner) if at not in pointing)])
                    cells.append(self._cell(row, column, path, columns[column]))
                elif column < self.labels and column not in pointing and above[column] and columns[column]:
                    head = " ".join(columns[column])
                    labels.append(
                        RowLabel(table=self.shared.table, row=row, column=column, head=head, text=above[column])
                    )
        return TableBody(cells=cells, labels=labels)

    def _heads(self, given: int | None) -> int:
        heads = given if given is not None and 0 < given < len(self.grid) else self._seen_heads()
        while heads < len(self.grid) - 1 and self.width > 2:
            above, line = self.grid[heads - 1], self.grid[heads]
            groups = _column_groups(above, line)
            if self._names_columns(heads, groups):
                self.grid[heads - 1] = [above[0], *(head for columns, head in groups.items() for _ in columns)]
            elif not self._continues_head(line, above):
                break
            heads += 1
        return heads

    def _names_columns(self, row: int, groups: Mapping[range, RawCell]) -> bool:
        """Whether a row names the columns of groups: "Model, P, R, P, R" below "-, CoNLL, -, WNUT, -".

        Each of them has a name of its own in its group, no number or answer, and they hold mostly numbers. Where empty
        places show only one group, its end may be a column of remarks: then each holds numbers, and other heads stay.
        A head that is printed once more, on the next page or over another part, names nothing new.
        """
        above, names = [cell.text for cell in self.grid[row - 1]], [cell.text for cell in self.grid[row]]
        wide = [columns for columns, head in groups.items() if head.text and len(columns) > 1]
        lone = [0, *(columns.start for columns, head in groups.items() if head.text and len(columns) == 1)]
        bare = [column for columns, head in groups.items() if not head.text for column in columns]
        grouped = [column for columns in wide for column in columns]
        unsure = len(wide) == 1 and not above[grouped[1]]
        if unsure and any(above[column] and names[column] not in {"", above[column]} for column in lone):
            return False
        distinct = all(len({*names[columns.start : columns.stop]}) == len(columns) for columns in wide)
        repeated = {names[column] for column in bare} & {names[column] for column in grouped}
        seen = [[cell.text for cell in line] for line in (self.grid if unsure else self.grid[: row + 1])]
        if (
            not wide
            or not distinct
            or repeated
            or seen.count(names) > 1
            or any(counted(names[column]) for column in lone)
        ):
            return False
        body = [line for line in self.grid[row + 1 :] if self._group(line) is None]
        together = [[column] for column in grouped] if unsure else [grouped]
        return all(names_a_column(names[column]) for column in [*grouped, *bare]) and all(
            mostly_numeric(line[column].text for line in body for column in columns) for columns in together
        )

    def _seen_heads(self) -> int:
        for row, line in enumerate(self.grid):
            if any(numeric(cell.text) for cell in line[1:]) or (row and self._group(line) is not None):
                return max(1, row)
        return 1

    def _continues_head(self, line: list[RawCell], above: list[RawCell]) -> bool:
        """Whether a row goes on naming columns: nothing at the label, no numbers, and most other places filled."""
        stub = line[0].text if line[0] is not above[0] else ""
        filled = [cell for cell in line[1:] if cell.text]
        if filled and all(cell is filled[0] for cell in filled):
            return False
        return not stub and 2 * len(filled) >= self.width - 1 > 1 and not any(numeric(cell.text) for cell in filled)

    def _labels(self) -> int:
        """Count the columns that label rows: text, and whole numbers between texts (sizes, ranks)."""
        marked = [sum(1 for row in self.body if self.grid[row][column].header) for column in range(self.width)]
        labels = 0
        for column in range(self.width - 1):
            texts = [self.grid[row][column].text for row in self.body if self._group(self.grid[row]) is None]
            filled = [text for text in texts if text.casefold() not in EMPTY]
            sized = 0 < column == labels and self._sizes(column, filled)
            named = bool(filled) and 2 * sum(map(numeric, filled)) < len(filled)
            if named or sized or 2 * marked[column] > len(self.body):
                labels = column + 1
            elif column > labels or any("." in text and not re.search(r"[KMBT]\b", text) for text in filled):
                break
        return labels or min(1, self.width - 1)

    def _sizes(self, column: int, filled: Sequence[str]) -> bool:
        """Whether a column beside the names has the sizes of models, which are a part of their names."""
        head = self.grid[self.heads - 1][column].text if self.heads else ""
        return bool(filled) and bool(SIZE_HEAD.search(head)) and all(SIZE.fullmatch(text.strip()) for text in filled)

    def _group(self, line: list[RawCell]) -> str | None:
        """Return the title of a row that names the rows below it, "" for an empty row, None for any other row."""
        filled = [cell for cell in line if cell.text]
        if self.width == 1 or any(cell is not filled[0] for cell in filled) or (filled and numeric(filled[0].text)):
            return None
        if not filled:
            return ""
        return filled[0].text if line[0].text or filled[0].colspan > 1 else None

    def _inherited(self, line: list[RawCell], above: list[str], under: list[str]) -> list[str]:
        """Return a row's labels; an empty outer label repeats the one above, as long as an inner one is given.

        A row that adds something ("+ feedback") belongs to the last one that does not.
        """
        texts = [cell.text for cell in line[: self.labels]]
        if ADDED.match(line[0].text) and any(under):
            return [*under, *texts]
        inner = next((index for index, text in enumerate(texts) if text), len(texts))
        return texts if inner >= len(texts) else above[:inner] + texts[inner:]

    def _head_text(self, row: int, column: int) -> str:
        """Return the head at a place; in formats without merged cells an empty place continues its left neighbor."""
        line = self.grid[row]
        spanned = any(cell.colspan > 1 for cell in line)
        below = row + 1 < self.heads and self.grid[row + 1][column].text
        while not line[column].text and below and not spanned and column > self.labels:
            column -= 1
        return line[column].text

    def _cell(self, row: int, column: int, row_path: tuple[str, ...], column_path: tuple[str, ...]) -> TableCell:
        raw = self.grid[row][column]
        numbers, spread = values(raw.text)
        return replace(
            self.shared,
            row=row,
            column=column,
            row_path=row_path,
            column_path=column_path,
            text=raw.text,
            numbers=numbers,
            spread=spread,
            unit=unit(raw.text, column_path, row_path, self.shared.caption) if numbers else "",
            bold=raw.bold,
            position=raw.position,
        )


def _column_groups(above: Sequence[RawCell], line: Sequence[RawCell]) -> dict[range, RawCell]:
    """Return the columns behind the first in groups that share a head, with that head.

    A head in the row above goes on to the right where the next place repeats it or, without merged cells, is empty; one
    that the row below repeats does not. Heads may also stand in the middle of their groups, where the row below repeats
    the same names under each.
    """
    if any(cell.colspan > 1 for cell in above):
        goes_on = set[str]()
    elif parts := _centered_heads(above, [cell.text for cell in line]):
        return parts
    else:
        goes_on = {""}
    starts = [1]
    for column in range(2, len(above)):
        last = above[column - 1].text
        if above[column].text not in {last, *goes_on} or (last and line[column - 1].text == last):
            starts.append(column)
    return {range(start, end): above[start] for start, end in pairwise([*starts, len(above)])}


def _centered_heads(above: Sequence[RawCell], names: Sequence[str]) -> dict[range, RawCell]:
    """Return the equal parts of a row of names, with the one head that stands somewhere over each, else nothing."""
    width = len(above)
    size = names.index(names[1], 2) - 1 if names[1] in names[2:] else width
    if size == 1 or (width - 1) % size or names[1 + size :] != names[1:-size]:
        return {}
    parts = [range(start, start + size) for start in range(1, width, size)]
    heads = [{above[column].text: above[column] for column in part if above[column].text} for part in parts]
    if any(len(texts) != 1 for texts in heads):
        return {}
    return {part: head for part, texts in zip(parts, heads, strict=True) for head in texts.values()}


def starts_bold(text: str, bold: Iterable[str]) -> bool:
    """Whether a cell's text begins in bold, as in **97.6** (90.2)."""
    return any(part and text.startswith(part) for part in bold)


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the texts that say something, without one that repeats the text before it."""
    return tuple(text for text, _ in groupby(filter(None, texts)))
