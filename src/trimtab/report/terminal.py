"""The answer table in the terminal: one row a stress and endpoint, the tested ones first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trimtab.errors import counted
from trimtab.report import numbers, words
from trimtab.study.endpoints import ENDPOINTS
from trimtab.study.table import UNSANDBOXED

if TYPE_CHECKING:
    from trimtab.stats import Estimate
    from trimtab.study.answers import Answer
    from trimtab.study.table import StudyTable

_STYLE: Final = {"better": "bold green", "worse": "bold red", "equivalent": "bold cyan", "undecided": "yellow"}


def show(table: StudyTable, console: Console | None = None) -> None:
    """Print the answer of ``table`` to ``console``, standard output by default."""
    console = console or Console()
    contrast = table.study.contrast
    rows = [row for row in table.answers if row.method == contrast.treatment]
    marked = "[bold red]NO SANDBOX [/]" if table.sandbox == UNSANDBOXED else ""
    console.print(f"\n{marked}[bold]{escape(words.lead(table))}[/]", highlight=False)
    for name in dict.fromkeys(row.endpoint for row in rows):
        console.print(_grid(table, [row for row in rows if row.endpoint == name]))
    console.print(
        f"[dim]Numbers are degradations: positive is worse. Difference: {escape(contrast.treatment)} minus"
        f" {escape(contrast.control)}, with its {numbers.percent(table.study.confidence)} interval, the wider of"
        " Student's t and a crossed bootstrap.[/]",
        highlight=False,
    )
    for note in _notes(table):
        console.print(f"[yellow]{escape(note)}[/]", highlight=False)


def _grid(table: StudyTable, rows: list[Answer]) -> Table:
    endpoint, contrast = ENDPOINTS[rows[0].endpoint], table.study.contrast
    primary = ", the primary endpoint" * (rows[0].endpoint == table.study.endpoints.primary)
    grid = Table(
        title=f"{endpoint.title} [dim]in {numbers.unit(endpoint)}{primary}[/]",
        title_justify="left",
        title_style="",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    grid.add_column("stress", min_width=12)
    for heading in (contrast.treatment, contrast.control, "difference"):
        grid.add_column(escape(heading), justify="right", no_wrap=True)
    grid.add_column("interval", justify="right", min_width=16, no_wrap=True)
    grid.add_column("verdict", min_width=11)
    several = len(table.study.factors["model"]) > 1
    for row in rows:
        grid.add_row(*_cells(row, several_models=several))
    return grid


def _cells(row: Answer, *, several_models: bool) -> tuple[str, ...]:
    stress = f"{row.model}: {row.stressor.short}" if several_models else row.stressor.short
    interval = row.difference.interval if row.difference else None
    style = _STYLE.get(row.verdict.value if row.verdict and row.seeds else "", "dim")
    return (
        escape(stress),
        _signed(row, row.treated),
        _signed(row, row.controlled),
        _signed(row, row.difference),
        escape(numbers.span(ENDPOINTS[row.endpoint], interval, row.margin)) if interval else "\u2013",
        f"[{style}]{row.words}[/]",
    )


def _signed(row: Answer, estimate: Estimate | None) -> str:
    if estimate is None:
        return "diverged" if row.diverged else "\u2013"
    return numbers.signed(ENDPOINTS[row.endpoint], estimate.value, row.margin)


def _notes(table: StudyTable) -> list[str]:
    mixed = table.mixed()
    notes = [
        f"not measured{f' in {mixed[name][1]} of the cells' if name in mixed else ''}: {name}: {why}; text for training"
        " was not cleaned of it either"
        for name, why in sorted(table.absent().items())
    ]
    notes += [
        f"MIXED: {counted(had, 'cell')} had {name} and {lacked} did not: their training texts differ, and they"
        " are not comparable"
        for name, (had, lacked) in mixed.items()
    ]
    notes += [f"missing: {name}: {why}" for name, why in table.missing.items() if name not in table.waiting]
    if table.waiting:
        notes.append(f"not yet run: {len(table.waiting)} of {len(table.cells)} cells; `trimtab run` goes on from here")
    if not table.controls:
        notes.append(
            "no controls are recorded, so nothing shows that the endpoints could have felt these stresses:"
            " `equivalent` may mean that nothing can be felt here"
        )
    if table.sandbox == UNSANDBOXED:
        notes.append("generated code ran without a sandbox")
    return notes
