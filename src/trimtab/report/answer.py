"""What a report begins with: the answer in words, as a matrix method × stress × benchmark, and with its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trimtab.errors import counted
from trimtab.report import charts, numbers, words
from trimtab.report.document import Block, Bullets, Code, Paragraph, ReportCell, ReportTable, Strong, cell
from trimtab.study.endpoints import ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.report.document import Inline
    from trimtab.report.study_view import StudyView
    from trimtab.stats import Estimate
    from trimtab.study.answers import Answer
    from trimtab.study.table import StudyTable

_GLYPHS: Final = {
    "equivalent": "\u2248",
    "better": "\u25b2",
    "worse": "\u25bc",
    "undecided": "?",
    "exploratory": "\u25cb",
    "not measured": "\u2013",
    "not yet run": "\u2026",
}
_NONE: Final = "\u2013"


def blocks(view: StudyView) -> tuple[Block, ...]:
    """Return the answer of a study."""
    table = view.table
    contrast = table.study.contrast
    tested = [row for row in table.answers if row.role == "primary"]
    rows = [row for row in tested if row.method == contrast.treatment]
    sentences: list[tuple[Inline, ...]] = [
        (words.sentence(row, table.study.confidence),) for row in rows if not row.waiting
    ]
    if len(sentences) < len(rows):
        sentences.append(
            (f"Not yet run, so nothing is said: {len(rows) - len(sentences)} of {len(rows)} rows, named in the table.",)
        )
    for method in dict.fromkeys(row.method for row in tested if row.method != contrast.treatment):
        counts = words.verdict_counts([row for row in tested if row.method == method])
        sentences.append((Code(method), f" beside {contrast.control}: {counts}, each in the table."))
    told_how = (
        f" does, with its {numbers.percent(table.study.confidence)} interval. Positive, to the right: it loses more."
        " Shaded: the margin within which a difference would not matter. Thick line: the interval that must lie inside"
        " the margin to be called equivalent."
    )
    arms = (Code(contrast.treatment), " loses under the stress than ", Code(contrast.control))
    return (
        Paragraph((Strong(words.lead(table)),), kind="lead"),
        Bullets(tuple(sentences)),
        _matrix(table),
        *_remarks([row for row in table.answers if row.method == contrast.treatment and row.role != "primary"]),
        Paragraph(("Each cell: how much more ", *arms, told_how), kind="note"),
        _details(view),
    )


def _remarks(rows: Sequence[Answer]) -> tuple[Block, ...]:
    """Return why cells of the matrix hold no verdict, or less of one than their interval suggests; once each."""
    told: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        # That seeds are few is said in the word itself and among the limits.
        if row.reason and not row.words.startswith("undecided ("):
            told.setdefault((ENDPOINTS[row.endpoint].title, row.words, row.reason), []).append(row.stressor.short)
    lines = tuple((f"{title}, {', '.join(names)}: {word}: {why}.",) for (title, word, why), names in told.items())
    return (Bullets(lines, kind="note"),) if lines else ()


def _matrix(table: StudyTable) -> ReportTable:
    names = list(dict.fromkeys(row.endpoint for row in table.answers))
    found: dict[tuple[str, str, str], dict[str, Answer]] = {}
    for row in table.answers:
        found.setdefault((row.method, row.model, row.stressor.label), {})[row.endpoint] = row
    reach = {name: _reach([row for row in table.answers if row.endpoint == name]) for name in names}
    several = len(table.study.factors["model"]) > 1
    body = []
    for (method, model, label), group in found.items():
        short = next(iter(group.values())).stressor.short
        stress = ReportCell(((f"{model}: {short}" if several else short,), (label,)), kind="stress")
        body.append((cell(Code(method)), stress, *(_verdict(group[name], reach[name]) for name in names)))
    head = ["method", "stress"]
    for name in names:
        endpoint, margin = ENDPOINTS[name], table.study.margins.get(name)
        band = f"\u00b1{numbers.scaled(endpoint, margin):g} " if margin else ""
        primary = ", primary" if name == table.study.endpoints.primary else ""
        head.append(f"{endpoint.title}{primary} ({band}{numbers.unit(endpoint)})")
    return ReportTable(head=tuple(head), rows=tuple(body), kind="matrix")


def _verdict(row: Answer, reach: float) -> ReportCell:
    endpoint = ENDPOINTS[row.endpoint]
    glyph = _GLYPHS[row.words.split(" (")[0]]
    lines: list[tuple[Inline, ...]] = [(Strong(f"{glyph} {row.words}"),)]
    picture = ""
    if row.difference is not None:
        lines.append((numbers.signed(endpoint, row.difference.value, row.margin),))
        lines.append((numbers.span(endpoint, row.difference.interval, row.margin),))
        picture = _picture(row, row.difference, reach)
    elif row.diverged:
        lines.append((f"{counted(len(row.diverged), 'cell')} diverged",))
    tip = "\n".join(
        filter(None, (row.reason, counted(len(row.seeds), "seed"), *(f"cells/{name}" for name in row.cells)))
    )
    return ReportCell(
        tuple(lines), kind=f"verdict {row.words.split(' (')[0].replace(' ', '-')}", picture=picture, tip=tip
    )


def _picture(row: Answer, estimate: Estimate, reach: float) -> str:
    outer, inner = estimate.interval, estimate.equivalence
    if outer is None or inner is None:
        return ""
    return charts.small_interval(
        estimate.value, (outer.low, outer.high), (inner.low, inner.high), margin=row.margin, reach=reach
    )


def _reach(rows: Sequence[Answer]) -> float:
    """Return the largest absolute number in one column, so that its small pictures share an axis."""
    values = [row.margin or 0.0 for row in rows]
    for estimate in (row.difference for row in rows):
        if estimate is not None:
            values.append(abs(estimate.value))
            values += [abs(end) for one in [estimate.interval] if one for end in (one.low, one.high)]
    return 1.1 * max(values, default=1.0) or 1.0


def _details(view: StudyView) -> ReportTable:
    confidence = view.table.study.confidence
    tost = numbers.percent(1 - 2 * (1 - confidence))
    head = (
        "endpoint", "method", "stress", "D of method", "D of control", "difference",
        numbers.percent(confidence), f"{tost} (TOST)", "interval by", "p, Holm", "p of TOST, Holm", "tests", "seeds",
        "verdict", "remark", "cells",
    )  # fmt: skip
    return ReportTable(
        head=head,
        rows=tuple(_detail(view, row) for row in view.table.answers),
        kind="numbers",
        folded="Every number of the answer, with the cells it was computed from",
    )


def _detail(view: StudyView, row: Answer) -> tuple[ReportCell, ...]:
    endpoint, estimate = ENDPOINTS[row.endpoint], row.difference

    def value(one: Estimate | None) -> ReportCell:
        return cell(numbers.signed(endpoint, one.value, row.margin) if one else _NONE, kind="number")

    return (
        cell(f"{endpoint.title}, {numbers.unit(endpoint)}"),
        cell(Code(row.method)),
        cell(row.stressor.label),
        value(row.treated),
        value(row.controlled),
        value(estimate),
        cell(numbers.span(endpoint, estimate.interval, row.margin) if estimate else _NONE, kind="number"),
        cell(numbers.span(endpoint, estimate.equivalence, row.margin) if estimate else _NONE, kind="number"),
        cell(estimate.method if estimate else _NONE),
        cell(numbers.p_value(row.p_difference if row.tests else None), kind="number"),
        cell(numbers.p_value(row.p_equivalence if row.tests else None), kind="number"),
        cell(str(row.tests) if row.tests else _NONE, kind="number"),
        cell(str(len(row.seeds)), kind="number"),
        cell(row.words),
        cell("; ".join(filter(None, (row.reason, *row.missing)))),
        cell(*view.grouped_links(row.cells), kind="cells"),
    )
