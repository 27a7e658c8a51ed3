"""Balancing rules against streams of frozen scores: simulate."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trimtab.cli.options import JSON, RAY
from trimtab.cli.time_left import TimeLeft

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.moe.simulate.engine import SimulatedArm
    from trimtab.moe.simulate.finished_arms import FinishedArm
    from trimtab.moe.simulate.measures import SimulatedCell
    from trimtab.moe.simulate.streams import Shape
    from trimtab.moe.simulate.tables import SimulationTable

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
@click.option("-o", "--output", type=click.Path(path_type=Path),
              help="Folder for what is finished; the same command goes on from there.")  # fmt: skip
@RAY
@JSON
def simulate(
    *,
    table: str | None,
    csv_path: Path | None,
    plot: Path | None,
    output: Path | None,
    ray_address: str | None,
    as_json: bool,
    **given: Any,  # noqa: ANN401
) -> None:
    """Run balancing rules over streams of router scores, without a model, and measure how they hold up."""
    from trimtab.moe.simulate import names, tables  # noqa: PLC0415 - each verb loads only what it needs
    from trimtab.moe.simulate.streams import Shape  # noqa: PLC0415
    from trimtab.settings.capacities import check_factor  # noqa: PLC0415

    plain = tables.SimulationTable(streams=("iid", "skewed"), rules=_RULES)
    asked = replace(tables.TABLES[table] if table else plain, **{name: value for name, value in given.items() if value})
    for factor in asked.factors:
        check_factor(factor, "--capacity")
    size = Shape(tokens=asked.shape[0], num_experts=asked.shape[1], num_experts_per_tok=asked.shape[2])
    streams = tuple(names.STREAMS) if "all" in asked.streams else tuple(dict.fromkeys(asked.streams))
    for name in streams:
        names.stream(name)  # refused before anything is computed
    finished = _simulated(replace(asked, streams=streams), size, output, ray_address)
    found = [cell for arms in finished.values() for arm in arms for cell in arm.cells]
    if csv_path:
        _write_csv(csv_path, found)
    if plot:
        _write_plot(plot, size, asked.arms(), finished)
    if as_json:
        click.echo(json.dumps([asdict(cell) for cell in found], indent=1))
    elif table:
        click.echo(tables.markdown(asked, found))
    else:
        _show(found)


def _simulated(
    asked: SimulationTable, size: Shape, output: Path | None, ray_address: str | None
) -> dict[str, list[FinishedArm]]:
    """Return what each arm did, stream by stream; what the folder holds is not computed again."""
    from trimtab.moe.simulate import measures, names  # noqa: PLC0415
    from trimtab.moe.simulate.finished_arms import FinishedArm, SimulationFolder  # noqa: PLC0415

    arms, folder = asked.arms(), SimulationFolder(output, asked)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)  # refused before anything is computed
    there = {name: {n: arm for n, one in enumerate(arms) if (arm := folder.read(name, one))} for name in asked.streams}
    missing = [(name, [n for n in range(len(arms)) if n not in known]) for name, known in there.items()]
    missing = [(name, numbers) for name, numbers in missing if numbers]
    progress = TimeLeft(sum(len(numbers) for _, numbers in missing))

    def take(name: str, number: int, arm: FinishedArm) -> None:
        folder.write(name, arms[number], arm)
        there[name][number] = arm
        progress.step(f"{name}: {arms[number].name}")

    if ray_address is None:
        for name, numbers in missing:
            chosen = [arms[number] for number in numbers]
            cells, traces = measures.run((name, names.stream(name)), size, chosen, seeds=asked.seeds, steps=asked.steps)
            for at, number in enumerate(numbers):
                take(name, number, FinishedArm.of(at, cells, traces[at], len(asked.seeds)))
    elif missing:
        from trimtab.cluster import portions, remote_simulation  # noqa: PLC0415

        with portions.opened(ray_address) as runner:
            runner.examine()
            habits = portions.PortionHabits(address=ray_address)
            for name, number, arm in remote_simulation.run(runner, habits, asked, missing):
                take(name, number, arm)
    return {name: [known[number] for number in range(len(arms))] for name, known in there.items()}


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


def _write_plot(path: Path, shape: Shape, arms: Sequence[SimulatedArm], drawn: dict[str, list[FinishedArm]]) -> None:
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
                    charts.Line(series=index, points=_points(arm), tip=labels[index])
                    for index, arm in enumerate(of_stream)
                ),
            )
        ]
        for name, of_stream in drawn.items()
    ]
    axes = [charts.Axes(x="batch", y="MaxVio", log=True) for _ in rows]
    drawing = charts.grid(rows, axes, labels, "MaxVio over batches")
    write_atomic(path, svg.standalone(drawing.svg, html.asset("chart.css")))


def _points(arm: FinishedArm, most: int = 200) -> tuple[tuple[float, float, float, float], ...]:
    """Return (batch, mean, least, largest), averaged over neighbors where there are more than can be seen."""
    import torch  # noqa: PLC0415 - simulating loads it anyway

    width = -(-len(arm.max_violation) // most)
    values = torch.tensor(arm.max_violation).clamp(min=1e-3)
    parts = [values[start : start + width] for start in range(0, len(values), width)]
    return tuple(
        (index * width + 1.0, float(part.mean()), float(part.mean(0).min()), float(part.mean(0).max()))
        for index, part in enumerate(parts)
    )
