"""Comparisons, computed from cells: of two systems on a benchmark, on all of them, and of one with all others.

What is compared stands in one table and one setting. A difference is judged at its own precision, and as the cells
were rounded, too, one unit off in the last digit refutes nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from trimtab.claims import arithmetic, vocabulary
from trimtab.claims.cell_lookup import candidates, target
from trimtab.claims.claim_verdict import Evidence, Stance
from trimtab.claims.setting_columns import DESCRIBES
from trimtab.claims.wording import key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from trimtab.claims.claim_model import Fact
    from trimtab.claims.header_reader import Measurement
    from trimtab.claims.table_index import TableIndex


def compare(fact: Fact, index: int, readings: TableIndex) -> tuple[Evidence, ...]:
    """Return what the tables say about a comparison, whether or not it is denied."""
    if fact.relation in ("best", "worst", "highest", "lowest"):
        return _extreme(fact, index, readings)
    if not fact.benchmark and not fact.metric and fact.comparator:
        return _over_all(fact, index, readings)
    ours = candidates(readings, fact.subject, fact.benchmark, replace(fact, value=None))
    theirs = candidates(
        readings,
        fact.comparator or fact.subject,
        fact.comparator_benchmark or fact.benchmark,
        replace(fact, value=None),
    )
    found: dict[str, list[Evidence]] = {}
    for one, other in _pairs(ours, theirs, readings):
        found.setdefault(one.document.sha256, []).append(_compared(fact, index, one, other, readings))
    return tuple(evidence for group in found.values() for evidence in _in_some_setting(fact, group))


def _in_some_setting(fact: Fact, evidence: Sequence[Evidence]) -> list[Evidence]:
    """Return what one document says of a comparison in several settings.

    One that it bears out in one setting is not refuted by another. A direction that it bears out in one and not in
    another is decided by neither.
    """
    holding = [one for one in evidence if one.stance is Stance.SUPPORTS]
    if not holding or (len(holding) == len(evidence) or fact.value):
        return holding or list(evidence)
    return [replace(one, stance=Stance.MIXED, why=f"{one.why}; in another setting it is not so") for one in holding]


def _pairs(
    ours: Sequence[Measurement], theirs: Sequence[Measurement], readings: TableIndex
) -> Iterable[tuple[Measurement, Measurement]]:  # fmt: skip
    """Pair cells of one table and one setting; where no table has both, cells of one document.

    Of the pairs of two tables only those that agree most are kept, first in their headers, then, of the pairs of two
    columns, in what stands to the left of both: a model at one temperature or capacity is not compared with another
    model at a different one.
    """
    pairs = [
        (one, other)
        for one in ours
        for other in theirs
        if one is not other and one.document is other.document and not one.setting.conflicts(other.setting)
    ]
    close = [(one, other) for one, other in pairs if one.table == other.table]
    tables = _grouped(close or pairs, lambda one: one.table)
    headed = [pair for group in tables for pair in _alike(group, _shared_heads)]
    columns = _grouped(headed, lambda one: (one.table, one.cell.column))
    return [pair for group in columns for pair in _alike(group, readings.shared_left)]


def _grouped(
    pairs: Iterable[tuple[Measurement, Measurement]], by: Callable[[Measurement], object]
) -> Iterable[list[tuple[Measurement, Measurement]]]:  # fmt: skip
    """Return the pairs whose two sides stand in the same two places."""
    found: dict[object, list[tuple[Measurement, Measurement]]] = {}
    for one, other in pairs:
        found.setdefault((by(one), by(other)), []).append((one, other))
    return found.values()


def _alike(
    pairs: Sequence[tuple[Measurement, Measurement]], likeness: Callable[[Measurement, Measurement], int]
) -> Sequence[tuple[Measurement, Measurement]]:  # fmt: skip
    """Return the pairs with the most likeness."""
    found = [likeness(one, other) for one, other in pairs]
    most = max(found)
    return [pair for pair, much in zip(pairs, found, strict=True) if much == most]


def _shared_heads(one: Measurement, other: Measurement) -> int:
    """Count the headers that two cells have in common."""
    return _common(one.cell.row_path, other.cell.row_path) + _common(one.cell.column_path, other.cell.column_path)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Count equal headers, place by place where both have as many."""
    if len(one) == len(other):
        return sum(map(str.__eq__, one, other))
    return (Counter(one) & Counter(other)).total()


def _compared(fact: Fact, index: int, one: Measurement, other: Measurement, readings: TableIndex) -> Evidence:
    gap = one.value - other.value
    up, down = (gap < 0, gap > 0) if _lower(fact, one, readings) else (gap > 0, gap < 0)
    holds = {"greater": gap > 0, "less": gap < 0, "better": up, "worse": down, "same": gap == 0}[fact.relation]
    stance = Stance.SUPPORTS if holds else Stance.REFUTES
    if holds and fact.value is not None:
        stance = _sized(fact, one.value, other.value)
    share = gap / other.value * 100 if other.value else Decimal(0)
    computed = f"{one.value} \u2212 {other.value} = {gap}" + (f" ({share:.1f} % of it)" if fact.relative else "")
    computed += _direction_told(fact, one, readings)
    return Evidence(
        backend="table",
        stance=stance,
        why=f"{fact.words()}: computed from the cells, {computed}",
        target=target(one, readings),
        fact=index,
    )


def _sized(fact: Fact, one: Decimal, other: Decimal) -> Stance:
    """Return whether two values differ by as much as a fact says; "18 % better" may mean points or a share."""
    assert fact.value is not None  # noqa: S101 - the caller's condition
    claimed, decimals, unit = abs(fact.value.value), fact.value.decimals, fact.value.unit
    gap = abs(one - other)
    share = abs(gap / other * 100) if other else Decimal(0)
    if unit == "x":
        sizes = [abs(one / other) if other else Decimal(0)]
    elif fact.relative:
        sizes = [share]
    else:
        sizes = [*arithmetic.scales(fact.value, gap, ""), *([share] if unit == "%" else [])]
    if any(arithmetic.same(claimed, decimals, size, fact.hedge) == "equal" for size in sizes):
        return Stance.SUPPORTS
    coarse = min(decimals, arithmetic.places(one), arithmetic.places(other))
    near = any(abs(claimed - size) <= Decimal(1).scaleb(-coarse) for size in sizes)
    return Stance.MIXED if near and fact.hedge == "exactly" else Stance.REFUTES


def _over_all(fact: Fact, index: int, readings: TableIndex) -> tuple[Evidence, ...]:
    """Judge a comparison that names no benchmark by all that both systems have been measured on, in each document.

    Where it says "all", one that says otherwise refutes it. Where it says nothing, all have to agree.
    """
    ours = candidates(readings, fact.subject, "", replace(fact, value=None))
    theirs = candidates(readings, fact.comparator, "", replace(fact, value=None))
    groups: dict[str, list[tuple[Measurement, Evidence]]] = {}
    for one, other in _measured_alike(ours, theirs, readings):
        groups.setdefault(one.document.sha256, []).append((one, _compared(fact, index, one, other, readings)))
    found: list[Evidence] = []
    for pairs in groups.values():
        found += _judged(fact, _where_it_may_hold(pairs, readings), readings)
    return tuple(found)


def _measured_alike(
    ours: Sequence[Measurement], theirs: Sequence[Measurement], readings: TableIndex
) -> list[tuple[Measurement, Measurement]]:  # fmt: skip
    """Pair the cells of two systems in one column of one table and in one setting, or in one row of it."""
    places: dict[tuple[object, ...], list[Measurement]] = defaultdict(list)
    for other in theirs:
        places[other.table, "column", other.cell.column, other.index].append(other)
        places[other.table, "row", other.cell.row, other.index].append(other)
    found = []
    for one in ours:
        heads = " ".join((*one.cell.row_path, *one.cell.column_path))
        for axis, place in (("column", one.cell.column), ("row", one.cell.row)):
            beside = places.get((one.table, axis, place, one.index), [])
            if not DESCRIBES.search(heads):
                found += [(one, other) for other in beside if other is not one and readings.of(one).alike(one, other)]
    return found


def _where_it_may_hold(
    pairs: Sequence[tuple[Measurement, Evidence]], readings: TableIndex
) -> list[tuple[Measurement, Evidence]]:  # fmt: skip
    """Return the pairs without those of a column in which other rows of the same two names bear the comparison out.

    A table that has a name in several rows says by something else, a budget or a depth, which of them is which. Where
    it says so in columns of settings, the comparison holds in one setting and not in another, and is left open.
    """
    columns: dict[object, list[tuple[Measurement, Evidence]]] = defaultdict(list)
    for one, evidence in pairs:
        columns[one.table, one.cell.column, one.index].append((one, evidence))
    chosen: list[tuple[Measurement, Evidence]] = []
    for group in columns.values():
        holding = [(one, evidence) for one, evidence in group if evidence.stance is Stance.SUPPORTS]
        if holding and len(holding) < len(group) and readings.of(group[0][0]).settings:
            holding = [(one, replace(evidence, stance=Stance.MIXED)) for one, evidence in holding]
        chosen += holding or group
    return chosen


def _judged(
    fact: Fact, pairs: Sequence[tuple[Measurement, Evidence]], readings: TableIndex
) -> list[Evidence]:  # fmt: skip
    """Return the evidence of one document on a comparison over its benchmarks."""
    left_out = {readings.registry.id_of(name, "benchmarks") or key(name) for name in fact.exceptions}
    inside = [one for measured, one in pairs if not left_out & {measured.benchmark, *measured.names}]
    outside = [one for measured, one in pairs if left_out & {measured.benchmark, *measured.names}]
    holding = [one for one in inside if one.stance is Stance.SUPPORTS]
    failing = [one for one in inside if one.stance is Stance.REFUTES]
    left_open = any(one.stance is Stance.MIXED for one in inside)
    if fact.quantifier == "count":
        if len(inside) != fact.of or left_open:
            return [one for one in inside if one.stance is Stance.MIXED]
        stance = Stance.SUPPORTS if len(holding) == fact.count else Stance.REFUTES
        return [replace(one, stance=stance) for one in inside]
    if fact.quantifier == "all":
        if not failing and any(one.stance is Stance.SUPPORTS for one in outside):
            return [replace(one, stance=Stance.MIXED) for one in outside]
        if failing or not left_open:
            return failing or inside
    if (holding and failing) or left_open:
        return [replace(one, stance=Stance.MIXED) for one in inside]
    return inside


def _lower(fact: Fact, reading: Measurement, readings: TableIndex) -> bool:
    """Whether less is better: by the table, else by the claim's metric or unit; where nothing says, more is."""
    if reading.lower is not None:
        return reading.lower
    metric = readings.registry.id_of(fact.metric, "metrics")
    unit = fact.value.unit if fact.value else ""
    return readings.registry.better(metric, "metrics") == "lower" or unit.startswith(("nats", "bits"))


def _wants_most(fact: Fact, reading: Measurement, readings: TableIndex) -> bool:
    """Whether the best, or the worst, is the largest number."""
    return (fact.relation == "best") != _lower(fact, reading, readings)


def _direction_told(fact: Fact, reading: Measurement, readings: TableIndex) -> str:
    """Return in words that less is better, where the claim asks for better or worse."""
    asks = fact.relation in ("better", "worse", "best", "worst")
    return ", where lower is better" if asks and _lower(fact, reading, readings) else ""


def _extreme(fact: Fact, index: int, readings: TableIndex) -> tuple[Evidence, ...]:
    """Judge "the best on B" by all systems beside it: its column, or its row where the columns are systems."""
    found: dict[str, list[Evidence]] = defaultdict(list)
    name = readings.subject_id(fact.subject)
    for one in candidates(readings, fact.subject, fact.benchmark, replace(fact, value=None)):
        down = name in vocabulary.names(one.cell.row_path)
        line = [
            other
            for other in readings.of(one).readings
            if _beside(one, other, down=down) and readings.of(one).alike(one, other)
        ]
        highest = fact.relation == "highest" or (fact.relation != "lowest" and _wants_most(fact, one, readings))
        top = (max if highest else min)(other.value for other in line)
        paths = [other.cell.row_path if down else other.cell.column_path for other in line if other.value == top]
        found[one.document.sha256].append(
            Evidence(
                backend="table",
                stance=Stance.SUPPORTS if one.value == top else Stance.REFUTES,
                why=f"{fact.words()}: of {len(line)} {'rows' if down else 'columns'}, {top} is {fact.relation}"
                f" ({', '.join(map(' > '.join, paths))})" + _direction_told(fact, one, readings),
                target=target(one, readings),
                fact=index,
            )
        )
    return tuple(evidence for group in found.values() for evidence in _in_some_setting(fact, group))


def _beside(one: Measurement, other: Measurement, *, down: bool) -> bool:
    """Whether two cells hold the same measure of two systems, the same number of each cell."""
    same = one.cell.column == other.cell.column if down else one.cell.row == other.cell.row
    return same and one.index == other.index
