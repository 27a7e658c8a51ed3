"""Which cells hold the tuple of a fact: its system, its benchmark or metric, and no other setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimtab.claims import settings
from trimtab.claims.claim_verdict import EvidenceTarget
from trimtab.claims.setting_columns import DESCRIBES
from trimtab.claims.table_index import matching
from trimtab.claims.vocabulary import names
from trimtab.claims.wording import key, stems

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.claims.claim_model import Fact
    from trimtab.claims.header_reader import Measurement
    from trimtab.claims.table_index import TableIndex


def target(reading: Measurement, readings: TableIndex) -> EvidenceTarget:
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
        beside=readings.of(reading).row(reading),
    )


def candidates(readings: TableIndex, subject: str, benchmark: str, fact: Fact) -> list[Measurement]:
    """Return the cells that hold the tuple of a fact, in the order of their documents."""
    known, words = place(readings, benchmark)
    if subject:
        pool = readings.by_subject.get(readings.subject_id(subject), [])
    elif known:
        pool = readings.by_benchmark.get(known, [])
    else:
        pool = _rarest(readings, words)
    metric = readings.registry.id_of(fact.metric, "metrics")
    found = _on(readings, pool, benchmark) if known or words else _measuring(pool, fact.metric, metric)
    if not DESCRIBES.search(f"{fact.benchmark} {fact.metric}"):
        found = [one for one in found if not _describes(one, known, readings)]
    if not any(
        readings.of(one).is_setting(one) and key(" ".join(one.cell.column_path)) == key(benchmark) for one in found
    ):
        found = [one for one in found if not readings.of(one).is_setting(one)]
    # A table with a measure a row has its values in one column; what else stands in the row describes them.
    long = {one.table for one in found if _headed_value(one)}
    found = [one for one in found if one.table not in long or _headed_value(one)]
    found = _closest(readings, found, subject) if subject else found
    fitting = [
        one for one in found if not settings.conflicts(fact.setting, readings.of(one).setting_of(one, fact.setting))
    ]
    return [one for one in fitting if not (metric and one.metric and metric != one.metric)]


def _headed_value(one: Measurement) -> bool:
    return bool(one.cell.column_path) and key(one.cell.column_path[-1]) == "value"


def _describes(one: Measurement, benchmark: str, readings: TableIndex) -> bool:
    """Whether a number is of the system itself, in a table whose caption alone names the benchmark."""
    heads = one.cell.column_path if readings.of(one).axis == "row" else one.cell.row_path
    text = " ".join(heads)
    return bool(DESCRIBES.search(text)) and not any(
        mark.id == benchmark for mark in readings.registry.find(text, ("benchmarks",))
    )


def _closest(readings: TableIndex, pool: Sequence[Measurement], subject: str) -> list[Measurement]:
    """Return of a system's cells, in a table that has it with and without a variant, those without.

    Where a table prints the very name, marks and brackets included, only those of that name.
    """
    name, printed = readings.subject_id(subject), _printed(subject)
    same = {one.table for one in pool if printed in _ends(one)}
    exact = [one for one in pool if one.table not in same or printed in _ends(one)]
    return _least([(readings.of(one).behind(one, name), one) for one in exact])


def _least(behind: Sequence[tuple[int, Measurement]]) -> list[Measurement]:
    """Return the cells of each table whose headers leave least open."""
    least: dict[tuple[str, int], int] = {}
    for count, one in behind:
        least[one.table] = min(count, least.get(one.table, count))
    return [one for count, one in behind if count == least[one.table]]


def _open(one: Measurement, name: str) -> int:
    """Return how many parts of a cell's header a name leaves open."""
    paths = (one.cell.row_path, one.cell.column_path)
    # What a header is called without its measure leaves nothing else open.
    return min((names(path)[name].open for path in paths if name in names(path)), default=0)


def _printed(name: str) -> str:
    return "".join(name.split()).casefold()


def _ends(one: Measurement) -> set[str]:
    """Return a cell's row and column headers as printed, and their last parts."""
    paths = (one.cell.row_path, one.cell.column_path)
    return {_printed("".join(path[start:])) for path in paths for start in range(len(path))}


def _on(readings: TableIndex, pool: Sequence[Measurement], benchmark: str) -> Sequence[Measurement]:
    """Return the cells on a benchmark: under a header of this very name where there is one, else by id or by words."""
    name, (known, words) = key(benchmark), place(readings, benchmark)
    exact = [(_open(one, name), one) for one in pool if name in one.names]
    if exact and not known:
        return _least(exact)
    # "micro_pass1" is that column alone, although "micro_drop" is of the same benchmark.
    whole = [one for left_open, one in exact if left_open == 0]
    tables = {one.table for one in whole}
    return [*whole, *(one for one in matching(pool, known, words) if one.table not in tables)]


def _measuring(pool: Sequence[Measurement], text: str, metric: str) -> Sequence[Measurement]:
    """Return the cells of a metric where that is all a fact names: by id where it is known, else by its words."""
    if metric:
        return [one for one in pool if one.metric == metric]
    return matching(pool, "", frozenset(stems(text))) if text else pool


def place(readings: TableIndex, benchmark: str) -> tuple[str, frozenset[str]]:
    """Return a benchmark's id, empty where it is not known, and the stems of its words."""
    return readings.registry.id_of(benchmark, "benchmarks"), frozenset(stems(benchmark))


def _rarest(readings: TableIndex, words: frozenset[str]) -> list[Measurement]:
    """Return the cells with the rarest of ``words``."""
    lists = [readings.by_word.get(word, []) for word in words]
    return min(lists, key=len, default=[])
