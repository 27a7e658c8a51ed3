"""Facts against table cells: the exact tuple, its value at the claim's precision, and where a foreign value stands.

A cell decides only when the whole tuple is there: subject, benchmark and every part of the setting that both sides
give. A value that differs is a contradiction; one that stands under another header of the same subject, or under the
same header of another subject, is misattributed, and that place is its home. A tuple that is nowhere decides nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from trimtab.claims import arithmetic, settings
from trimtab.claims.claim_verdict import Evidence, Flag, Stance, Target
from trimtab.claims.dataset_binding import own_result
from trimtab.claims.table_index import matching
from trimtab.claims.wording import stems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from trimtab.claims.claim_model import Fact, Quantity
    from trimtab.claims.table_index import Reading, Readings


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """What tables say about one fact: evidence, most telling first, and remarks that decide nothing."""

    evidence: tuple[Evidence, ...] = ()
    flags: tuple[Flag, ...] = ()


def target(reading: Reading, readings: Readings) -> Target:
    """Return the exact place of a reading."""
    cell, document = reading.cell, reading.document
    table = cell.label or f"table {cell.table}"
    row, column = " > ".join(cell.row_path), " > ".join(cell.column_path)
    return Target(
        kind="cell",
        document=document.path,
        sha256=document.sha256,
        work=document.work,
        location=f"{table}, row {row}, column {column} ({cell.position})",
        table=cell.table,
        row=cell.row,
        column=cell.column,
        quote=cell.text,
        beside=readings.row(reading),
    )


def look_up(fact: Fact, index: int, readings: Readings) -> Lookup:
    """Return what the tables say about a fact."""
    if fact.relation == "equals":
        return _value(fact, index, readings) if fact.value else Lookup()
    return _comparison(fact, index, readings)


def candidates(readings: Readings, subject: str, benchmark: str, fact: Fact) -> list[Reading]:
    """Return the cells that hold the tuple of a fact, in the order of their documents."""
    known, words = _place(readings, benchmark)
    if subject:
        pool = readings.by_subject.get(readings.subject_id(subject), [])
    elif known:
        pool = readings.by_benchmark.get(known, [])
    else:
        pool = _rarest(readings, words)
    metric = readings.registry.id_of(fact.metric, "metrics")
    found = matching(pool, known, words) if known or words else _measuring(pool, fact.metric, metric)
    fitting = [one for one in found if not settings.conflicts(fact.setting, one.setting)]
    return [one for one in fitting if not (metric and one.metric and metric != one.metric)]


def _measuring(pool: Sequence[Reading], text: str, metric: str) -> Sequence[Reading]:
    """Return the cells of a metric where that is all a fact names: by id where it is known, else by its words."""
    if metric:
        return [one for one in pool if one.metric == metric]
    return matching(pool, "", frozenset(stems(text))) if text else pool


def _place(readings: Readings, benchmark: str) -> tuple[str, frozenset[str]]:
    return readings.registry.id_of(benchmark, "benchmarks"), frozenset(stems(benchmark))


def _rarest(readings: Readings, words: frozenset[str]) -> list[Reading]:
    """Return the cells with the rarest of ``words``."""
    lists = [readings.by_word.get(word, []) for word in words]
    return min(lists, key=len, default=[])


def _same(quantity: Quantity, fact: Fact, reading: Reading) -> arithmetic.Sameness:
    ways = [
        arithmetic.same(quantity.value, quantity.decimals, value, fact.hedge)
        for value in arithmetic.scales(quantity, reading.value, reading.cell.unit)
    ]
    return min(ways, key=("equal", "truncated", "finer", "different").index)


def _value(fact: Fact, index: int, readings: Readings) -> Lookup:
    assert fact.value is not None  # noqa: S101 - the caller's condition
    found = candidates(readings, fact.subject, fact.benchmark, fact)
    if not fact.benchmark and (not fact.metric or _several_columns(found)):
        # "X reaches 92", "X reaches 92 F1": any of several numbers of X could be meant, so only agreement tells.
        found = [one for one in found if _same(fact.value, fact, one) == "equal"]
    if not fact.subject:
        # A paper's own result without a name: other rows of the column are other systems, not contradictions, and a row
        # that cites another work is that work's.
        found = [one for one in found if own_result(one.cell) and _same(fact.value, fact, one) == "equal"]
    judged = [(one, _same(fact.value, fact, one)) for one in found]
    alike = [_agrees(fact, index, one, how, readings) for one, how in judged if how != "different"]
    unlike = [one for one, how in judged if how == "different" and not _explained(one, judged)]
    homes = _homes(fact, unlike, readings)
    differing = [_differs(fact, index, one, homes.get(one.document.sha256), readings) for one in unlike]
    return Lookup(evidence=(*alike, *differing), flags=tuple(_remarks(judged, fact)))


def _several_columns(found: Sequence[Reading]) -> bool:
    """Whether the cells of some table stand in more than one column."""
    columns = {(one.table, one.cell.column) for one in found}
    return len(columns) > len({table for table, _ in columns})


def _explained(reading: Reading, judged: Sequence[tuple[Reading, arithmetic.Sameness]]) -> bool:
    """Whether a differing cell is only another setting of a cell that agrees: same table, or a setting that differs."""
    return any(
        how != "different"
        and other.document is reading.document
        and (other.table == reading.table or settings.conflicts(other.setting, reading.setting))
        for other, how in judged
    )


def _agrees(fact: Fact, index: int, reading: Reading, how: arithmetic.Sameness, readings: Readings) -> Evidence:
    assert fact.value is not None  # noqa: S101
    remark = {"equal": "", "truncated": ", cut off instead of rounded", "finer": ", with fewer digits"}[how]
    stance = Stance.SUPPORTS if how == "equal" else Stance.MIXED
    return Evidence(
        backend="table",
        stance=stance,
        why=f"{fact.words()}: the table has {reading.cell.text}{remark}",
        target=target(reading, readings),
        fact=index,
    )


def _differs(fact: Fact, index: int, reading: Reading, home: Reading | None, readings: Readings) -> Evidence:
    assert fact.value is not None  # noqa: S101
    why = f"{fact.words()}: the table has {reading.cell.text}"
    place = target(home, readings) if home else None
    if place and home:
        why += f"; {fact.value.text} is {_where(home)}"
    return Evidence(
        backend="table", stance=Stance.REFUTES, why=why, target=target(reading, readings), fact=index, home=place
    )


def _where(home: Reading) -> str:
    cell = home.cell
    table = cell.label or f"table {cell.table}"
    return f"{table}'s value for {' > '.join(cell.row_path)} under {' > '.join(cell.column_path)}"


def _homes(fact: Fact, unlike: Sequence[Reading], readings: Readings) -> dict[str, Reading]:
    """Return document → where the value really stands, for the documents that contradict it."""
    found: dict[str, Reading] = {}
    for document in dict.fromkeys(one.document.sha256 for one in unlike):
        ranked = sorted(_strays(fact, document, readings), key=lambda pair: pair[0])
        if ranked:
            found[document] = ranked[0][1]
    return found


def _strays(fact: Fact, document: str, readings: Readings) -> Iterable[tuple[int, Reading]]:
    """Yield the cells of ``document`` with this very value: the subject's own first, then those of its benchmark."""
    assert fact.value is not None  # noqa: S101
    known, words = _place(readings, fact.benchmark)
    own = readings.by_subject.get(readings.subject_id(fact.subject), [])
    column = readings.by_benchmark.get(known, []) if known else matching(own, known, words)
    for rank, pool in enumerate((own, column)):
        for one in pool:
            if one.cell.document == document and _same(fact.value, fact, one) == "equal":
                yield rank, one


def _remarks(judged: Iterable[tuple[Reading, arithmetic.Sameness]], fact: Fact) -> Iterable[Flag]:
    counted = Counter(how for _, how in judged)
    if not counted["equal"] and counted["truncated"]:
        yield Flag(name="precision", text=f"{fact.words()}: digits were cut off, not rounded")
    if not counted["equal"] and counted["finer"]:
        yield Flag(name="precision", text=f"{fact.words()}: the source gives fewer digits than the claim")


def _comparison(fact: Fact, index: int, readings: Readings) -> Lookup:
    if fact.relation in ("best", "worst", "highest", "lowest"):
        return _extreme(fact, index, readings)
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
    # A document that bears the comparison out in one setting is not refuted by another setting it also reports.
    kept = [
        evidence
        for group in found.values()
        for evidence in ([e for e in group if e.stance is Stance.SUPPORTS] or group)
    ]
    return Lookup(evidence=tuple(kept))


def _pairs(
    ours: Sequence[Reading], theirs: Sequence[Reading], readings: Readings
) -> Iterable[tuple[Reading, Reading]]:  # fmt: skip
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
    pairs: Iterable[tuple[Reading, Reading]], by: Callable[[Reading], object]
) -> Iterable[list[tuple[Reading, Reading]]]:  # fmt: skip
    """Return the pairs whose two sides stand in the same two places."""
    found: dict[object, list[tuple[Reading, Reading]]] = {}
    for one, other in pairs:
        found.setdefault((by(one), by(other)), []).append((one, other))
    return found.values()


def _alike(
    pairs: Sequence[tuple[Reading, Reading]], likeness: Callable[[Reading, Reading], int]
) -> Sequence[tuple[Reading, Reading]]:  # fmt: skip
    """Return the pairs with the most likeness."""
    found = [likeness(one, other) for one, other in pairs]
    most = max(found)
    return [pair for pair, much in zip(pairs, found, strict=True) if much == most]


def _shared_heads(one: Reading, other: Reading) -> int:
    """Count the headers that two cells have in common."""
    return _common(one.cell.row_path, other.cell.row_path) + _common(one.cell.column_path, other.cell.column_path)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Count equal headers, place by place where both have as many."""
    if len(one) == len(other):
        return sum(map(str.__eq__, one, other))
    return (Counter(one) & Counter(other)).total()


def _compared(fact: Fact, index: int, one: Reading, other: Reading, readings: Readings) -> Evidence:
    gap = one.value - other.value
    share = gap / other.value * 100 if other.value else Decimal(0)
    up, down = (gap < 0, gap > 0) if _lower(fact, one, readings) else (gap > 0, gap < 0)
    holds = {"greater": gap > 0, "less": gap < 0, "better": up, "worse": down, "same": gap == 0}[fact.relation]
    size = abs(share if fact.relative else gap)
    if holds and fact.value is not None:
        holds = arithmetic.same(abs(fact.value.value), fact.value.decimals, size, fact.hedge) == "equal"
    computed = f"{one.value} \u2212 {other.value} = {gap}" + (f" ({share:.1f} % of it)" if fact.relative else "")
    computed += _direction_told(fact, one, readings)
    return Evidence(
        backend="table",
        stance=Stance.SUPPORTS if holds else Stance.REFUTES,
        why=f"{fact.words()}: computed from the cells, {computed}",
        target=target(one, readings),
        fact=index,
    )


def _lower(fact: Fact, reading: Reading, readings: Readings) -> bool:
    """Whether less is better: by the table, else by the claim's metric or unit; where nothing says, more is."""
    if reading.lower is not None:
        return reading.lower
    metric = readings.registry.id_of(fact.metric, "metrics")
    unit = fact.value.unit if fact.value else ""
    return readings.registry.better(metric, "metrics") == "lower" or unit.startswith(("nats", "bits"))


def _wants_most(fact: Fact, reading: Reading, readings: Readings) -> bool:
    """Whether the best, or the worst, is the largest number."""
    return (fact.relation == "best") != _lower(fact, reading, readings)


def _direction_told(fact: Fact, reading: Reading, readings: Readings) -> str:
    """Return in words that less is better, where the claim asks for better or worse."""
    asks = fact.relation in ("better", "worse", "best", "worst")
    return ", where lower is better" if asks and _lower(fact, reading, readings) else ""


def _extreme(fact: Fact, index: int, readings: Readings) -> Lookup:
    """Judge "the best on B" by the whole column."""
    found = []
    for one in candidates(readings, fact.subject, fact.benchmark, replace(fact, value=None)):
        column = [other for other in readings.by_table[one.table] if other.cell.column == one.cell.column]
        highest = fact.relation == "highest" or (fact.relation != "lowest" and _wants_most(fact, one, readings))
        top = (max if highest else min)(other.value for other in column)
        holders = [" > ".join(other.cell.row_path) for other in column if other.value == top]
        found.append(
            Evidence(
                backend="table",
                stance=Stance.SUPPORTS if one.value == top else Stance.REFUTES,
                why=f"{fact.words()}: of {len(column)} rows, {top} is {fact.relation} ({', '.join(holders)})"
                + _direction_told(fact, one, readings),
                target=target(one, readings),
                fact=index,
            )
        )
    return Lookup(evidence=tuple(found))
