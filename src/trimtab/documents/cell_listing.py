"""What the tables of a file say, cell by cell, so that a reader can see what a check sees and compare two formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.documents.parts import Document, TableCell


class PrintedCell(NamedTuple):
    """What a cell says in any format: all but where it stands and what the caption says."""

    row: str
    column: str
    text: str
    numbers: tuple[str, ...]
    spread: str
    unit: str
    bold: bool


def printed(cell: TableCell) -> PrintedCell:
    """Return what a cell says."""
    return PrintedCell(
        row=" > ".join(cell.row_path),
        column=" > ".join(cell.column_path),
        text=cell.text,
        numbers=tuple(map(str, cell.numbers)),
        spread="" if cell.spread is None else str(cell.spread),
        unit=cell.unit,
        bold=cell.bold,
    )


def line(cell: TableCell) -> str:
    """Return a cell as a line for a reader; bold is marked as in Markdown."""
    row, column, text, _, spread, unit, bold = printed(cell)
    value = f"**{text}**" if bold else text
    remarks = [f"spread {spread}" if spread else "", f"unit {unit}" if unit and unit not in text else ""]
    return "  ".join(filter(None, (f"{cell.table_name} | {row} | {column} | {value}", *remarks)))


def record(document: Document) -> dict[str, Any]:
    """Return a document's cells as plain values, with where each stands."""
    cells = [{"table": cell.table_name, **printed(cell)._asdict(), "at": str(cell.position)} for cell in document.cells]
    return {"path": document.path, "format": document.format, "cells": cells, "warnings": list(document.warnings)}


def differences(first: Document, other: Document) -> Iterator[str]:
    """Yield in words what two documents' cells do not have in common, in the order of each."""
    ours, theirs = [printed(cell) for cell in first.cells], [printed(cell) for cell in other.cells]
    yield from (f"only {first.path}: {line(cell)}" for cell in first.cells if printed(cell) not in theirs)
    yield from (f"only {other.path}: {line(cell)}" for cell in other.cells if printed(cell) not in ours)
    if sorted(ours) == sorted(theirs) and ours != theirs:
        yield f"{other.path} has the cells of {first.path} in another order"
    elif set(ours) == set(theirs) and len(ours) != len(theirs):
        yield f"{first.path} has {len(ours)} cells and {other.path} {len(theirs)}, the same ones"
