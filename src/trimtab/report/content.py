"""What stands in a report, in order: the answer, the evidence, how it was made, and what it cannot show."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from trimtab.report import answer, figures, numbers, series, words
from trimtab.report.document import (
    Block,
    Bullets,
    Code,
    Link,
    Listing,
    Paragraph,
    ReportCell,
    ReportDocument,
    ReportTable,
    Section,
    cell,
)
from trimtab.report.study_view import StudyView
from trimtab.study.cell_details import TRAIN_TAIL
from trimtab.study.endpoints import DESCRIPTIVE, ENDPOINTS, HEADLINE
from trimtab.study.table import UNSANDBOXED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.report.study_view import MethodCells
    from trimtab.study.endpoints import Endpoint
    from trimtab.study.table import Row, StudyTable

_NONE: Final = "\u2013"


def document(table: StudyTable) -> ReportDocument:
    """Return the whole report of ``table``."""
    view = StudyView.of(table)
    method = tuple((line,) for line in _method(table))
    limits = tuple((line,) for line in words.limits(table))
    return ReportDocument(
        title=table.study.name,
        subtitle=table.study.description,
        chips=_chips(table),
        sections=(
            Section(title="The answer", blocks=answer.blocks(view)),
            Section(title="What each stress costs", blocks=_blocks(figures.degradation(view), _levels(view))),
            Section(title="Balance", blocks=_blocks(figures.max_violation(view), _routing(view))),
            Section(title="Dropped calls", blocks=_blocks(figures.drops(view), _drops(view))),
            Section(title="Training loss", blocks=_blocks(figures.loss(view))),
            Section(title="Evaluation capacity", blocks=_blocks(figures.eval_capacity(view), *_capacities(table))),
            Section(title="Controls", blocks=_controls(table)),
            Section(title="Method", blocks=(Bullets(method),)),
            Section(title="What this cannot show", blocks=(Bullets(limits),)),
            Section(title="Cells", blocks=_cells(view)),
            Section(title="Environment", blocks=_environment(table)),
        ),
    )


def _blocks(*blocks: Block | None) -> tuple[Block, ...]:
    found = tuple(block for block in blocks if block is not None)
    return found or (Paragraph(("Nothing to show: no finished cell recorded it.",)),)


def _chips(table: StudyTable) -> tuple[tuple[str, str], ...]:
    seeds = len(table.study.factors["seed"])
    sandbox = table.sandbox if table.sandbox in (UNSANDBOXED, "not recorded") else f"tier {table.sandbox}"
    return (
        ("cells", f"{len(table.results)} of {len(table.cells)}"),
        ("seeds", str(seeds)),
        ("treatment", table.study.contrast.treatment),
        ("control", table.study.contrast.control),
        ("sandbox", sandbox),
    )


def _arm_row(view: StudyView, arm: MethodCells, cells: Sequence[ReportCell]) -> tuple[ReportCell, ...]:
    """Return a row about one method in one condition, with links to the cells it was made of."""
    return (
        cell(arm.condition, kind="name"),
        cell(Code(arm.method)),
        *cells,
        cell(*view.links(arm.cells), kind="cells"),
    )


def _levels(view: StudyView) -> ReportTable:
    """Return the headline value of every endpoint: mean over seeds, a row a method and condition."""
    named = {row.endpoint for row in view.table.rows}
    measured = [endpoint for endpoint in ENDPOINTS.values() if endpoint.name in named]
    rows = [
        _arm_row(view, arm, [_mean_cell(endpoint, view.values_of(arm, endpoint)) for endpoint in measured])
        for arm in view.arms
    ]
    # What the training text's unigram distribution scores, mean over cells.
    baselines = []
    for endpoint in measured:
        details = view.table.details.values()
        value = series.mean([each.unigram[endpoint.name] for each in details if endpoint.name in each.unigram])
        baselines.append(cell(_NONE if value is None else numbers.level(endpoint, value), kind="number"))
    rows.append((cell("unigram baseline", kind="name"), cell(""), *baselines, cell("")))
    head = ("trained", "method", *(f"{one.title}, {numbers.level_unit(one)}" for one in measured), "cells")
    caption = "Mean over seeds and, in brackets, lowest and highest seed; evaluated dropless."
    return ReportTable(head=head, rows=tuple(rows), caption=caption, kind="numbers")


def _mean_cell(endpoint: Endpoint, values: Sequence[float]) -> ReportCell:
    if not values:
        return cell(_NONE)
    low, middle, high = min(values), sum(values) / len(values), max(values)
    if len(values) == 1:
        return cell(numbers.level(endpoint, middle), kind="number")
    span = f"[{numbers.level(endpoint, low)}, {numbers.level(endpoint, high)}]"
    return ReportCell(((numbers.level(endpoint, middle),), (span,)), kind="number")


def _routing(view: StudyView) -> ReportTable:
    """Return the state of the routers at the end of training, mean over layers and seeds."""
    columns = (
        ("MaxVio", attrgetter("max_violation")),
        ("its floor", attrgetter("max_violation_floor")),
        ("entropy", attrgetter("entropy")),
        ("dead experts", attrgetter("dead_experts")),
        ("bias spread", attrgetter("bias_spread")),
    )
    rows = []
    for arm in view.arms:
        values = [view.routing(arm, read, TRAIN_TAIL) for _, read in columns]
        written = [cell(_NONE if value is None else f"{value:.3g}", kind="number") for value in values]
        rows.append(_arm_row(view, arm, written))
    head = ("trained", "method", *(name for name, _ in columns), "cells")
    caption = "At the end of training; mean over layers and seeds."
    return ReportTable(head=head, rows=tuple(rows), caption=caption, kind="numbers")


def _drops(view: StudyView) -> ReportTable | None:
    """Return dropped shares with their floors: in training and in every evaluation that had a capacity."""
    if not view.table.results:
        return None
    states = [state for details in view.table.details.values() for state in details.routing]
    limited = [state for state in states if state.eval_capacity not in (None, HEADLINE)]
    phases = [(TRAIN_TAIL, None), *dict.fromkeys((state.phase, state.eval_capacity) for state in limited)]
    rows = []
    for arm in view.arms:
        shares = []
        for phase, capacity in phases:
            rate = view.routing(arm, attrgetter("drop_rate"), phase, capacity)
            floor = view.routing(arm, attrgetter("drop_floor"), phase, capacity)
            if rate is None:
                shares.append(cell(_NONE))
            else:
                by_chance = f"({100 * floor:.1f})" if floor is not None else ""
                shares.append(ReportCell(((f"{100 * rate:.1f}",), (by_chance,)), kind="number"))
        rows.append(_arm_row(view, arm, shares))
    names = ["end of training", *(f"{phase.removeprefix('eval:')} at {capacity}" for phase, capacity in phases[1:])]
    return ReportTable(
        head=("trained", "method", *names, "cells"),
        rows=tuple(rows),
        caption="Calls dropped, in per cent, mean over layers and seeds; in brackets what a uniform router would drop.",
        kind="numbers",
    )


def _capacities(table: StudyTable) -> list[Block]:
    """Return one table an endpoint: a row a cell, a column an evaluation capacity."""
    by_endpoint: dict[str, dict[str, dict[str, Row]]] = {}
    for row in table.rows:
        if row.value is not None:
            by_endpoint.setdefault(row.endpoint, {}).setdefault(row.cell_id, {})[row.eval_capacity] = row
    blocks: list[Block] = []
    for endpoint in (*ENDPOINTS.values(), *DESCRIPTIVE):
        by_cell = by_endpoint.get(endpoint.name, {})
        names = list(dict.fromkeys(capacity for rows in by_cell.values() for capacity in rows))
        rows = []
        for name, measured in by_cell.items():
            values = []
            for capacity in names:
                value = measured.get(capacity)
                if value is None or value.value is None:
                    values.append(cell(_NONE))
                    continue
                counted = f"{value.numerator:.6g} / {value.denominator:.6g} over {value.units} units"
                tip = f"{counted}\n{value.folder}/result.json"
                values.append(cell(numbers.level(endpoint, value.value), kind="number", tip=tip))
            rows.append((cell(Link(name, f"../cells/{name}/result.json")), *values))
        if rows:
            folded = f"Every cell: {endpoint.title}, {numbers.level_unit(endpoint)}"
            blocks.append(ReportTable(head=("cell", *names), rows=tuple(rows), kind="numbers", folded=folded))
    return blocks


def _controls(table: StudyTable) -> tuple[Block, ...]:
    if not table.controls:
        return (Paragraph(("No controls are recorded beside this study.",)),)
    rows = tuple(
        (
            cell(one.name),
            cell(one.kind),
            cell(one.factor),
            cell(Code(one.endpoint)),
            cell(f"{one.measured:+.3g}".replace("-", "\u2212"), kind="number"),
            cell(f"{one.threshold:.3g}", kind="number"),
            cell("passed" if one.passed else "FAILED", kind="better" if one.passed else "worse"),
            cell("; ".join(filter(None, (one.note, ", ".join(one.cells))))),
        )
        for one in table.controls
    )
    lead = (
        "A positive control is a stress that must show by at least its threshold; a negative one is a change of name"
        " that must not. Where a positive control of a factor fails, the endpoint is exploratory for that factor and no"
        " verdict is printed from it. Harm is positive."
    )
    head = ("control", "kind", "factor", "endpoint", "measured", "threshold", "", "from")
    return (Paragraph((lead,)), ReportTable(head=head, rows=rows, kind="numbers"))


def _method(table: StudyTable) -> list[str]:
    study = table.study
    alpha = 1 - study.confidence
    printed, tost = numbers.percent(study.confidence), numbers.percent(1 - 2 * alpha)
    text = f"""
Degradation of a method and seed is its metric under a stress minus its metric at the reference
({study.reference.expert_init}, {study.reference.capacity}), with the sign turned where higher is better. The difference
is the degradation of the treatment minus that of the control, seed by seed.

The printed interval ({printed}) is the wider of Student's t over seeds and a percentile bootstrap that resamples seeds
and units (problems, windows) independently. Losses are sums of nats over sums of tokens or bytes in every resample.

Equivalent: two one-sided tests at {numbers.percent(alpha)}, that is, the {tost} interval lies inside the margin written
in the study file. Otherwise better or worse if the printed interval excludes 0; otherwise undecided. Under 3 seeds
always undecided.

Holm's adjustment runs over the stresses of the primary endpoint as one family and over all rows of the secondary
endpoints as another; differences and equivalences are adjusted apart. The printed intervals are not adjusted, the words
are.

A training that diverged ranks worst and is never dropped: rows with one are decided by an exact sign test over seeds
and have no interval.

Headline values are dropless. pass@1 is the unbiased estimator (arXiv 2107.03374) over generated programs that were run
in the sandbox named above.
"""
    return [" ".join(paragraph.split("\n")) for paragraph in text.strip().split("\n\n")]


def _cells(view: StudyView) -> tuple[Block, ...]:
    table = view.table
    rows = {name: _cell_row(view, name) for name in table.cells}
    odd = [name for name in rows if name not in table.counts or table.counts[name].outcome != "completed"]
    lead = (
        "Every number above is computed from these folders: ", Code("result.json"), " holds counts per problem, ",
        Code("verdicts.jsonl"), " and ", Code("samples.jsonl"), " the programs behind them, ", Code("train.jsonl"),
        " every step. The same values in long form: ", Link("table.csv", "../table.csv"), ".",
    )  # fmt: skip
    head = ("cell", "state", "training tokens", "remark")
    blocks: list[Block] = [Paragraph(lead)]
    if odd:
        blocks.append(ReportTable(head=head, rows=tuple(rows[name] for name in odd), kind="numbers"))
    folded = f"All {len(rows)} cells"
    return (*blocks, ReportTable(head=head, rows=tuple(rows.values()), kind="numbers", folded=folded))


def _cell_row(view: StudyView, name: str) -> tuple[ReportCell, ...]:
    table = view.table
    counts = table.counts.get(name)
    state = "missing" if counts is None else counts.outcome
    reason = table.missing.get(name) or view.logs.unreadable.get(name, "")
    tokens = f"{table.details[name].tokens:,}" if counts else _NONE
    shown = cell(state, kind="" if state == "completed" else "worse")
    linked = cell(Link(name, f"../cells/{name}/") if (table.folder / "cells" / name).is_dir() else Code(name))
    return linked, shown, cell(tokens, kind="number"), cell(reason)


def _environment(table: StudyTable) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for part in ("machine", "packages", "sandbox", "training text"):
        recorded = table.environment.get(part)
        if isinstance(recorded, dict):
            rows = tuple((cell(key), cell(_plain(value))) for key, value in recorded.items())
            blocks.append(ReportTable(head=(part, ""), rows=rows, kind="pairs"))
    if not blocks:
        blocks.append(Paragraph(("The environment of this run was not recorded.",)))
    return (*blocks, Listing(summary="study.toml", text=table.study.text))


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key} {_plain(one)}" for key, one in value.items())
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
