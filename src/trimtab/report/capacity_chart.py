"""The plan of a capacity as a drawing and as a table in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from trimtab.report import charts, html, svg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KIND = ("phase", "composition", "drop_policy", "duplicates")


def draw_plan(record: Mapping[str, Any]) -> str:
    """Return a stand-alone drawing: rise in bits a byte, drops and time over the capacity factor, a panel a phase.

    Settings without a limit have no place on its axis and are left out.
    """
    limited = [row for row in record["settings"] if row["factor"] is not None]
    kinds = list(dict.fromkeys(_words(row, phase=False) for row in limited))
    phases = list(dict.fromkeys(row["phase"] for row in limited))
    measures = (
        ("rise", "bits a byte over dropless"),
        ("dropped", "share of calls dropped"),
        ("busiest", "busiest expert, over even"),
    )
    rows = [[_panel(limited, phase, name, kinds) for phase in phases] for name, _ in measures]
    axes = [charts.Axes(x="capacity factor", y=label) for _, label in measures]
    drawing = charts.grid(rows, axes, kinds, f"What a capacity costs {record['source']}")
    return svg.standalone(drawing.svg, html.asset("chart.css"))


def _panel(rows: Sequence[Mapping[str, Any]], phase: str, measure: str, kinds: Sequence[str]) -> charts.ChartPanel:
    lines = []
    for series, kind in enumerate(kinds):
        own = [row for row in rows if row["phase"] == phase and _words(row, phase=False) == kind]
        points = []
        for row in sorted(own, key=lambda each: float(each["factor"])):
            low, high = row["interval"] if measure == "rise" else (row[measure], row[measure])
            points.append((float(row["factor"]), float(row[measure]), float(low), float(high)))
        if points:
            lines.append(charts.Line(series=series % 6, points=tuple(points), tip=f"{phase}, {kind}", dots=True))
    return charts.ChartPanel(title=phase.replace("_", " "), lines=tuple(lines))


def _words(row: Mapping[str, Any], *, phase: bool = True) -> str:
    words = [str(row["phase"]).replace("_", " ")] if phase else []
    words += [str(row["composition"]).replace("_", " "), str(row["drop_policy"]).replace("_", " ")]
    words += [f"{row['duplicates']} duplicated"] if row["duplicates"] else []
    return ", ".join(words)


def show_plan(record: Mapping[str, Any], console: Console | None = None) -> None:
    """Print a plan to ``console``, standard output by default."""
    console = console or Console()
    texts = ", ".join(f"{count} of {name}" for name, count in record["texts"].items())
    console.print(
        f"\n[bold]{escape(str(record['source']))}[/] {texts} texts, {record['tokens']:,} tokens, {record['scored']:,}"
        f" scored; prefill in batches of {record['batch_tokens']:,} tokens, decoding {record['batch_rows']} together",
        highlight=False,
    )
    for name, about in record["compositions"].items():
        console.print(f"  {name.replace('_', ' ')}: {about}", highlight=False)
    for kind in dict.fromkeys(tuple(row[name] for name in _KIND) for row in record["settings"]):
        members = [row for row in record["settings"] if tuple(row[name] for name in _KIND) == kind]
        grid = Grid(title=_words(members[0]), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for heading in ("capacity", "bits a byte", "95 % interval", "dropped", "its floor", "busiest / even"):
            grid.add_column(heading, justify="right")
        for row in members:
            floor = "\u2013" if row["drop_floor"] is None else f"{row['drop_floor']:.2%}"
            low, high = row["interval"]
            grid.add_row(
                "dropless" if row["factor"] is None else f"{row['factor']:g}",
                f"{row['rise']:+.4f}", f"[{low:+.4f}, {high:+.4f}]".replace("[", "\\["), f"{row['dropped']:.2%}",
                floor, f"{row['busiest']:.2f}",
            )  # fmt: skip
        console.print(grid)
    for line in record["smallest"]:
        console.print(f"{_words(line)}: {_answer(line, record['margin'])}", highlight=False)


def _answer(line: Mapping[str, Any], margin: float) -> str:
    if line["factor"] is None:
        return f"no capacity tried stays within {margin:g} bits a byte"
    low, high = ("dropless" if value is None else f"{value:g}" for value in line["interval"])
    return (
        f"the smallest capacity tried within {margin:g} bits a byte is {line['factor']:g}"
        f" (95 % of resampled texts: {low} to {high})"
    )
