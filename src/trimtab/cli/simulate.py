"""Balancing rules against streams of frozen scores: simulate."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trimtab.cli.options import JSON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.moe.simulate.engine import SimulatedArm, Trace
    from trimtab.moe.simulate.measures import SimulatedCell
    from trimtab.moe.simulate.streams import Shape

_RULES = ("LossFree(bias_update_rate=1e-3)", "LossFree(bias_update_rate=1e-2)", "NewtonBalancing()")
_SIGNALS = ("routed", "kept", "padded")
_TABLES = ("capacity", "drops", "held-out", "rules")


class _Factor(click.ParamType):  # type: ignore[type-arg] # generic in the stubs alone
    name = "factor|none"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        try:
            return None if value == "none" else float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor none", param, ctx)


@click.command()
@click.option("--table", type=click.Choice(_TABLES),
              help="A table of the docs, as Markdown; options given beside it replace its settings.")  # fmt: skip
@click.option("-s", "--stream", "streams", multiple=True,
              help="A stream by name, or as Stationary(skew=3); 'all' for each with a name; repeatable."
              "  [default: iid, skewed]")  # fmt: skip
@click.option("-r", "--rule", "rules", multiple=True, help="A rule, as LossFree(bias_update_rate=1e-3); repeatable.")
@click.option("-c", "--capacity", "factors", multiple=True, type=_Factor(),
              help="Capacity factor, none for dropless; repeatable.")  # fmt: skip
@click.option("--signal", "signals", multiple=True, type=click.Choice(_SIGNALS),
              help="What a rule that counts calls counts under a capacity; repeatable.  [default: routed]")  # fmt: skip
@click.option("--shape", nargs=3, type=click.IntRange(min=1),
              help="Tokens a batch, experts, experts a token.  [default: 1024, 16, 2]")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=4), help="Batches.  [default: 1000]")
@click.option("--seed", "seeds", multiple=True, type=int, help="Repeatable.  [default: 0]")
@click.option("--csv", "csv_path", type=click.Path(path_type=Path), help="Write one row a cell here.")
@click.option("--plot", type=click.Path(path_type=Path), help="Write MaxVio over batches here, as SVG.")
@JSON
def simulate(*, table: str | None, csv_path: Path | None, plot: Path | None, as_json: bool, **given: Any) -> None:  # noqa: ANN401
    """Run balancing rules over streams of router scores, without a model, and measure how they hold up."""
    from trimtab.moe.simulate import measures, names, tables  # noqa: PLC0415 - each verb loads only what it needs
    from trimtab.moe.simulate.streams import Shape  # noqa: PLC0415
    from trimtab.settings.capacities import check_factor  # noqa: PLC0415

    plain = tables.SimulationTable(streams=("iid", "skewed"), rules=_RULES)
    asked = replace(tables.TABLES[table] if table else plain, **{name: value for name, value in given.items() if value})
    for factor in asked.factors:
        check_factor(factor, "--capacity")
    size = Shape(tokens=asked.shape[0], num_experts=asked.shape[1], num_experts_per_tok=asked.shape[2])
    arms = asked.arms()
    found: list[SimulatedCell] = []
    drawn: dict[str, list[Trace]] = {}
    for name in names.STREAMS if "all" in asked.streams else dict.fromkeys(asked.streams):
        named = (name, names.stream(name))
        cells, drawn[name] = measures.run(named, size, arms, seeds=asked.seeds, steps=asked.steps)
        found += cells
        click.echo(f"{name}: {len(cells)} cells", err=True)
    if csv_path:
        _write_csv(csv_path, found)
    if plot:
        _write_plot(plot, size, arms, drawn)
    if as_json:
        click.echo(json.dumps([asdict(cell) for cell in found], indent=1))
    elif table:
        click.echo(tables.markdown(asked, found))
    else:
        _show(found)


def _show(cells: Sequence[SimulatedCell]) -> None:
    """Print one line a cell; seeds are lines of their own, because a mean would hide a failure."""
    head = ("stream", "rule", "C", "signal", "seed", "recovery", "tail-floor", "drop-floor", "affinity", "regret",
            "experts", "unserved")  # fmt: skip
    lines = [head]
    lines += [
        (
            c.stream, c.rule, "-" if c.capacity is None else f"{c.capacity:g}", c.signal, str(c.seed),
            "never" if c.recovery is None else str(c.recovery), f"{c.tail - c.floor:.3f}",
            f"{c.dropped - c.drop_floor:.3f}", f"{c.affinity:.4f}", "-" if c.regret is None else f"{c.regret:.3f}",
            f"{c.experts_per_token:.2f}", f"{c.unserved:.4f}",
        )
        for c in cells
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())


def _write_csv(path: Path, cells: Sequence[SimulatedCell]) -> None:
    from trimtab.disk import write_atomic  # noqa: PLC0415

    records = [asdict(cell) for cell in cells]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    write_atomic(path, text.getvalue())


def _write_plot(path: Path, shape: Shape, arms: Sequence[SimulatedArm], drawn: dict[str, list[Trace]]) -> None:
    """Draw MaxVio of the mean over seeds, with the band that seeds span; one row of panels a stream."""
    from trimtab.disk import write_atomic  # noqa: PLC0415
    from trimtab.moe.routing import max_violation_floor  # noqa: PLC0415
    from trimtab.report import charts, html, svg  # noqa: PLC0415

    floor = max_violation_floor(shape.tokens, shape.num_experts, shape.num_experts_per_tok)
    labels = [arm.name if arm.factor is None else f"{arm.name} C={arm.factor:g} {arm.signal}" for arm in arms]
    rows = [
        [
            charts.ChartPanel(
                title=name,
                floor=floor,
                lines=tuple(
                    charts.Line(series=index, points=_points(trace), tip=labels[index])
                    for index, trace in enumerate(traces)
                ),
            )
        ]
        for name, traces in drawn.items()
    ]
    axes = [charts.Axes(x="batch", y="MaxVio", log=True) for _ in rows]
    drawing = charts.grid(rows, axes, labels, "MaxVio over batches")
    write_atomic(path, svg.standalone(drawing.svg, html.asset("chart.css")))


def _points(trace: Trace, most: int = 200) -> tuple[tuple[float, float, float, float], ...]:
    """Return (batch, mean, least, largest), averaged over neighbors where there are more than can be seen."""
    width = -(-len(trace.max_violation) // most)
    values = trace.max_violation.clamp(min=1e-3)
    parts = [values[start : start + width] for start in range(0, len(values), width)]
    return tuple(
        (index * width + 1.0, float(part.mean()), float(part.mean(0).min()), float(part.mean(0).max()))
        for index, part in enumerate(parts)
    )
