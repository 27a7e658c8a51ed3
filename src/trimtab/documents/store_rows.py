"""How works, documents, spans and cells are written in rows of SQLite, and read back unchanged.

Nested values are JSON; decimals are text, so that printed digits survive.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict
from decimal import Decimal
from functools import lru_cache
from typing import Any

from trimtab.documents.parts import Document, HiddenText, Position, Span, TableCell
from trimtab.documents.work import Author, Identifiers, Retraction, Version, Work

INSERT_DOCUMENT = "INSERT INTO document VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_SPAN = 'INSERT INTO span (document, kind, section, start, "end", text, position) VALUES (?, ?, ?, ?, ?, ?, ?)'
CELL_FIELDS = (
    'document, "table", "row", "column", label, caption, row_path, column_path, '
    "text, numbers, spread, unit, bold, position"
)
INSERT_CELL = f"INSERT INTO cell (id, {CELL_FIELDS}) VALUES ({', '.join('?' * 15)})"  # noqa: S608 - constants
SELECT_DOCUMENT = "SELECT sha256, path, format, work, version, title, text, hidden, warnings FROM document"
_SPAN_FIELDS = 'document, kind, section, start, "end", span.text, position'
SELECT_SPAN = f"SELECT {_SPAN_FIELDS} FROM span"  # noqa: S608 - constants
SELECT_SPAN_SCORED = f"SELECT {_SPAN_FIELDS}, bm25(span_text) FROM span_text JOIN span ON span.id = span_text.rowid"  # noqa: S608 - constants
SELECT_CELL = f"SELECT {CELL_FIELDS} FROM cell"  # noqa: S608 - constants

Row = tuple[Any, ...]
_encode = json.JSONEncoder(ensure_ascii=False).encode


def dump(work: Work) -> str:
    """Return a work as JSON."""
    return json.dumps(asdict(work), ensure_ascii=False, default=str)


def load_work(text: str) -> Work:
    """Return the work that :func:`dump` wrote."""
    values = json.loads(text)
    values["authors"] = tuple(Author(**author) for author in values["authors"])
    values["ids"] = Identifiers(**values["ids"])
    values["versions"] = tuple(Version(**version) for version in values["versions"])
    values["found_by"] = tuple(values["found_by"])
    if values["retraction"] is not None:
        date = values["retraction"]["date"]
        values["retraction"]["date"] = dt.date.fromisoformat(date) if date else None
        values["retraction"] = Retraction(**values["retraction"])
    return Work(**values)


def document_row(document: Document) -> Row:
    """Return the columns of a document."""
    hidden = json.dumps([asdict(text) for text in document.hidden], ensure_ascii=False)
    head = (document.sha256, document.path, document.format, document.work, document.version, document.title)
    return (*head, document.text, hidden, json.dumps(document.warnings, ensure_ascii=False))


def load_document(row: Row, *, spans: tuple[Span, ...], cells: tuple[TableCell, ...]) -> Document:
    """Return the document of a row, with its spans and cells."""
    sha256, path, format_, work, version, title, text, hidden, warnings = row
    found = tuple(
        HiddenText(reason=each["reason"], text=each["text"], position=_position(each["position"]))
        for each in json.loads(hidden)
    )
    return Document(
        sha256=sha256,
        path=path,
        format=format_,
        work=work,
        version=version,
        title=title,
        text=text,
        spans=spans,
        cells=cells,
        hidden=found,
        warnings=tuple(json.loads(warnings)),
    )


def span_row(span: Span) -> Row:
    """Return the columns of a span."""
    return (span.document, span.kind, span.section, span.start, span.end, span.text, _placed(span.position))


def load_span(row: Row) -> Span:
    """Return the span of a row."""
    document, kind, section, start, end, text, position = row
    place = _position(json.loads(position))
    return Span(document=document, kind=kind, section=section, start=start, end=end, text=text, position=place)


def cell_row(number: int, cell: TableCell) -> Row:
    """Return the columns of a cell that is row ``number`` of its table."""
    paths = (_headers(cell.row_path), _headers(cell.column_path))
    numbers = _encode([str(number) for number in cell.numbers])
    spread = None if cell.spread is None else str(cell.spread)
    place = (number, cell.document, cell.table, cell.row, cell.column, cell.label, cell.caption, *paths)
    return (*place, cell.text, numbers, spread, cell.unit, int(cell.bold), _placed(cell.position))


def load_cell(row: Row) -> TableCell:
    """Return the cell of a row."""
    (
        document,
        table,
        line,
        column,
        label,
        caption,
        row_path,
        column_path,
        text,
        numbers,
        spread,
        unit,
        bold,
        position,
    ) = row
    return TableCell(
        document=document,
        table=table,
        label=label,
        caption=caption,
        row=line,
        column=column,
        row_path=tuple(json.loads(row_path)),
        column_path=tuple(json.loads(column_path)),
        text=text,
        numbers=tuple(Decimal(number) for number in json.loads(numbers)),
        spread=None if spread is None else Decimal(spread),
        unit=unit,
        bold=bool(bold),
        position=_position(json.loads(position)),
    )


def _placed(position: Position) -> str:
    """Return a position as JSON; ``asdict`` copies deeply, which costs more than all the rest of a row."""
    return _encode({"page": position.page, "path": position.path, "line": position.line, "box": position.box})


@lru_cache(maxsize=4096)
def _headers(path: tuple[str, ...]) -> str:
    """Return headers as JSON; a row's and a column's cells share theirs."""
    return _encode(path)


def _position(values: dict[str, Any]) -> Position:
    box = values["box"]
    return Position(page=values["page"], path=values["path"], line=values["line"], box=tuple(box) if box else None)
