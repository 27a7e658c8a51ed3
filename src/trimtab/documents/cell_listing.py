"""What the tables of a file say, cell by cell, so that a reader can see what a check sees and compare two formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.documents.parts import Document, TableCell

Said = tuple[str, str, str, tuple[str, ...], str, str, bool]
"""Row path, column path, text, numbers, spread, unit, bold: all but where it stands and what the caption says."""


def said(cell: TableCell) -> Said:
    """Return what a cell says in any format."""
    return (
        " > ".join(cell.row_path),
        " > ".join(cell.column_path),
        cell.text,
        tuple(map(str, cell.numbers)),
        "" if cell.spread is None else str(cell.spread),
        cell.unit,
        cell.bold,
    )


def line(cell: TableCell) -> str:
    """Return a cell as a line for a reader; bold is marked as in Markdown."""
    row, column, text, _, spread, unit, bold = said(cell)
    table = cell.label or f"table {cell.table}"
    value = f"**{text}**" if bold else text
    remarks = [f"spread {spread}" if spread else "", f"unit {unit}" if unit and unit not in text else ""]
    return "  ".join(filter(None, (f"{table} | {row} | {column} | {value}", *remarks)))


def record(document: Document) -> dict[str, Any]:
    """Return a document's cells as plain values, with where each stands."""
    names = ("row", "column", "text", "numbers", "spread", "unit", "bold")
    cells = [
        {
            "table": one.label or f"table {one.table}",
            **dict(zip(names, said(one), strict=True)),
            "at": str(one.position),
        }
        for one in document.cells
    ]
    return {"path": document.path, "format": document.format, "cells": cells, "warnings": list(document.warnings)}


def differences(one: Document, other: Document) -> Iterator[str]:
    """Yield in words what two documents' cells do not have in common, in the order of each."""
    ours, theirs = [said(cell) for cell in one.cells], [said(cell) for cell in other.cells]
    yield from (f"only {one.path}: {line(cell)}" for cell in one.cells if said(cell) not in theirs)
    yield from (f"only {other.path}: {line(cell)}" for cell in other.cells if said(cell) not in ours)
    if sorted(ours) == sorted(theirs) and ours != theirs:
        yield f"{other.path} has the cells of {one.path} in another order"
    elif set(ours) == set(theirs) and len(ours) != len(theirs):
        yield f"{one.path} has {len(ours)} cells and {other.path} {len(theirs)}, the same ones"
