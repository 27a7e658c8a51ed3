"""The figures of a report, each from files of the run folder; every mark's tooltip names the cells it was made of."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from trimtab.report import charts, numbers, series
from trimtab.report.document import Figure
from trimtab.report.study_view import folders, tip
from trimtab.study.cell_details import TRAIN_TAIL
from trimtab.study.endpoints import ENDPOINTS, HEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trimtab.report.series import TrainingStep
    from trimtab.report.study_view import Condition, StudyView
    from trimtab.study.answers import Degradation
    from trimtab.study.endpoints import Endpoint

_COLUMNS: Final = 4
_LAYERS: Final = 3


def degradation(view: StudyView) -> Figure | None:
    """Return D of every method under every stress, one panel an endpoint."""
    table = view.table
    several = len(table.study.factors["model"]) > 1
    panels = []
    for name in dict.fromkeys(found.endpoint for found in table.degradations):
        endpoint = ENDPOINTS[name]
        rows: dict[str, list[charts.Mark]] = {}
        for found in (one for one in table.degradations if one.endpoint == name):
            label = f"{found.model}: {found.stressor.short}" if several else found.stressor.short
            marks = rows.setdefault(label, [])
            if found.estimate is not None:
                marks.append(_mark(view, found))
        if any(rows.values()):
            listed = tuple(charts.ChartRow(label=label, marks=tuple(marks)) for label, marks in rows.items())
            panels.append(charts.Forest(title=endpoint.title, unit=numbers.unit(endpoint), rows=listed))
    if not panels:
        return None
    drawing = charts.forest(panels, view.methods, "Degradation under each stress")
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


def max_violation(view: StudyView) -> Figure | None:
    """Return MaxVio over steps, a row a layer, with the sampling floor of the last training batches."""
    layers = view.logs.layers()
    shown = layers if len(layers) <= _LAYERS else [layers[0], layers[len(layers) // 2], layers[-1]]
    caption = (
        "Largest expert load above the mean load, relative to the mean (MaxVio, arXiv 2408.15664), of single training"
        " batches. Line: mean over seeds; band: lowest to highest seed; dashed: what a perfectly uniform router would"
        " show in a batch of this size."
    )
    if len(shown) < len(layers):
        caption += f" Layers {', '.join(map(str, shown))} of {len(layers)} are drawn; the logs hold all."
    rows = []
    for layer in shown:

        def read(step: TrainingStep, layer: int = layer) -> float | None:
            return next((each.max_violation for each in step.layers if each.layer == layer), None)

        floors = [_floor(view, condition, "max_violation_floor", layer) for condition in view.conditions]
        rows.append(_steps_panels(view, read, floors))
    return _over_steps(view, [f"MaxVio, layer {layer}" for layer in shown], rows, "max-violation", caption, log=True)


def drops(view: StudyView) -> Figure | None:
    """Return the share of dropped calls over steps, in the conditions whose training capacity binds."""

    def percent(step: TrainingStep) -> float | None:
        rate = series.mean([layer.drop_rate for layer in step.layers])
        return None if rate is None else 100 * rate

    floors = [_floor(view, condition, "drop_floor", None, 100.0) for condition in view.conditions]
    panels = [
        panel
        for panel in _steps_panels(view, percent, floors)
        if any(point[3] != 0 for line in panel.lines for point in line.points)
    ]
    caption = (
        "Share of (token, expert) calls dropped in training, mean over layers. Dashed: what a perfectly uniform router"
        " would drop at this capacity and batch size. Conditions that drop nothing are left out."
    )
    return _over_steps(view, ["calls dropped, %"], [panels], "drop-rate", caption)


def loss(view: StudyView) -> Figure | None:
    """Return the training loss over steps."""
    panels = _steps_panels(view, attrgetter("loss"), [None] * len(view.conditions))
    caption = "Training loss, without penalties. Line: mean over seeds; band: lowest to highest seed."
    return _over_steps(view, ["nats/token"], [panels], "training-loss", caption, log=True)


def eval_capacity(view: StudyView) -> Figure | None:
    """Return every endpoint against the capacity it was evaluated at; no retraining is behind this."""
    capacities = sorted(
        {row.eval_capacity for row in view.table.rows}, key=lambda name: -1e9 if name == HEADLINE else -float(name)
    )
    rows, axes = [], []
    for endpoint in ENDPOINTS.values():
        panels = [_capacity_panel(view, endpoint, condition, capacities) for condition in view.conditions]
        if len(capacities) > 1 and any(len(line.points) > 1 for panel in panels for line in panel.lines):
            for start in range(0, len(panels), _COLUMNS):
                rows.append(panels[start : start + _COLUMNS])
                label = f"{endpoint.benchmark}, {'pass@1 %' if endpoint.unit == 'pass@1' else endpoint.unit}"
                axes.append(charts.Axes(x="evaluation capacity", y=label, names=tuple(capacities)))
    if not rows:
        return None
    drawing = charts.grid(rows, axes, view.methods, "Endpoints against evaluation capacity")
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
    view: StudyView,
    labels: Sequence[str],
    rows: Sequence[Sequence[charts.ChartPanel]],
    name: str,
    caption: str,
    *,
    log: bool = False,
) -> Figure | None:
    """Draw panels over training steps, at most four in a row; a label and a list of panels a statistic."""
    drawn, axes = [], []
    for label, panels in zip(labels, rows, strict=True):
        for start in range(0, len(panels), _COLUMNS):
            drawn.append(panels[start : start + _COLUMNS])
            axes.append(charts.Axes(x="step", y=label, log=log))
    if not drawn:
        return None
    drawing = charts.grid(drawn, axes, view.methods, name)
    return Figure(name=name, svg=drawing.svg, caption=caption, data=drawing.data)


def _steps_panels(
    view: StudyView, read: Callable[[TrainingStep], float | None], floors: Sequence[float | None]
) -> list[charts.ChartPanel]:
    """Return a panel a condition that logged the statistic: a line a method, over the seeds that have a log."""
    panels = []
    for condition, floor in zip(view.conditions, floors, strict=True):
        lines = []
        for arm in condition.arms:
            ids = [name for name in arm.cells if name in view.logs.steps]
            points = series.curve((view.logs.steps[name] for name in ids), read)
            if points:
                words = f"{arm.method}; {condition.label}; at the end {points[-1][1]:.4g}\n{tip(ids)}"
                lines.append(charts.Line(series=arm.series, points=points, tip=words, links=folders(ids)))
        if lines:
            panels.append(charts.ChartPanel(title=condition.label, lines=tuple(lines), floor=floor))
    return panels


def _floor(view: StudyView, condition: Condition, name: str, layer: int | None, factor: float = 1.0) -> float | None:
    """Return a floor at the end of training, of one layer or the mean of layers; mean over cells that have a log."""
    floors = []
    for arm in condition.arms:
        for cell_id in arm.cells:
            states = view.table.details[cell_id].routing if cell_id in view.logs.steps else ()
            tail = [state for state in states if state.phase == TRAIN_TAIL and layer in (None, state.layer)]
            values = [getattr(state, name) for state in tail]
            floor = series.mean([factor * float(value) for value in values if value is not None])
            floors += [] if floor is None else [floor]
    return series.mean(floors)


def _capacity_panel(
    view: StudyView, endpoint: Endpoint, condition: Condition, capacities: Sequence[str]
) -> charts.ChartPanel:
    lines = []
    for arm in condition.arms:
        points = []
        for place, capacity in enumerate(capacities):
            values = [numbers.scaled(endpoint, value) for value in view.values_of(arm, endpoint, capacity)]
            if values:
                points.append((float(place), sum(values) / len(values), min(values), max(values)))
        if points:
            means = "; ".join(f"{capacities[int(point[0])]}: {point[1]:.4g}" for point in points)
            words = f"{arm.method}; {condition.label}\n{means}\n{tip(arm.cells)}"
            links = folders(arm.cells)
            lines.append(charts.Line(series=arm.series, points=tuple(points), tip=words, links=links, dots=True))
    return charts.ChartPanel(title=condition.label, lines=tuple(lines))


def _mark(view: StudyView, found: Degradation) -> charts.Mark:
    endpoint, estimate = ENDPOINTS[found.endpoint], found.estimate
    if estimate is None:
        raise ValueError(found)
    interval, cells = estimate.interval, view.table.cells
    by_seed = ([name for name in found.cells if cells[name].factors["seed"] == seed] for seed in found.seeds)
    return charts.Mark(
        series=view.methods.index(found.method),
        value=numbers.scaled(endpoint, estimate.value),
        low=numbers.scaled(endpoint, interval.low) if interval else None,
        high=numbers.scaled(endpoint, interval.high) if interval else None,
        dots=tuple(numbers.scaled(endpoint, value) for value in estimate.per_seed),
        seeds=found.seeds,
        links=tuple(map(folders, (found.cells, *by_seed))),
        tip=f"{found.method}; {found.stressor.label}\n{numbers.signed(endpoint, estimate.value)}"
        f" {numbers.unit(endpoint)} {numbers.span(endpoint, interval)}, {len(found.seeds)} seeds\n" + tip(found.cells),
    )
