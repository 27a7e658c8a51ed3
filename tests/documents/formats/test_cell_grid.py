"""Merged cells are laid out as the HTML standard says, and no table grows past its limit."""

import pytest

from trimtab.documents.formats.cell_grid import RawCell, lay_out, numeric
from trimtab.documents.formats.limits import DocumentLimits


def texts(grid):
    return ["".join(cell.text or "." for cell in line) for line in grid]


def test_merged_cells_cover_their_places_and_short_rows_are_filled():
    rows = [
        [RawCell(text="a", rowspan=2), RawCell(text="b", colspan=2)],
        [RawCell(text="c"), RawCell(text="d")],
        [RawCell(text="e")],
    ]
    grid, cut = lay_out(rows, 100)
    assert (texts(grid), cut) == (["abb", "acd", "e.."], False)


def test_spans_without_end_are_bounded(read_text):
    grid, cut = lay_out([[RawCell(text="x", rowspan=10**6, colspan=10**6)] * 50] * 50, 10_000)
    assert cut
    assert sum(map(len, grid)) <= 10_000
    cell = '<td colspan="999999999" rowspan="99999999">x'
    document = read_text(f"<table>{f'<tr>{cell}' * 200}</table>", "a.html", limits=DocumentLimits(table_cells=5_000))
    assert len(document.cells) <= 5_000
    assert "was cut" in document.warnings[0]


def test_a_million_cells_are_cut_at_the_limit_and_said(read_text):
    row = "1," * 999 + "1\n"
    document = read_text(row * 1_000, "a.csv", limits=DocumentLimits(table_cells=5_000))
    assert 0 < len(document.cells) <= 5_000
    assert document.warnings == ("table 1 was cut after 5 rows: over 5000 cells",)


@pytest.mark.parametrize(
    ("text", "is_measurement"),
    [("97.6 (90.2)", True), ("54.9 ± 0.3", True), ("12 ms", True), ("GPT-4 (2023)", False), ("7B", True), ("-", False)],
)
def test_numeric(text, is_measurement):
    assert numeric(text) == is_measurement
