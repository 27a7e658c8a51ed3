"""The figures of a report, each from files of the run folder; every mark's tooltip names the cells it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trimtab.report import charts, conditions, numbers, series
from trimtab.report.document import Figure
from trimtab.study.endpoints import ENDPOINTS, HEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trimtab.report.conditions import Condition
    from trimtab.report.series import Logs
    from trimtab.study.answers import Degradation
    from trimtab.study.endpoints import Endpoint
    from trimtab.study.table import StudyTable

    Read = Callable[[dict[str, Any]], float | None]
    Floor = Callable[[Sequence[Any]], float | None]

_COLUMNS: Final = 4
_LAYERS: Final = 3


def degradation(table: StudyTable) -> Figure | None:
    """Return D of every method under every stress, one panel an endpoint."""
    methods = conditions.methods(table.study)
    panels = []
    for name in dict.fromkeys(found.endpoint for found in table.degradations):
        endpoint = ENDPOINTS[name]
        rows: dict[str, list[charts.Mark]] = {}
        for found in (one for one in table.degradations if one.endpoint == name):
            marks = rows.setdefault(_label(table, found), [])
            if found.estimate is not None:
                marks.append(_mark(table, found, methods.index(found.method)))
        if any(rows.values()):
            listed = tuple(charts.ChartRow(label=label, marks=tuple(marks)) for label, marks in rows.items())
            panels.append(charts.Forest(title=endpoint.title, unit=numbers.unit(endpoint), rows=listed))
    if not panels:
        return None
    drawing = charts.forest(panels, methods, "Degradation under each stress")
    return Figure(
        name="degradation",
        svg=drawing.svg,
        data=drawing.data,
        caption=(
            "Degradation of each method under each stress: metric under stress minus metric at the reference, turned so"
            f" that right is worse. Large dot: mean over seeds; small dots: single seeds; line:"
            f" {numbers.percent(table.study.confidence)} interval."
            + " A method with a diverged cell has no mean and is not drawn."
            * any(found.diverged for found in table.degradations)
        ),
    )


def max_violation(table: StudyTable, logs: Logs) -> Figure | None:
    """Return MaxVio over steps, a row a layer, with the sampling floor of the last training batches."""
    layers = logs.layers()
    shown = layers if len(layers) <= _LAYERS else [layers[0], layers[len(layers) // 2], layers[-1]]
    caption = (
        "Largest expert load above the mean load, relative to the mean (MaxVio, arXiv 2408.15664), of single training"
        " batches. Line: mean over seeds; band: lowest to highest seed; dashed: what a perfectly uniform router would"
        " show in a batch of this size."
    )
    if len(shown) < len(layers):
        caption += f" Layers {', '.join(map(str, shown))} of {len(layers)} are drawn; the logs hold all."
    rows = [
        (f"MaxVio, layer {layer}", series.of_layer(layer, "max_violation"), _floor("max_violation_floor", layer))
        for layer in shown
    ]
    return _over_steps(table, logs, rows, Figure(name="max-violation", svg="", caption=caption), log=True)


def drops(table: StudyTable, logs: Logs) -> Figure | None:
    """Return the share of dropped calls over steps, in the conditions whose training capacity binds."""
    return _over_steps(
        table,
        logs,
        [("calls dropped, %", _hundredfold(series.layer_mean("drop_rate")), _floor("drop_floor", None, 100.0))],
        Figure(
            name="drop-rate",
            svg="",
            caption="Share of (token, expert) calls dropped in training, mean over layers. Dashed: what a perfectly"
            " uniform router would drop at this capacity and batch size. Conditions that drop nothing are left out.",
        ),
        skip_zero=True,
    )


def loss(table: StudyTable, logs: Logs) -> Figure | None:
    """Return the training loss over steps."""
    return _over_steps(
        table,
        logs,
        [("nats/token", lambda step: float(step["loss"]), lambda _: None)],
        Figure(
            name="training-loss",
            svg="",
            caption="Training loss, without penalties. Line: mean over seeds; band: lowest to highest seed.",
        ),
        log=True,
    )


def eval_capacity(table: StudyTable) -> Figure | None:
    """Return every endpoint against the capacity it was evaluated at; no retraining is behind this."""
    capacities = sorted(
        {row.eval_capacity for row in table.rows}, key=lambda name: -1e9 if name == HEADLINE else -float(name)
    )
    rows, axes = [], []
    for endpoint in ENDPOINTS.values():
        panels = [_capacity_panel(table, endpoint, condition, capacities) for condition in _conditions(table)]
        if len(capacities) > 1 and any(len(line.points) > 1 for panel in panels for line in panel.lines):
            for start in range(0, len(panels), _COLUMNS):
                rows.append(panels[start : start + _COLUMNS])
                label = f"{endpoint.benchmark}, {'pass@1 %' if endpoint.unit == 'pass@1' else endpoint.unit}"
                axes.append(charts.Axes(x="evaluation capacity", y=label, names=tuple(capacities)))
    if not rows:
        return None
    drawing = charts.grid(rows, axes, conditions.methods(table.study), "Endpoints against evaluation capacity")
    return Figure(
        name="evaluation-capacity",
        svg=drawing.svg,
        data=drawing.data,
        caption=(
            "The same trained models, evaluated with less and less room for each expert. Columns: how they were"
            " trained. Dropless, at the left, is the headline. Under a capacity, prompts that are decoded side by side"
            " compete for room, so these values belong to the recorded batch size and order."
        ),
    )


def _over_steps(
    table: StudyTable,
    logs: Logs,
    rows: Sequence[tuple[str, Read, Floor]],
    figure: Figure,
    *,
    log: bool = False,
    skip_zero: bool = False,
) -> Figure | None:
    """Draw one grid row a statistic (axis label, reader, floor of a condition) and at most four conditions."""
    drawn, axes = [], []
    for label, read, floor in rows:
        panels = [_steps_panel(table, logs, condition, read, floor) for condition in _conditions(table)]
        panels = [
            panel
            for panel in panels
            if panel.lines and not (skip_zero and all(point[3] == 0 for line in panel.lines for point in line.points))
        ]
        for start in range(0, len(panels), _COLUMNS):
            drawn.append(panels[start : start + _COLUMNS])
            axes.append(charts.Axes(x="step", y=label, log=log))
    if not drawn:
        return None
    drawing = charts.grid(drawn, axes, conditions.methods(table.study), figure.name)
    return Figure(name=figure.name, svg=drawing.svg, caption=figure.caption, data=drawing.data)


def _steps_panel(table: StudyTable, logs: Logs, condition: Condition, read: Read, floor: Floor) -> charts.ChartPanel:
    lines, floors = [], []
    for index, method in enumerate(conditions.methods(table.study)):
        ids = [name for name in conditions.cells(table, condition, method) if name in logs.steps]
        points = series.curve((logs.steps[name] for name in ids), read)
        if points:
            tip = f"{method}; {condition.label}; at the end {points[-1][1]:.4g}\n{conditions.tip(ids)}"
            lines.append(charts.Line(series=index, points=points, tip=tip, links=conditions.folders(ids)))
        floors += [value for name in ids if (value := floor(table.details[name].routing)) is not None]
    return charts.ChartPanel(title=condition.label, lines=tuple(lines), floor=series.mean(floors))


def _capacity_panel(
    table: StudyTable, endpoint: Endpoint, condition: Condition, capacities: Sequence[str]
) -> charts.ChartPanel:
    lines = []
    for index, method in enumerate(conditions.methods(table.study)):
        ids = conditions.cells(table, condition, method)
        found = [
            row for row in table.rows if row.endpoint == endpoint.name and row.cell_id in ids and row.value is not None
        ]
        points = []
        for place, name in enumerate(capacities):
            values = [
                numbers.scaled(endpoint, row.value)
                for row in found
                if row.eval_capacity == name and row.value is not None
            ]
            if values:
                points.append((float(place), sum(values) / len(values), min(values), max(values)))
        if points:
            told = "; ".join(f"{capacities[int(point[0])]}: {point[1]:.4g}" for point in points)
            tip = f"{method}; {condition.label}\n{told}\n{conditions.tip(ids)}"
            links = conditions.folders(ids)
            lines.append(charts.Line(series=index, points=tuple(points), tip=tip, links=links, dots=True))
    return charts.ChartPanel(title=condition.label, lines=tuple(lines))


def _conditions(table: StudyTable) -> tuple[Condition, ...]:
    return conditions.conditions(table.study)


def _label(table: StudyTable, found: Degradation) -> str:
    several = len(table.study.factors["model"]) > 1
    return f"{found.model}: {found.stressor.short}" if several else found.stressor.short


def _mark(table: StudyTable, found: Degradation, index: int) -> charts.Mark:
    endpoint, estimate = ENDPOINTS[found.endpoint], found.estimate
    if estimate is None:
        raise ValueError(found)
    interval = estimate.interval
    by_seed = ([name for name in found.cells if table.cells[name].factors["seed"] == seed] for seed in found.seeds)
    return charts.Mark(
        series=index,
        value=numbers.scaled(endpoint, estimate.value),
        low=numbers.scaled(endpoint, interval.low) if interval else None,
        high=numbers.scaled(endpoint, interval.high) if interval else None,
        dots=tuple(numbers.scaled(endpoint, value) for value in estimate.per_seed),
        seeds=found.seeds,
        links=tuple(map(conditions.folders, (found.cells, *by_seed))),
        tip=f"{found.method}; {found.stressor.label}\n{numbers.signed(endpoint, estimate.value)}"
        f" {numbers.unit(endpoint)} {numbers.span(endpoint, interval)}, {len(found.seeds)} seeds\n"
        + conditions.tip(found.cells),
    )


def _floor(key: str, layer: int | None, factor: float = 1.0) -> Floor:
    """Return a reader of a floor at the end of training, of one layer or of the mean over layers."""

    def read(routing: Sequence[Any]) -> float | None:
        found = [
            factor * float(line[key])
            for line in routing
            if line.get("phase") == "train_tail" and line.get(key) is not None and layer in (None, line.get("layer"))
        ]
        return series.mean(found)

    return read


def _hundredfold(read: Read) -> Read:
    def percent(step: dict[str, Any]) -> float | None:
        found = read(step)
        return None if found is None else 100 * found

    return percent
