"""CSV and TSV: one table, its first row the head, its file's name the caption."""

from __future__ import annotations

import csv
import io
import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from trimtab.documents.formats.cell_grid import RawCell, RawTable
from trimtab.documents.parts import Position
from trimtab.errors import DocumentError

if TYPE_CHECKING:
    from trimtab.documents.formats.document_builder import Builder


def read(raw: bytes, name: str, builder: Builder) -> None:
    """Read a table of values into ``builder``; lines that begin with ``#`` are remarks, read as paragraphs.

    Raises:
        DocumentError: A field is longer than the csv module allows, or the file holds a NUL.
    """
    text = raw.decode("utf-8-sig", errors="replace")
    first = next((line for line in text.splitlines() if not line.startswith("#")), "")
    separator = max(",\t;", key=first.count)
    rows = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        for row in reader:
            position = Position(line=reader.line_num)
            if row and row[0].startswith("#"):
                builder.add("sentence", separator.join(row).lstrip("# "), position)
            elif any(row):
                rows.append([RawCell(text=field.strip(), position=position) for field in row])
            if len(rows) * max(1, len(first.split(separator))) > 2 * builder.limits.table_cells:
                break
    except csv.Error as error:
        raise DocumentError(f"{name} is not CSV: {error}") from error
    caption = re.sub(r"[_\s]+", " ", PurePath(name).stem)
    if rows:
        builder.table(RawTable(rows=rows, caption=caption, head_rows=1, position=Position(line=1)))
