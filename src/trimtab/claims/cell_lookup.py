"""Which cells hold the tuple of a fact: its system, its benchmark or metric, and no other setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimtab.claims import settings
from trimtab.claims.claim_verdict import Evidence, EvidenceTarget
from trimtab.claims.setting_columns import DESCRIBES
from trimtab.claims.table_index import matching
from trimtab.claims.vocabulary import names
from trimtab.claims.wording import key, stems

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.claims.claim_model import Fact
    from trimtab.claims.claim_verdict import Stance
    from trimtab.claims.header_reader import Measurement
    from trimtab.claims.table_index import TableIndex


def target(reading: Measurement, tables: TableIndex) -> EvidenceTarget:
    """Return the exact place of a reading."""
    cell, document = reading.cell, reading.document
    table = cell.label or f"table {cell.table}"
    row, column = " > ".join(cell.row_path), " > ".join(cell.column_path)
    return EvidenceTarget(
        kind="cell",
        document=document.path,
        sha256=document.sha256,
        work=document.work,
        location=f"{table}, row {row}, column {column} ({cell.position})",
        table=cell.table,
        row=cell.row,
        column=cell.column,
        quote=cell.text,
        beside=tables.of(reading).row(reading),
    )


def cell_evidence(
    reading: Measurement, stance: Stance, why: str, tables: TableIndex, home: Measurement | None = None
) -> Evidence:  # fmt: skip
    """Return what a cell says; ``home`` is the cell that has the value instead."""
    return Evidence(
        backend="table",
        stance=stance,
        why=why,
        target=target(reading, tables),
        home=target(home, tables) if home else None,
    )


def candidates(tables: TableIndex, subject: str, benchmark: str, fact: Fact) -> list[Measurement]:
    """Return the cells that hold the tuple of a fact, in the order of their documents."""
    known, words = place(tables, benchmark)
    if subject:
        cells = tables.by_subject.get(tables.subject_id(subject), [])
    elif known:
        cells = tables.by_benchmark.get(known, [])
    else:
        cells = min((tables.by_word.get(word, []) for word in words), key=len, default=[])
    metric = tables.registry.id_of(fact.metric, "metrics")
    if known or words:
        cells = _on(tables, cells, benchmark)
    elif metric:
        cells = [result for result in cells if result.metric == metric]
    elif fact.metric:
        cells = matching(cells, "", frozenset(stems(fact.metric)))
    if not DESCRIBES.search(f"{fact.benchmark} {fact.metric}"):
        cells = [result for result in cells if not _describes(result, known, tables)]
    settings_of_rows = {result for result in cells if tables.of(result).is_setting(result)}
    if not any(key(" ".join(result.cell.column_path)) == key(benchmark) for result in settings_of_rows):
        cells = [result for result in cells if result not in settings_of_rows]
    # A table with a measure a row has its values in one column; what else stands in the row describes them.
    values = {result for result in cells if result.cell.column_path and key(result.cell.column_path[-1]) == "value"}
    long = {result.table for result in values}
    cells = [result for result in cells if result.table not in long or result in values]
    cells = _closest(tables, cells, subject) if subject else cells
    return [
        result
        for result in cells
        if not settings.conflicts(fact.setting, tables.of(result).setting_of(result, fact.setting))
        and not (metric and result.metric and metric != result.metric)
    ]


def _describes(result: Measurement, benchmark: str, tables: TableIndex) -> bool:
    """Whether a number is of the system itself, in a table whose caption alone names the benchmark."""
    text = " ".join(result.cell.column_path if tables.of(result).axis == "row" else result.cell.row_path)
    marks = tables.registry.find(text, ("benchmarks",)) if DESCRIBES.search(text) else None
    return marks is not None and all(mark.id != benchmark for mark in marks)


def _closest(tables: TableIndex, pool: Sequence[Measurement], subject: str) -> list[Measurement]:
    """Return of a system's cells, in a table that has it with and without a variant, those without.

    Where a table prints the very name, marks and brackets included, only those of that name.
    """
    name, printed = tables.subject_id(subject), _printed(subject)
    same = {result.table for result in pool if printed in _ends(result)}
    exact = [result for result in pool if result.table not in same or printed in _ends(result)]
    return _least([(tables.of(result).behind(result, name), result) for result in exact])


def _least(behind: Sequence[tuple[int, Measurement]]) -> list[Measurement]:
    """Return the cells of each table whose headers leave least open."""
    least: dict[tuple[str, int], int] = {}
    for count, result in behind:
        least[result.table] = min(count, least.get(result.table, count))
    return [result for count, result in behind if count == least[result.table]]


def _open(result: Measurement, name: str) -> int:
    """Return how many parts of a cell's header a name leaves open."""
    paths = (result.cell.row_path, result.cell.column_path)
    # What a header is called without its measure leaves nothing else open.
    return min((names(path)[name].open for path in paths if name in names(path)), default=0)


def _printed(name: str) -> str:
    return "".join(name.split()).casefold()


def _ends(result: Measurement) -> set[str]:
    """Return a cell's row and column headers as printed, and their last parts."""
    paths = (result.cell.row_path, result.cell.column_path)
    return {_printed("".join(path[start:])) for path in paths for start in range(len(path))}


def _on(tables: TableIndex, cells: Sequence[Measurement], benchmark: str) -> list[Measurement]:
    """Return the cells on a benchmark: under a header of this very name where there is one, else by id or by words."""
    name, (known, words) = key(benchmark), place(tables, benchmark)
    exact = [(_open(result, name), result) for result in cells if name in result.names]
    if exact and not known:
        return _least(exact)
    # "micro_pass1" is that column alone, although "micro_drop" is of the same benchmark.
    whole = [result for left_open, result in exact if left_open == 0]
    has_it = {result.table for result in whole}
    return [*whole, *(result for result in matching(cells, known, words) if result.table not in has_it)]


def place(tables: TableIndex, benchmark: str) -> tuple[str, frozenset[str]]:
    """Return a benchmark's id, empty where it is not known, and the stems of its words."""
    return tables.registry.id_of(benchmark, "benchmarks"), frozenset(stems(benchmark))
