"""Facts against table cells: the exact tuple, its value at the claim's precision, and where a foreign value stands.

A cell decides only when the whole tuple is there: subject, benchmark and every part of the setting that both sides
give. A value that differs is a contradiction; one that stands under another header of the same subject, or under the
same header of another subject, is misattributed, and that place is its home. A tuple that is nowhere decides nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from trimtab.claims import arithmetic, setting_columns, settings
from trimtab.claims.cell_lookup import candidates, place, target
from trimtab.claims.claim_verdict import Evidence, Flag, Stance
from trimtab.claims.comparison_rules import compare
from trimtab.claims.table_index import matching
from trimtab.claims.wording import MEANS, any_of, key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.claims.claim_model import Fact, Quantity
    from trimtab.claims.header_reader import Measurement
    from trimtab.claims.table_index import TableIndex
    from trimtab.documents.parts import TableCell

_CITES: Final = re.compile(r"et al|\(\s*(?:19|20)\d\d|\[\s*\d+\s*\]|\b(?:19|20)\d\d\s*\)")
_DEVELOPMENT: Final = any_of(r"dev|val|valid|validation|development|train|training")

# What a column of results measures where no header says it; "" is no known measure.
_USUAL: Final = frozenset({"", "accuracy", "pass", "exact_match", "f1", "win_rate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """What tables say about one fact: evidence, most telling first, and remarks that decide nothing."""

    evidence: tuple[Evidence, ...] = ()
    flags: tuple[Flag, ...] = ()


def look_up(fact: Fact, index: int, readings: TableIndex) -> Lookup:
    """Return what the tables say about a fact."""
    if fact.relation != "equals":
        looked = Lookup(evidence=_denied(fact, compare(fact, index, readings)))
    else:
        looked = _value(fact, index, readings) if fact.value else Lookup()
    if not any(one.stance is Stance.REFUTES for one in looked.evidence):
        return looked
    cells = candidates(readings, fact.subject, fact.benchmark, fact) if fact.setting != settings.NOTHING else ()
    left = list(
        dict.fromkeys(
            filter(
                None, (settings.unsaid(fact.setting, readings.of(one).setting_of(one, fact.setting)) for one in cells)
            )
        )
    )
    if key(fact.benchmark) in MEANS:
        left.append("over what the mean is")
    return replace(looked, evidence=tuple(_not_said(one, left) for one in looked.evidence)) if left else looked


def _not_said(evidence: Evidence, unsaid: Sequence[str]) -> Evidence:
    """Return evidence that refutes nothing, because the table does not say something that the claim does."""
    if evidence.stance is not Stance.REFUTES:
        return evidence
    why = f"{evidence.why}, and does not say {', '.join(unsaid)}"
    return replace(evidence, stance=Stance.NEUTRAL, home=None, why=why)


def own_result(cell: TableCell) -> bool:
    """Whether a cell can be the paper's own test result: no other work's row and no development set, or bold."""
    headers = " ".join((*cell.row_path, *cell.column_path))
    return cell.bold or not (_CITES.search(" ".join(cell.row_path)) or _DEVELOPMENT.search(headers))


def _same(quantity: Quantity, fact: Fact, reading: Measurement) -> arithmetic.Sameness:
    ways = [
        arithmetic.same(quantity.value, quantity.decimals, value, fact.hedge)
        for value in arithmetic.scales(quantity, reading.value, reading.cell.unit)
    ]
    if fact.negated and fact.hedge in ("at least", "at most"):
        ways = ["different" if how == "near" else how for how in ways]
    return min(ways, key=("equal", "truncated", "finer", "near", "different").index)


def _value(fact: Fact, index: int, readings: TableIndex) -> Lookup:
    assert fact.value is not None  # noqa: S101 - the caller's condition
    found = candidates(readings, fact.subject, fact.benchmark, fact)
    if _several_measures(found) if fact.benchmark else not fact.metric or _several_columns(found):
        # "X reaches 92", "X reaches 92 F1": any of several numbers of X could be meant, so only agreement tells.
        found = [one for one in found if _same(fact.value, fact, one) == "equal"]
    if not fact.subject:
        # A paper's own result without a name: other rows of the column are other systems, not contradictions, and a row
        # that cites another work is that work's.
        found = [one for one in found if own_result(one.cell) and _same(fact.value, fact, one) == "equal"]
    judged = [(one, _same(fact.value, fact, one)) for one in found]
    alike = [
        _agrees(fact, index, one, how, readings, apart=_rivals(one, judged, readings))
        for one, how in judged
        if how != "different"
    ]
    unlike = [one for one, how in judged if how == "different" and not _explained(one, judged)]
    homes = _homes(fact, unlike, readings)
    differing = [
        _undecided(fact, index, one, found, readings)
        if _contested(one, found)
        else _differs(fact, index, one, homes.get(one.document.sha256), readings)
        for one in unlike
    ]
    evidence = (*alike, *differing)
    remarks = [*_remarks(judged, fact), *(_no_such_row(fact, readings) if not judged else ())]
    return Lookup(evidence=_denied(fact, evidence), flags=tuple(remarks))


def _no_such_row(fact: Fact, readings: TableIndex) -> Iterable[Flag]:
    """Say of a system's rows that none was measured as a fact says, where that is so."""
    of_any = candidates(
        readings, fact.subject, fact.benchmark, replace(fact, setting=replace(fact.setting, columns=()))
    )
    for setting in fact.setting.columns:
        texts = dict.fromkeys(filter(None, (readings.of(one).under(one, setting.head) for one in of_any)))
        if texts and not any(setting_columns.same_value(setting.value, text) for text in texts):
            yield Flag(
                name="setting",
                text=f"{fact.words()}: no row has {setting.head} {setting.value}, only {', '.join(texts)}",
            )


def _denied(fact: Fact, evidence: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Return the evidence on what is said, from that on what the statement denies."""
    if not fact.negated:
        return evidence
    turned = {Stance.SUPPORTS: Stance.REFUTES, Stance.REFUTES: Stance.SUPPORTS}
    return tuple(replace(one, stance=turned.get(one.stance, one.stance), home=None) for one in evidence)


def _rivals(
    reading: Measurement, judged: Sequence[tuple[Measurement, arithmetic.Sameness]], readings: TableIndex
) -> str | None:  # fmt: skip
    """Return what parts a row from others of its table with its name and other values; None without any."""
    rivals = [
        other
        for other, how in judged
        if how == "different"
        and other.table == reading.table
        and other.cell.column == reading.cell.column
        and other.index == reading.index
        and (other.setting == reading.setting or not readings.of(reading).alike(other, reading))
    ]
    return readings.of(reading).apart([reading, *rivals]) if rivals else None


def _several_columns(found: Sequence[Measurement]) -> bool:
    """Whether the cells of some table stand in more than one column."""
    columns = {(one.table, one.cell.column) for one in found}
    return len(columns) > len({table for table, _ in columns})


def _several_measures(found: Sequence[Measurement]) -> bool:
    """Whether the cells of some table are of more than one measure that its headers name."""
    measures = {(one.table, one.metric) for one in found if one.metric}
    return len(measures) > len({table for table, _ in measures})


def _explained(reading: Measurement, judged: Sequence[tuple[Measurement, arithmetic.Sameness]]) -> bool:
    """Whether a differing cell is only another setting of a cell that agrees: same table, or a setting that differs."""
    return any(
        how != "different"
        and other.document is reading.document
        and (other.table == reading.table or settings.conflicts(other.setting, reading.setting))
        for other, how in judged
    )


def _contested(reading: Measurement, found: Sequence[Measurement]) -> bool:
    """Whether the same file gives the tuple another value elsewhere: its headers then leave a setting unsaid."""
    return any(
        one.document is reading.document
        and one.index == reading.index
        and one.setting == reading.setting
        and one.value != reading.value
        for one in found
    )


def _undecided(
    fact: Fact, index: int, reading: Measurement, found: Sequence[Measurement], readings: TableIndex
) -> Evidence:  # fmt: skip
    why = f"{fact.words()}: the table has {reading.cell.text}, and another value for the same name elsewhere"
    same = [one for one in found if one.table == reading.table and one.cell.column == reading.cell.column]
    if told := readings.of(reading).apart(same):
        why += f"; the sentence would have to say its {told}"
    return Evidence(backend="table", stance=Stance.NEUTRAL, why=why, target=target(reading, readings), fact=index)


def _agrees(
    fact: Fact, index: int, reading: Measurement, how: str, readings: TableIndex, *, apart: str | None
) -> Evidence:
    assert fact.value is not None  # noqa: S101
    how = "several" if how == "equal" and apart is not None else how
    remark = {
        "several": ", and another value for the same name"
        + (f"; the sentence would have to say its {apart}" if apart else ""),
        "truncated": ", cut off instead of rounded",
        "finer": ", with fewer digits",
        "near": ", near it",
    }.get(how, "")
    stance = Stance.SUPPORTS if how == "equal" else Stance.MIXED
    return Evidence(
        backend="table",
        stance=stance,
        why=f"{fact.words()}: the table has {reading.cell.text}{remark}",
        target=target(reading, readings),
        fact=index,
    )


def _differs(fact: Fact, index: int, reading: Measurement, home: Measurement | None, readings: TableIndex) -> Evidence:
    assert fact.value is not None  # noqa: S101
    why = f"{fact.words()}: the table has {reading.cell.text}"
    place = target(home, readings) if home else None
    if place and home:
        why += f"; {fact.value.text} is {_where(home)}"
        if home.cell.row_path == reading.cell.row_path and home.table == reading.table:
            why += f", of another {readings.of(reading).apart([reading, home])}"
    if open_parts := _unsaid(fact, reading, readings):
        # Another variant, language or part may be meant, so this cell is shown and refutes nothing.
        why = f"{fact.words()}: the table has {reading.cell.text} for {', '.join(open_parts)}, which is not said"
        return Evidence(backend="table", stance=Stance.NEUTRAL, why=why, target=target(reading, readings), fact=index)
    return Evidence(
        backend="table", stance=Stance.REFUTES, why=why, target=target(reading, readings), fact=index, home=place
    )


def _unsaid(fact: Fact, reading: Measurement, readings: TableIndex) -> tuple[str, ...]:
    """Return the parts of a cell's headers that a fact leaves open."""
    name = readings.subject_id(fact.subject)
    said = [readings.of(reading).under(reading, setting.head) or "" for setting in fact.setting.columns]
    said += [part for part in reading.cell.row_path if fact.benchmark and key(part) == key(fact.benchmark)]
    rest = (" > ".join(reading.cell.row_path),) if readings.of(reading).behind(reading, name, said) else ()
    if not reading.metric and readings.registry.id_of(fact.metric, "metrics") not in _USUAL:
        rest = (*rest, "a measure that its headers do not name")  # an error rate or a BLEU score beside accuracies
    return (*rest, *(readings.of(reading).unsaid(reading, name, fact.benchmark, said) if fact.benchmark else ()))


def _where(home: Measurement) -> str:
    cell = home.cell
    table = cell.label or f"table {cell.table}"
    return f"{table}'s value for {' > '.join(cell.row_path)} under {' > '.join(cell.column_path)}"


def _homes(fact: Fact, unlike: Sequence[Measurement], readings: TableIndex) -> dict[str, Measurement]:
    """Return document → where the value really stands, for the documents that contradict it."""
    found: dict[str, Measurement] = {}
    for document in dict.fromkeys(one.document.sha256 for one in unlike):
        ranked = sorted(_strays(fact, document, readings), key=lambda pair: pair[0])
        if ranked:
            found[document] = ranked[0][1]
    return found


def _strays(fact: Fact, document: str, readings: TableIndex) -> Iterable[tuple[int, Measurement]]:
    """Yield the cells of ``document`` with this very value: the subject's own first, then those of its benchmark."""
    assert fact.value is not None  # noqa: S101
    known, words = place(readings, fact.benchmark)
    own = readings.by_subject.get(readings.subject_id(fact.subject), [])
    column = readings.by_benchmark.get(known, []) if known else matching(own, known, words)
    for rank, pool in enumerate((own, column)):
        for one in pool:
            if (
                one.cell.document == document
                and not readings.of(one).is_setting(one)
                and _same(fact.value, fact, one) == "equal"
            ):
                yield rank, one


def _remarks(judged: Iterable[tuple[Measurement, arithmetic.Sameness]], fact: Fact) -> Iterable[Flag]:
    counted = Counter(how for _, how in judged)
    if not counted["equal"] and counted["truncated"]:
        yield Flag(name="precision", text=f"{fact.words()}: digits were cut off, not rounded")
    if not counted["equal"] and counted["finer"]:
        yield Flag(name="precision", text=f"{fact.words()}: the source gives fewer digits than the claim")
