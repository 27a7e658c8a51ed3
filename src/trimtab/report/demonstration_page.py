"""The page of ``trimtab demo``: what each rule did to the same skewed model, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trimtab.report import charts, svg
from trimtab.report.document import Bullets, Code, Figure, Paragraph, ReportDocument, ReportTable, Section, cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.study.demonstration_steps import Demonstration, Moment

TAIL: Final = 10
_LEFT: Final = 130.0
_ROW: Final = 11.0


def document(shown: Demonstration, rules: Sequence[str]) -> ReportDocument:
    """Return the page; ``rules`` in the order in which they are drawn."""
    return ReportDocument(
        title="What balancing looks like",
        subtitle="One small mixture of experts, its router skewed toward two of eight experts, trained under each rule",
        chips=(("steps", str(shown.steps)), ("seed", str(shown.seed)), ("rules", str(len(rules)))),
        brand="trimtab demo",
        sections=(
            Section(
                title="The loads, step by step",
                blocks=(
                    Paragraph(("Each row is an expert, each column a training step. The darker, the more calls.",)),
                    _loads(shown, rules),
                ),
            ),
            Section(title="MaxVio", blocks=(_max_violation(shown, rules),)),
            Section(title="At the end", blocks=(_table(shown, rules),)),
            Section(
                title="What this is not",
                blocks=(
                    Bullets(
                        (
                            ("One seed, some dozens of steps: it shows how rules act and compares none of them.",),
                            (
                                "Whether a rule holds up under stress is what a study measures: ",
                                Code("make study"),
                                ".",
                            ),
                        )
                    ),
                ),
            ),
        ),
    )


def tail_mean(values: Sequence[float]) -> float:
    """Return the mean of the last steps, as the terminal and the page print it."""
    last = values[-TAIL:]
    return sum(last) / len(last)


def _table(shown: Demonstration, rules: Sequence[str]) -> ReportTable:
    rows = []
    for rule in rules:
        moments = shown.of(rule)
        rows.append(
            (
                cell(rule),
                cell(f"{moments[0].max_violation:.2f}"),
                cell(f"{tail_mean([moment.max_violation for moment in moments]):.2f}"),
                cell(str(sum(count == 0 for count in moments[-1].calls))),
                cell(f"{tail_mean([moment.loss for moment in moments]):.2f}"),
            )
        )
    return ReportTable(
        head=("rule", "MaxVio, first step", f"MaxVio, last {TAIL} steps", "experts without a call", "loss, nats/token"),
        rows=tuple(rows),
        caption=f"A perfectly balanced router would show a MaxVio of {shown.floor:.2f} here, by chance alone.",
    )


def _max_violation(shown: Demonstration, rules: Sequence[str]) -> Figure:
    lines = []
    for series, rule in enumerate(rules):
        points = tuple((float(m.step), m.max_violation, m.max_violation, m.max_violation) for m in shown.of(rule))
        lines.append(charts.Line(series=series, points=points, tip=f"{rule}; at the end {points[-1][1]:.3g}"))
    panel = charts.ChartPanel(title="", lines=tuple(lines), floor=shown.floor)
    drawing = charts.grid([[panel]], [charts.Axes(x="step", y="MaxVio")], rules, "MaxVio over steps")
    return Figure(
        name="max-violation",
        svg=drawing.svg,
        data=drawing.data,
        caption="Load of the busiest expert over the mean load, minus 1. Dashed: what chance alone leaves.",
    )


def _loads(shown: Demonstration, rules: Sequence[str]) -> Figure:
    experts = len(shown.moments[0].calls)
    width = (charts.WIDTH - _LEFT) / shown.steps
    parts, top = [], 0.0
    for series, rule in enumerate(rules):
        parts.append(svg.text(rule, class_="title", x=0, y=top + _ROW * experts / 2 + 4))
        columns = [_column(moment, _LEFT + (moment.step - 1) * width, top, width) for moment in shown.of(rule)]
        parts.append(svg.tag("g", *columns, class_=f"s{series}"))
        top += _ROW * experts + 14
    return Figure(
        name="loads",
        svg=svg.drawing(charts.WIDTH, top, "Load of each expert over steps, one strip a rule", parts),
        caption="Full color is three times the mean load or more. Point at a column to read its numbers.",
    )


def _column(moment: Moment, left: float, top: float, width: float) -> str:
    mean = sum(moment.calls) / len(moment.calls)
    squares = [
        svg.tag(
            "rect", class_="point", x=left, y=top + expert * _ROW, width=width, height=_ROW - 1,
            fill_opacity=round(min(1.0, 0.04 + 0.96 * count / (3 * mean)), 3),
        )
        for expert, count in enumerate(moment.calls)
    ]  # fmt: skip
    numbers = ", ".join(map(str, moment.calls))
    return svg.tag("g", svg.title(f"{moment.rule}, step {moment.step}: {numbers} calls"), *squares)
