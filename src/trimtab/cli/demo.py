"""A first look at balancing: demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from trimtab.study.demonstration_steps import Moment

_BLOCKS = " ▁▂▃▄▅▆▇█"


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("runs/demo"),
              show_default=True, help="Folder for the page.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=2), default=60, show_default=True, help="Training steps of each rule.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of weights and text.")
def demo(output: Path, steps: int, seed: int) -> None:
    """Skew a tiny mixture of experts, train it under three balancing rules and none, and watch the loads.

    Nothing is downloaded. It takes about half a minute, and ends with a page.
    """
    from rich.console import Console  # noqa: PLC0415 - each verb loads only what it needs
    from rich.live import Live  # noqa: PLC0415

    from trimtab.disk import write_atomic  # noqa: PLC0415
    from trimtab.report import demonstration_page, html  # noqa: PLC0415
    from trimtab.study import demonstration  # noqa: PLC0415

    names = tuple(demonstration.RULES)
    seen: dict[str, list[Moment]] = {name: [] for name in names}
    console = Console()
    console.print(
        f"A tiny model with {demonstration.MODEL.num_experts} experts, two of them favored, {steps} steps a rule."
    )
    with Live(_picture(seen, names), console=console, refresh_per_second=8, transient=not console.is_terminal) as live:

        def show(moment: Moment) -> None:
            seen[moment.rule].append(moment)
            live.update(_picture(seen, names))

        shown = demonstration.run(steps=steps, seed=seed, show=show)
    if not console.is_terminal:
        console.print(_picture(seen, names))
    console.print(f"MaxVio: load of the busiest expert over the mean, minus 1; {shown.floor:.2f} by chance alone.")
    console.print("One seed and few steps show how rules act; they compare none of them.")
    output.mkdir(parents=True, exist_ok=True)
    page = output / "demo.html"
    write_atomic(page, html.render(demonstration_page.document(shown, names)))
    click.echo(f"page: {page}")


def _picture(seen: Mapping[str, Sequence[Moment]], names: Sequence[str]) -> Table:
    """Return the table as it stands: the load of each expert as a bar, and MaxVio over the steps so far."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for head in ("rule", "step", "load of each expert", "MaxVio over steps", "now"):
        table.add_column(head, no_wrap=True, justify="right" if head in {"step", "now"} else "left")
    for name in names:
        moments = seen[name]
        if not moments:
            table.add_row(name, "", "", "", "")
            continue
        last = moments[-1]
        mean = sum(last.calls) / len(last.calls)
        thinned = [moments[index * len(moments) // 24] for index in range(24)] if len(moments) > 24 else moments
        table.add_row(
            name,
            str(last.step),
            " ".join(_block(count / (3 * mean)) for count in last.calls),
            "".join(_block(moment.max_violation / 3) for moment in thinned),
            f"{last.max_violation:.2f}",
        )
    return table


def _block(share: float) -> str:
    """Return a bar whose height is a share of the full height; any call at all is seen."""
    height = min(len(_BLOCKS) - 1, round(share * (len(_BLOCKS) - 1)))
    return _BLOCKS[max(height, 1) if share > 0 else 0]
