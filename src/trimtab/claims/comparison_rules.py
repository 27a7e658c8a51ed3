"""Comparisons, computed from cells: of two systems on a benchmark, on all of them, and of one with all others.

What is compared stands in one table and one setting. A difference is judged at its own precision, and as the cells
were rounded, too, one unit off in the last digit refutes nothing.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from trimtab.claims import arithmetic, settings, vocabulary
from trimtab.claims.cell_objections import other_unit
from trimtab.claims.claim_verdict import Stance
from trimtab.claims.header_reader import ACROSS, AXES
from trimtab.claims.setting_columns import DESCRIBES
from trimtab.claims.wording import any_case, key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trimtab.claims.claim_model import Fact
    from trimtab.claims.claim_verdict import Evidence
    from trimtab.claims.header_reader import Measurement
    from trimtab.claims.table_index import TableIndex
    from trimtab.claims.vocabulary import Axis

    _Pair = tuple[Measurement, Measurement]

_PERIOD: Final = any_case(
    r"(?:(?:FY|Q[1-4]|H[12]|fiscal|year|in)\s*)*(?:19|20)\d\d(?:\s*[-/\u2013]\s*\d{2,4})?(?:\s*Q[1-4])?|Q[1-4]|H[12]"
    r"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?(?:\s+(?:19|20)\d\d)?"
)
_UNIT: Final = re.compile(
    r"[(\[]([%$\u20ac\u00a3#]|USD|EUR|pp|[mun\u00b5]?s|min|h|hours|days|years|[mk]?g|[cmk]?m|[kKMGT]i?B|mmHg|t/ha|k?Wh?|J|k?Hz"
    r"|dB|\u00b0C|tok(?:ens)?/s|fps|FPS|[GT]?FLOPs)[)\]]\s*$"
)
_NO_SYSTEM: Final = any_case(
    r"^\W*(?:ground[- ]truth|humans?|oracle|upper bound|references?|gold|ceiling|skyline|teacher)\b(?!-?\w)"
)
"""Rows of what systems are held against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """A cell of a comparison's subject, and what it says beside the other side's."""

    reading: Measurement
    evidence: Evidence

    @property
    def holds(self) -> bool:
        """Whether it bears the comparison out."""
        return self.evidence.stance is Stance.SUPPORTS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extreme:
    """A cell of a superlative's subject: whether it is the most of all beside it, of its group, or cannot be asked."""

    reading: Measurement
    over_all: bool
    of_group: bool
    undecided: bool
    why: str


def compare(fact: Fact, tables: TableIndex) -> list[Evidence]:
    """Return what the tables say about a comparison, whether or not it is denied."""
    over_all = not fact.benchmark and not fact.metric and bool(fact.comparator)
    ours = tables.candidates(fact)
    if fact.relation in ("best", "worst", "highest", "lowest"):
        over_all = False
        compared = _extremes(fact, ours, tables)
    else:
        subject, benchmark = fact.comparator or fact.subject, fact.comparator_benchmark or fact.benchmark
        theirs = tables.candidates(replace(fact, subject=subject, benchmark=benchmark))
        pairs = _measured_alike(ours, theirs, tables) if over_all else _pairs(ours, theirs, tables)
        compared = [_compared(fact, reading, other, tables) for reading, other in pairs]
    documents: dict[str, list[_Compared]] = defaultdict(list)
    for result in compared:
        documents[result.reading.document.sha256].append(result)
    judge = _over_all if over_all else _in_some_setting
    return [evidence for group in documents.values() for evidence in judge(fact, group, tables)]


def _in_some_setting(fact: Fact, compared: Sequence[_Compared], _: TableIndex) -> list[Evidence]:
    """Return what one document says of a comparison in several settings.

    One that it bears out in one setting is not refuted by another. A direction that it bears out in one and not in
    another is decided by neither.
    """
    holding = [result.evidence for result in compared if result.holds]
    if not holding or len(holding) == len(compared) or fact.value:
        return holding or [result.evidence for result in compared]
    return [replace(item, stance=Stance.MIXED, why=f"{item.why}; in another setting it is not so") for item in holding]


def _pairs(ours: Sequence[Measurement], theirs: Sequence[Measurement], tables: TableIndex) -> list[_Pair]:
    """Pair cells of one table and one setting; where no table has both, cells of one document.

    Of the pairs of two tables only those that agree most are kept, first in their headers, then, of the pairs of two
    columns, in what stands to the left of both: a model at one temperature or capacity is not compared with another
    model at a different one.
    """
    pairs = [
        (reading, other)
        for reading in ours
        for other in theirs
        if reading is not other and reading.document is other.document and not reading.setting.conflicts(other.setting)
    ]
    close = [(reading, other) for reading, other in pairs if reading.table == other.table]
    headed = _most_alike(close or pairs, lambda reading: reading.table, _shared_heads)
    return _most_alike(headed, lambda reading: (reading.table, reading.cell.column), tables.shared_left)


def _most_alike(
    pairs: Sequence[_Pair],
    place: Callable[[Measurement], object],
    likeness: Callable[[Measurement, Measurement], int],
) -> list[_Pair]:
    """Return of the pairs whose sides stand in the same two places those with most likeness."""
    groups: dict[object, list[_Pair]] = defaultdict(list)
    for reading, other in pairs:
        groups[place(reading), place(other)].append((reading, other))
    chosen: list[_Pair] = []
    for group in groups.values():
        alike = [likeness(*pair) for pair in group]
        chosen += [pair for pair, much in zip(group, alike, strict=True) if much == max(alike)]
    return chosen


def _shared_heads(reading: Measurement, other: Measurement) -> int:
    """Count the headers that two cells have in common, place by place where both have as many."""
    return sum(
        sum(map(str.__eq__, mine, its)) if len(mine) == len(its) else (Counter(mine) & Counter(its)).total()
        for mine, its in ((reading.path(axis), other.path(axis)) for axis in AXES)
    )


def _compared(fact: Fact, reading: Measurement, other: Measurement, tables: TableIndex) -> _Compared:
    """Return what two cells say of a comparison."""
    gap = reading.value - other.value
    lower = _lower(fact, reading, tables)
    better = -gap if lower else gap
    if unit := other_unit(fact, reading):
        return _Compared(reading=reading, evidence=tables.evidence(reading, Stance.NEUTRAL, f"the table is {unit}"))
    if lower is None and fact.relation in ("better", "worse"):
        why = f"{reading.value} and {other.value}, and whether more or less of it is better is not said"
        return _Compared(reading=reading, evidence=tables.evidence(reading, Stance.NEUTRAL, why))
    holds = {"greater": gap > 0, "less": gap < 0, "better": better > 0, "worse": better < 0, "same": gap == 0}
    stance = Stance.SUPPORTS if holds[fact.relation] else Stance.REFUTES
    if holds[fact.relation] and fact.value is not None:
        stance = _sized(fact, reading.value, other.value)
    share = gap / other.value * 100 if other.value else Decimal(0)
    why = f"computed from the cells, {reading.value} \u2212 {other.value} = {gap}"
    why += (f" ({share:.1f} % of it)" if fact.relative else "") + _direction(fact, lower=lower)
    return _Compared(reading=reading, evidence=tables.evidence(reading, stance, why))


def _sized(fact: Fact, first: Decimal, other: Decimal) -> Stance:
    """Return whether two values differ by as much as a fact says; "18 % better" may mean points or a share."""
    assert fact.value is not None  # noqa: S101 - the caller's condition
    claimed, decimals, unit = abs(fact.value.value), fact.value.decimals, fact.value.unit
    gap = abs(first - other)
    share = abs(gap / other * 100) if other else Decimal(0)
    if unit == "x":
        sizes = [abs(first / other) if other else Decimal(0)]
    elif fact.relative:
        sizes = [share]
    else:
        sizes = [*arithmetic.scales(fact.value, gap, ""), *([share] if unit == "%" else [])]
    if any(arithmetic.same(claimed, decimals, size, fact.hedge) == "equal" for size in sizes):
        return Stance.SUPPORTS
    coarse = min(decimals, arithmetic.places(first), arithmetic.places(other))
    near = any(abs(claimed - size) <= Decimal(1).scaleb(-coarse) for size in sizes)
    return Stance.MIXED if near and fact.hedge == "exactly" else Stance.REFUTES


def _measured_alike(
    ours: Sequence[Measurement], theirs: Sequence[Measurement], tables: TableIndex
) -> list[_Pair]:  # fmt: skip
    """Pair the cells of two systems in one column of one table and in one setting, or in one row of it."""
    places: dict[tuple[object, ...], list[Measurement]] = defaultdict(list)
    for other in theirs:
        for axis in AXES:
            places[other.line(axis), other.index].append(other)
    return [
        (reading, other)
        for reading in ours
        if not DESCRIBES.search(" ".join(reading.heads))
        for axis in reversed(AXES)
        for other in places.get((reading.line(axis), reading.index), [])
        if other is not reading and tables.of(reading).alike(reading, other)
    ]


def _over_all(fact: Fact, compared: Sequence[_Compared], tables: TableIndex) -> list[Evidence]:
    """Judge a comparison that names no benchmark by all that both systems have been measured on in one document.

    Where it says "all", one that says otherwise refutes it. Where it says nothing, all have to agree.
    """
    compared = _where_it_may_hold(compared, tables)
    left_out = {tables.registry.id_of(name, "benchmarks") or key(name) for name in fact.exceptions}
    excepted = [bool(left_out & {result.reading.benchmark, *result.reading.names}) for result in compared]
    inside = [result.evidence for result, out in zip(compared, excepted, strict=True) if not out]
    stances = Counter(item.stance for item in inside)
    if fact.quantifier == "count":
        if len(inside) != fact.of or stances[Stance.MIXED]:
            return [item for item in inside if item.stance is Stance.MIXED]
        stance = Stance.SUPPORTS if stances[Stance.SUPPORTS] == fact.count else Stance.REFUTES
        return [replace(item, stance=stance) for item in inside]
    if fact.quantifier == "all":
        outside = [result for result, out in zip(compared, excepted, strict=True) if out]
        if not stances[Stance.REFUTES] and any(result.holds for result in outside):
            return [replace(result.evidence, stance=Stance.MIXED) for result in outside]
        if stances[Stance.REFUTES]:
            return [item for item in inside if item.stance is Stance.REFUTES]
    differ = fact.quantifier != "all" and stances[Stance.SUPPORTS] and stances[Stance.REFUTES]
    return [replace(item, stance=Stance.MIXED) for item in inside] if differ or stances[Stance.MIXED] else inside


def _where_it_may_hold(compared: Sequence[_Compared], tables: TableIndex) -> list[_Compared]:
    """Return the pairs without those of a column in which other rows of the same two names bear the comparison out.

    A table that has a name in several rows says by something else, a budget or a depth, which of them is which. Where
    it says so in columns of settings, the comparison holds in one setting and not in another, and is left open.
    """
    columns: dict[object, list[_Compared]] = defaultdict(list)
    for result in compared:
        columns[result.reading.table, result.reading.cell.column, result.reading.index].append(result)
    chosen: list[_Compared] = []
    for group in columns.values():
        holding = [result for result in group if result.holds]
        if holding and len(holding) < len(group) and tables.of(group[0].reading).settings:
            holding = [replace(result, evidence=replace(result.evidence, stance=Stance.MIXED)) for result in holding]
        chosen += holding or group
    return chosen


def _lower(fact: Fact, reading: Measurement, tables: TableIndex) -> bool | None:
    """Whether less is better: by the table, else by the claim's metric or unit; None where that is left open."""
    metric = tables.registry.id_of(fact.metric, "metrics")
    unit = fact.value.unit if fact.value else ""
    if reading.lower is None and metric:
        return tables.registry.better(metric, "metrics") == "lower"
    return True if reading.lower is None and unit.startswith(("nats", "bits")) else tables.lower_is_better(reading)


def _direction(fact: Fact, *, lower: bool | None) -> str:
    """Return in words that less is better, where the claim asks for better or worse."""
    return ", where lower is better" if lower and fact.relation in ("better", "worse", "best", "worst") else ""


def _extremes(fact: Fact, ours: Sequence[Measurement], tables: TableIndex) -> list[_Compared]:
    """Judge "the best on B" in each column that a system has cells in, or row where the columns are systems.

    It has to be the best of all rows, and is not if it is not even the best of those that were measured alike. What is
    the best of these alone is left open, and so is a column whose rows are different measures or years of one.
    """
    lines: dict[object, list[_Extreme]] = defaultdict(list)
    for reading in ours:
        extreme = _extreme(fact, reading, tables)
        lines[reading.table, reading.cell.column, reading.index].append(extreme)
    compared: list[_Compared] = []
    for group in lines.values():
        is_best = any(item.over_all for item in group)
        left_open = any(item.undecided for item in group) or (not is_best and any(item.of_group for item in group))
        for item in group:
            stance = Stance.NEUTRAL if left_open else Stance.SUPPORTS if item.over_all else Stance.REFUTES
            if left_open or item.over_all or not item.of_group:
                evidence = tables.evidence(item.reading, stance, item.why)
                compared.append(_Compared(reading=item.reading, evidence=evidence))
    return compared


def _extreme(fact: Fact, reading: Measurement, tables: TableIndex) -> _Extreme:
    """Hold a cell against all beside it that were measured as the fact says, and against those of its group."""
    table, lower = tables.of(reading), _lower(fact, reading, tables)
    axis: Axis = "row" if tables.subject_id(fact.subject) in vocabulary.names(reading.cell.row_path) else "column"
    line = [
        other
        for other in table.readings
        if other.line(ACROSS[axis]) == reading.line(ACROSS[axis])
        and other.index == reading.index
        # The best of all models is not meant to be better than the truth.
        and (other is reading or not _NO_SYSTEM.search(" ".join(other.path(axis))))
        and not settings.conflicts(fact.setting, table.setting_of(other, fact.setting))
    ]
    path = reading.path(axis)
    alike = [other for other in line if table.alike(reading, other)]
    headed = [other for other in line if len(path) > 1 and other.path(axis)[:-1] == path[:-1]]
    most = {"highest": max, "lowest": min, "best": min if lower else max, "worst": max if lower else min}[fact.relation]
    top = most(other.value for other in line)
    best = [" > ".join(other.path(axis)) for other in line if other.value == top]
    why = f"of {len(line)} {axis}s, {top} is {fact.relation} ({', '.join(best)})"
    groups = [alike, *([headed] if len(headed) > 1 else [])]
    return _Extreme(
        reading=reading,
        over_all=reading.value == top,
        of_group=any(reading.value == most(other.value for other in group) for group in groups),
        undecided=len(line) == 1
        or (lower is None and fact.relation in ("best", "worst"))
        or not _comparable(fact, reading, line, tables, axis),
        why=why + _direction(fact, lower=lower),
    )


def _comparable(fact: Fact, reading: Measurement, line: Sequence[Measurement], tables: TableIndex, axis: Axis) -> bool:
    """Whether cells beside each other are one measure of several systems, and not several measures or years of one.

    "Net debt was highest in 2022" is over the years of its row. The rows beside it are other things than a net debt.
    """
    periods = any(_PERIOD.fullmatch(text.strip()) for text in (fact.benchmark, *reading.path(ACROSS[axis])))
    measures = {tables.headers.read(" ".join(other.path(axis))).metric for other in line}
    units = {(other.cell.unit, *_UNIT.findall("".join(other.path(axis)[-1:]))) for other in line}
    return not periods and len(measures) == 1 and len(units) == 1
