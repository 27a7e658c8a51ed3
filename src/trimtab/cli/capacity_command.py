"""What a capacity would cost: capacity."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trimtab import disk
from trimtab.cli import inspecting
from trimtab.cli.options import JSON
from trimtab.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trimtab.inspection.room_limits import RoomLimit

_POLICIES = ("probs", "position", "random", "batch_priority")
_COMPOSITIONS = ("one_domain", "mixed", "shuffled", "ordered")
_PHASES = ("prefill", "batched_decoding", "single_decoding")


@click.command()
@click.argument("model")
@inspecting.texts
@click.option("-c", "--capacities", default="1,1.25,1.5,2,dropless", show_default=True, help="Factors, by commas.")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Choice(_POLICIES),
    default=("probs",),
    show_default=True,
    help="Which calls a full expert keeps: those of largest weight, the first, any, or first choices first.",
)
@click.option(
    "--composition", "compositions", multiple=True, type=click.Choice(_COMPOSITIONS), default=("shuffled",),
    show_default=True, help="Who shares a batch.",
)  # fmt: skip
@click.option(
    "--phase",
    "phases",
    multiple=True,
    type=click.Choice(_PHASES),
    default=("prefill",),
    show_default=True,
    help="Which tokens compete for room: all of a batch, one of each sequence, or none.",
)
@click.option(
    "--duplicates", multiple=True, type=click.IntRange(min=0), default=(0,), show_default=True,
    help="So many experts with most calls of each layer are there twice.",
)  # fmt: skip
@click.option("--batch-rows", type=click.IntRange(min=1), default=16, show_default=True, help="Decoded together.")
@click.option(
    "--margin", type=click.FloatRange(min=0), default=0.02, show_default=True, help="Bits a byte that do not matter."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of orders and resampling.")
@click.option("--plot", type=click.Path(path_type=Path), help="Write a drawing (SVG) here.")
@JSON
def capacity(model: str, *, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Plan an evaluation capacity of MODEL: likelihood, drops and time of your texts under each setting.

    The options that can be given several times are crossed. Scored is the continuation of each text, after its context.
    """
    from trimtab.inspection import capacity_plan, inspected_model  # noqa: PLC0415
    from trimtab.report import capacity_chart  # noqa: PLC0415

    limits = _limits(options)
    sources = inspecting.sources(options)
    loaded = inspected_model.load(model, device=options["device"], dtype=options["dtype"])
    windows = [
        window
        for source in sources
        for window in loaded.windows(source.texts(), length=options["window"], max_tokens=options["max_tokens"])
    ]
    planning = capacity_plan.PlanOptions(
        batch_tokens=options["batch_tokens"],
        batch_rows=options["batch_rows"],
        margin=options["margin"],
        seed=options["seed"],
    )
    record = capacity_plan.plan_capacity(loaded, windows, limits, planning, _progress)
    if options["plot"] is not None:
        options["plot"].parent.mkdir(parents=True, exist_ok=True)
        disk.write_atomic(options["plot"], capacity_chart.draw_plan(record))
    if as_json:
        click.echo(json.dumps(record))
    else:
        capacity_chart.show_plan(record)


def _progress(done: int, total: int) -> None:
    click.echo(f"{done} of {total} settings", err=True)


def _limits(options: Mapping[str, Any]) -> list[RoomLimit]:
    """Return every combination of the options.

    Raises:
        ConfigurationError: A factor is no positive number.
    """
    from trimtab.inspection.room_limits import RoomLimit  # noqa: PLC0415

    factors: list[float | None] = []
    for word in options["capacities"].split(","):
        try:
            factor = float("inf") if word.strip() == "dropless" else float(word)
        except ValueError:
            factor = 0.0
        if not (0 < factor < float("inf") or word.strip() == "dropless"):
            raise ConfigurationError(
                f"--capacities {options['capacities']}: {word.strip()!r} is no capacity factor",
                hint="positive numbers and 'dropless', separated by commas",
            )
        factors.append(None if factor == float("inf") else factor)
    crossed = product(options["phases"], options["compositions"], options["policies"], options["duplicates"], factors)
    return [
        RoomLimit(factor=factor, drop_policy=policy, phase=phase, composition=composition, duplicates=duplicates)
        for phase, composition, policy, duplicates, factor in dict.fromkeys(crossed)
    ]
