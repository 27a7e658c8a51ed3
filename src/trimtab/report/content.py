"""What stands in a report, in order: the answer, the evidence, how it was made, and what it cannot show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trimtab.report import answer, figures, numbers, series, words
from trimtab.report.conditions import cells, conditions, links, methods
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
from trimtab.study.endpoints import DESCRIPTIVE, ENDPOINTS, HEADLINE
from trimtab.study.table import UNSANDBOXED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trimtab.report.series import Logs
    from trimtab.study.endpoints import Endpoint
    from trimtab.study.table import Row, StudyTable

_NONE: Final = "\u2013"


def document(table: StudyTable) -> ReportDocument:
    """Return the whole report of ``table``."""
    logs = series.load(table)
    return ReportDocument(
        title=table.study.name,
        subtitle=table.study.description,
        chips=_chips(table),
        sections=(
            Section(title="The answer", blocks=answer.blocks(table)),
            Section(title="What each stress costs", blocks=_blocks(figures.degradation(table), *_levels(table))),
            Section(title="Balance", blocks=_blocks(figures.max_violation(table, logs), _routing(table))),
            Section(title="Dropped calls", blocks=_blocks(figures.drops(table, logs), _drops(table))),
            Section(title="Training loss", blocks=_blocks(figures.loss(table, logs))),
            Section(title="Evaluation capacity", blocks=_blocks(figures.eval_capacity(table), *_capacities(table))),
            Section(title="Controls", blocks=_controls(table)),
            Section(title="Method", blocks=(Bullets(tuple((line,) for line in _method(table))),)),
            Section(title="What this cannot show", blocks=(Bullets(tuple((line,) for line in words.limits(table))),)),
            Section(title="Cells", blocks=_cells(table, logs)),
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


def _levels(table: StudyTable) -> list[Block]:
    """Return the headline value of every endpoint: mean over seeds, a row a method and condition."""
    measured = [one for one in ENDPOINTS.values() if any(row.endpoint == one.name for row in table.rows)]
    rows = []
    for condition in conditions(table.study):
        for method in methods(table.study):
            ids = cells(table, condition, method)
            values = [_mean_cell(one, _headline(table, one, ids)) for one in measured]
            rows.append(
                (
                    cell(condition.label, kind="name"),
                    cell(Code(method)),
                    *values,
                    cell(*links(table, ids), kind="cells"),
                )
            )
    rows.append(
        (cell("unigram baseline", kind="name"), cell(""), *(_baseline(table, one) for one in measured), cell(""))
    )
    head = ("trained", "method", *(f"{one.title}, {numbers.level_unit(one)}" for one in measured), "cells")
    caption = "Mean over seeds and, in brackets, lowest and highest seed; evaluated dropless."
    return [ReportTable(head=head, rows=tuple(rows), caption=caption, kind="numbers")]


def _baseline(table: StudyTable, endpoint: Endpoint) -> ReportCell:
    """Return the loss of the training text's unigram distribution, mean over cells."""
    found = [each.unigram[endpoint.name] for each in table.details.values() if endpoint.name in each.unigram]
    value = series.mean(found)
    return cell(_NONE if value is None else numbers.level(endpoint, value), kind="number")


def _headline(table: StudyTable, endpoint: Endpoint, ids: Sequence[str], capacity: str = HEADLINE) -> list[float]:
    return [
        row.value
        for row in table.rows
        if row.cell_id in ids
        and row.endpoint == endpoint.name
        and row.eval_capacity == capacity
        and row.value is not None
    ]


def _mean_cell(endpoint: Endpoint, values: Sequence[float]) -> ReportCell:
    if not values:
        return cell(_NONE)
    low, middle, high = min(values), sum(values) / len(values), max(values)
    if len(values) == 1:
        return cell(numbers.level(endpoint, middle), kind="number")
    span = f"[{numbers.level(endpoint, low)}, {numbers.level(endpoint, high)}]"
    return ReportCell(((numbers.level(endpoint, middle),), (span,)), kind="number")


def _routing(table: StudyTable) -> ReportTable:
    """Return the state of the routers at the end of training, mean over layers and seeds."""
    columns = (
        ("MaxVio", "max_violation"),
        ("its floor", "max_violation_floor"),
        ("entropy", "entropy"),
        ("dead experts", "dead_experts"),
        ("bias spread", "bias_spread"),
    )
    rows = []
    for condition in conditions(table.study):
        for method in methods(table.study):
            ids = cells(table, condition, method)
            values = [_statistic(table, ids, key, "train_tail", None) for _, key in columns]
            written = [cell(_NONE if value is None else f"{value:.3g}", kind="number") for value in values]
            rows.append(
                (
                    cell(condition.label, kind="name"),
                    cell(Code(method)),
                    *written,
                    cell(*links(table, ids), kind="cells"),
                )
            )
    head = ("trained", "method", *(name for name, _ in columns), "cells")
    caption = "At the end of training; mean over layers and seeds."
    return ReportTable(head=head, rows=tuple(rows), caption=caption, kind="numbers")


def _statistic(table: StudyTable, ids: Sequence[str], key: str, phase: str, capacity: str | None) -> float | None:
    return series.mean(
        [
            float(line[key])
            for name in ids
            for line in table.details[name].routing
            if line.get("phase") == phase and line.get("eval_capacity") == capacity and line.get(key) is not None
        ]
    )


def _drops(table: StudyTable) -> ReportTable | None:
    """Return dropped shares with their floors: in training and in every evaluation that had a capacity."""
    phases = [("train_tail", None)]
    for details in table.details.values():
        for line in details.routing:
            key = (line.get("phase", ""), line.get("eval_capacity"))
            if key not in phases and key[1] not in (None, HEADLINE):
                phases.append(key)
    if not table.results:
        return None
    rows = []
    for condition in conditions(table.study):
        for method in methods(table.study):
            ids = cells(table, condition, method)
            found = [
                (_statistic(table, ids, "drop_rate", *one), _statistic(table, ids, "drop_floor", *one))
                for one in phases
            ]
            rows.append(
                (cell(condition.label, kind="name"), cell(Code(method)), *(_drop_cell(*pair) for pair in found),
                 cell(*links(table, ids), kind="cells"))
            )  # fmt: skip
    names = ["end of training", *(f"{phase.removeprefix('eval:')} at {capacity}" for phase, capacity in phases[1:])]
    return ReportTable(
        head=("trained", "method", *names, "cells"),
        rows=tuple(rows),
        caption="Calls dropped, in per cent, mean over layers and seeds; in brackets what a uniform router would drop.",
        kind="numbers",
    )


def _drop_cell(rate: float | None, floor: float | None) -> ReportCell:
    if rate is None:
        return cell(_NONE)
    return ReportCell(((f"{100 * rate:.1f}",), (f"({100 * floor:.1f})" if floor is not None else "",)), kind="number")


def _capacities(table: StudyTable) -> list[Block]:
    """Return one table an endpoint: a row a cell, a column an evaluation capacity."""
    blocks: list[Block] = []
    for endpoint in (*ENDPOINTS.values(), *DESCRIPTIVE):
        found = [row for row in table.rows if row.endpoint == endpoint.name and row.value is not None]
        names = list(dict.fromkeys(row.eval_capacity for row in found))
        if not found:
            continue
        by_cell: dict[str, dict[str, Row]] = {}
        for row in found:
            by_cell.setdefault(row.cell_id, {})[row.eval_capacity] = row
        rows = tuple(
            (cell(Link(name, f"../cells/{name}/result.json")), *(_value(endpoint, one.get(column)) for column in names))
            for name, one in by_cell.items()
        )
        folded = f"Every cell: {endpoint.title}, {numbers.level_unit(endpoint)}"
        blocks.append(ReportTable(head=("cell", *names), rows=rows, kind="numbers", folded=folded))
    return blocks


def _value(endpoint: Endpoint, row: Row | None) -> ReportCell:
    if row is None or row.value is None:
        return cell(_NONE)
    tip = f"{row.numerator:.6g} / {row.denominator:.6g} over {row.units} units\n{row.folder}/result.json"
    return cell(numbers.level(endpoint, row.value), kind="number", tip=tip)


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


def _cells(table: StudyTable, logs: Logs) -> tuple[Block, ...]:
    rows = {name: _cell_row(table, logs, name) for name in table.cells}
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


def _cell_row(table: StudyTable, logs: Logs, name: str) -> tuple[ReportCell, ...]:
    counts = table.counts.get(name)
    state = "missing" if counts is None else counts.outcome
    reason = table.missing.get(name) or logs.unreadable.get(name, "")
    tokens = f"{table.details[name].training.get('tokens', 0):,}" if counts else _NONE
    shown = cell(state, kind="" if state == "completed" else "worse")
    linked = cell(Link(name, f"../cells/{name}/") if (table.folder / "cells" / name).is_dir() else Code(name))
    return linked, shown, cell(tokens, kind="number"), cell(reason)


def _environment(table: StudyTable) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for part in ("machine", "packages", "sandbox", "training text"):
        found = table.environment.get(part)
        if isinstance(found, dict):
            blocks.append(_pairs(part, found))
    if not blocks:
        blocks.append(Paragraph(("The environment of this run was not recorded.",)))
    return (*blocks, Listing(summary="study.toml", text=table.study.text))


def _pairs(name: str, values: Mapping[str, object]) -> ReportTable:
    rows = tuple((cell(key), cell(_plain(value))) for key, value in values.items())
    return ReportTable(head=(name, ""), rows=rows, kind="pairs")


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key} {_plain(one)}" for key, one in value.items())
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
