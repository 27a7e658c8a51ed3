"""Plain text: paragraphs between empty lines, list items apart, and tables where lines hold the same number of tabs."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from trimtab.documents.formats.cell_grid import RawCell, RawTable
from trimtab.documents.parts import Position

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.documents.formats.document_builder import Builder

ITEM = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)]|\[\d+\])\s+")
NUMBERED = re.compile(r"^\d+(?:\.\d+)*\.?\s+[A-Z][^.!?:]{2,70}$")
NAMED = {"abstract", "references", "bibliography", "acknowledgments", "acknowledgements"}

Line = tuple[int, str]


def read(raw: bytes, _name: str, builder: Builder) -> None:
    """Read plain text into ``builder``."""
    lines = list(enumerate(raw.decode("utf-8", errors="replace").splitlines(), start=1))
    for filled, block in groupby(lines, key=lambda line: bool(line[1].strip())):
        if filled:
            _block(list(block), builder)


def _block(lines: list[Line], builder: Builder) -> None:
    for tabs, run in groupby(lines, key=lambda line: line[1].rstrip("\r").count("\t")):
        rows = list(run)
        position = Position(line=rows[0][0])
        if tabs and len(rows) > 1:
            cells = [[RawCell(text=text, position=Position(line=at)) for text in row.split("\t")] for at, row in rows]
            builder.table(RawTable(rows=cells, head_rows=1, position=position))
        elif len(lines) == 1 and (NUMBERED.match(rows[0][1]) or rows[0][1].strip().casefold() in NAMED):
            builder.heading(rows[0][1], 1, position)
        else:
            for start, text in _items(rows):
                builder.add("sentence", text, Position(line=start))


def _items(lines: list[Line]) -> Iterator[Line]:
    """Join lines into paragraphs; a line that begins a list item begins a new one."""
    start, parts = lines[0][0], [ITEM.sub("", lines[0][1])]
    for number, line in lines[1:]:
        if ITEM.match(line):
            yield start, " ".join(parts)
            start, parts = number, [ITEM.sub("", line)]
        else:
            parts.append(line)
    yield start, " ".join(parts)
