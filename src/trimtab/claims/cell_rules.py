"""Facts against table cells: the exact tuple, its value at the claim's precision, and where a foreign value stands.

A cell decides only when the whole tuple is there: subject, benchmark and every part of the setting that both sides
give. A value that differs is a contradiction; one that stands under another header of the same subject, or under the
same header of another subject, is misattributed, and that place is its home. A tuple that is nowhere decides nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from trimtab.claims import arithmetic, setting_columns, settings
from trimtab.claims.cell_objections import StatedValue, measured_otherwise, wrong_beside
from trimtab.claims.claim_verdict import Flag, Stance
from trimtab.claims.comparison_rules import compare
from trimtab.claims.header_reader import USUAL_METRICS
from trimtab.claims.table_index import matching
from trimtab.claims.wording import MEANS, any_of, key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from trimtab.claims.arithmetic import Sameness
    from trimtab.claims.claim_model import Fact
    from trimtab.claims.claim_verdict import Evidence
    from trimtab.claims.header_reader import Measurement
    from trimtab.claims.table_index import TableIndex
    from trimtab.documents.parts import TableCell

_CITES: Final = re.compile(r"et al|\(\s*(?:19|20)\d\d|\[\s*\d+\s*\]|\b(?:19|20)\d\d\s*\)")
_DEVELOPMENT: Final = any_of(r"dev|val|valid|validation|development|train|training")

_OTHER_DIGITS: Final[Mapping[Sameness, str]] = {
    "truncated": "digits were cut off, not rounded",
    "finer": "the source gives fewer digits than the claim",
}
_REMARKS: Final[Mapping[Sameness, str]] = {
    "truncated": ", cut off instead of rounded",
    "finer": ", with fewer digits",
    "near": ", near it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """What tables say about one fact: evidence, most telling first, and remarks that decide nothing."""

    evidence: tuple[Evidence, ...] = ()
    flags: tuple[Flag, ...] = ()


def look_up(fact: Fact, index: int, tables: TableIndex, statement: str = "") -> Lookup:
    """Return what the tables say about a fact; ``statement`` is the sentence that it was read from."""
    if fact.relation != "equals":
        looked = Lookup(evidence=tuple(compare(fact, tables)))
    else:
        looked = _value(fact, tables, statement) if fact.value else Lookup()
    turned = {Stance.SUPPORTS: Stance.REFUTES, Stance.REFUTES: Stance.SUPPORTS} if fact.negated else {}
    about, unsaid = f"{fact.words()}: ", ", ".join(_not_in_tables(fact, tables))
    evidence = []
    for item in looked.evidence:
        stance, why = turned.get(item.stance, item.stance), about + item.why
        home = None if fact.negated else item.home
        if unsaid and stance is Stance.REFUTES:
            stance, why, home = Stance.NEUTRAL, f"{why}, and does not say {unsaid}", None
        evidence.append(replace(item, fact=index, stance=stance, why=why, home=home))
    return Lookup(
        evidence=tuple(evidence),
        flags=tuple(replace(flag, text=about + flag.text) for flag in looked.flags),
    )


def _not_in_tables(fact: Fact, tables: TableIndex) -> Iterable[str]:
    """Return in words what a fact says of how it was measured and the tables do not."""
    cells = tables.candidates(fact) if fact.setting != settings.NOTHING else ()
    unsaid = (settings.unsaid(fact.setting, tables.of(result).setting_of(result, fact.setting)) for result in cells)
    mean = "over what the mean is" if key(fact.benchmark) in MEANS else ""
    return dict.fromkeys(filter(None, (*unsaid, mean)))


def own_result(cell: TableCell) -> bool:
    """Whether a cell can be the paper's own test result: no other work's row and no development set, or bold."""
    headers = " ".join((*cell.row_path, *cell.column_path))
    return cell.bold or not (_CITES.search(" ".join(cell.row_path)) or _DEVELOPMENT.search(headers))


def _same(fact: Fact, reading: Measurement) -> Sameness:
    """Return how a fact's value and a cell's agree."""
    quantity = fact.value
    assert quantity is not None  # noqa: S101 - asked of facts with a value
    how = arithmetic.nearest(quantity, arithmetic.scales(quantity, reading.value, reading.cell.unit), fact.hedge)
    rounded = fact.negated and fact.hedge in ("at least", "at most")
    return "different" if how == "near" and rounded else how


def _value(fact: Fact, tables: TableIndex, statement: str) -> Lookup:
    """Return what the cells of a value's tuple say."""
    cells = tables.candidates(fact)
    judged = {result: _same(fact, result) for result in cells}
    if fact.benchmark:
        several = _several((result.table, result.metric) for result in cells if result.metric)
    else:
        several = not fact.metric or _several((result.table, result.cell.column) for result in cells)
    if several or not fact.subject:
        # "X reaches 92 F1": any of several numbers of X could be meant, so only agreement tells. So it does of a
        # paper's own result without a name: other rows of the column are other systems, or other works.
        judged = {
            result: how
            for result, how in judged.items()
            if how == "equal" and (fact.subject or own_result(result.cell))
        }
    unlike = [result for result, how in judged.items() if how == "different" and not _explained(result, judged)]
    alike = [result for result, how in judged.items() if how != "different"]
    homes = {document: _home(fact, document, tables) for document in {result.cell.document for result in unlike}}
    claimed = StatedValue(fact=fact, statement=statement)
    evidence = [
        _evidence(claimed, result, judged, homes.get(result.cell.document), tables) for result in (*alike, *unlike)
    ]
    hows = set(judged.values())
    remarks = [text for how, text in _OTHER_DIGITS.items() if how in hows and "equal" not in hows]
    flags = (Flag(name="precision", text=text) for text in remarks) if judged else _no_such_row(fact, tables)
    return Lookup(evidence=tuple(evidence), flags=tuple(flags))


def _several(places: Iterable[tuple[object, object]]) -> bool:
    """Whether some table has more than one of its columns, or of its measures."""
    different = set(places)
    return len(different) > len({table for table, _ in different})


def _explained(reading: Measurement, judged: Mapping[Measurement, Sameness]) -> bool:
    """Whether a differing cell is only another setting of a cell that agrees: same table, or a setting that differs."""
    return any(
        how != "different"
        and other.document is reading.document
        and (other.table == reading.table or settings.conflicts(other.setting, reading.setting))
        for other, how in judged.items()
    )


def _contested(reading: Measurement, cells: Collection[Measurement]) -> bool:
    """Whether the same file gives the tuple another value elsewhere: its headers then leave a setting unsaid."""
    return any(
        result.document is reading.document
        and result.index == reading.index
        and result.setting == reading.setting
        and result.value != reading.value
        for result in cells
    )


def _evidence(
    claimed: StatedValue,
    reading: Measurement,
    judged: Mapping[Measurement, Sameness],
    home: Measurement | None,
    tables: TableIndex,
) -> Evidence:
    """Return what a cell says of a value; ``home`` is a cell that has it, if this one does not."""
    table, differs = tables.of(reading), judged[reading] == "different"
    line = [
        other for other in judged if other.table == reading.table and other.cell.column == reading.cell.column
    ]  # fmt: skip
    why = f"the table has {reading.cell.text}"
    if differs and _contested(reading, judged):
        why += f", and another value for the same name elsewhere{_to_be_said(table.apart(line))}"
        return tables.evidence(reading, Stance.NEUTRAL, why)
    if otherwise := measured_otherwise(claimed, reading, table):
        return tables.evidence(reading, Stance.NEUTRAL, f"{why}, which is {otherwise}")
    if differs:
        return _differs(claimed.fact, reading, home, tables)
    rivals = [other for other in line if judged[other] == "different" and other.index == reading.index]
    remark = _REMARKS.get(judged[reading], "")
    if rivals and not remark:
        remark = f", and another value for the same name{_to_be_said(table.apart([reading, *rivals]))}"
    if wrong := wrong_beside(claimed, reading, table):
        remark += f", and is {wrong}" if wrong.startswith("no ") else f", {wrong}"
    return tables.evidence(reading, Stance.MIXED if remark else Stance.SUPPORTS, why + remark)


def _to_be_said(apart: str) -> str:
    return f"; the sentence would have to say its {apart}" if apart else ""


def _differs(fact: Fact, reading: Measurement, home: Measurement | None, tables: TableIndex) -> Evidence:
    """Return that a cell has another value, and where the fact's stands."""
    why = f"the table has {reading.cell.text}"
    if open_parts := _unsaid(fact, reading, tables):
        # Another variant, language or part may be meant, so this cell is shown and refutes nothing.
        why += f" for {', '.join(open_parts)}, which is not said"
        return tables.evidence(reading, Stance.NEUTRAL, why)
    if home and fact.value:
        row, column = " > ".join(home.cell.row_path), " > ".join(home.cell.column_path)
        table = home.cell.label or f"table {home.cell.table}"
        why += f"; {fact.value.text} is {table}'s value for {row} under {column}"
        if home.cell.row_path == reading.cell.row_path and home.table == reading.table:
            why += f", of another {tables.of(reading).apart([reading, home])}"
    return tables.evidence(reading, Stance.REFUTES, why, home)


def _unsaid(fact: Fact, reading: Measurement, tables: TableIndex) -> tuple[str, ...]:
    """Return the parts of a cell's headers that a fact leaves open."""
    table, name = tables.of(reading), tables.subject_id(fact.subject)
    stated = [table.under(reading, setting.head) or "" for setting in fact.setting.columns]
    stated += [part for part in reading.cell.row_path if fact.benchmark and key(part) == key(fact.benchmark)]
    rest = (" > ".join(reading.cell.row_path),) if table.behind(reading, name, stated) else ()
    metric = tables.registry.id_of(fact.metric, "metrics")
    if metric and not reading.metric and metric not in USUAL_METRICS:
        rest = (*rest, "a measure that its headers do not name")  # an error rate or a BLEU score beside accuracies
    return (*rest, *(table.unsaid(reading, name, fact.benchmark, stated) if fact.benchmark else ()))


def _home(fact: Fact, document: str, tables: TableIndex) -> Measurement | None:
    """Return the cell of a document that has this very value: the subject's own first, then one of its benchmark."""
    known, words = tables.place(fact.benchmark)
    own = tables.by_subject.get(tables.subject_id(fact.subject), [])
    column = tables.by_benchmark.get(known, []) if known else matching(own, known, words)
    inside = (
        result
        for result in (*own, *column)
        if result.cell.document == document and not tables.of(result).is_setting(result)
    )
    return next((result for result in inside if _same(fact, result) == "equal"), None)


def _no_such_row(fact: Fact, tables: TableIndex) -> Iterator[Flag]:
    """Say of a system's rows that none was measured as a fact says, where that is so."""
    anyhow = replace(fact, setting=replace(fact.setting, columns=()))
    cells = tables.candidates(anyhow) if fact.setting.columns else []
    for setting in fact.setting.columns:
        texts = dict.fromkeys(filter(None, (tables.of(result).under(result, setting.head) for result in cells)))
        if texts and not any(setting_columns.same_value(setting.value, text) for text in texts):
            yield Flag(name="setting", text=f"no row has {setting.head} {setting.value}, only {', '.join(texts)}")
