"""The verb that compares two judged runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from trimtab.cli.options import JSON


@click.command("compare")
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@click.option(
    "--margin", type=click.FloatRange(min=0, max=100, min_open=True, max_open=True), metavar="POINTS",
    help="Largest difference, in percentage points of pass@1, that would not matter: tests equivalence.",
)  # fmt: skip
@click.option("--sound", is_flag=True, help="Leave out problems that either run found unsound.")
@JSON
def compare(first: Path, second: Path, margin: float | None, *, sound: bool, as_json: bool) -> None:
    """Compare two judged runs, A and B, problem by problem: folders of trimtab eval or trimtab judge.

    Prints the paired difference in pass@1 with its interval, McNemar's exact test, and the problems that changed sides.
    Runs of other benchmark bytes, problems, sample counts or extraction are refused.
    """
    from trimtab.codeeval import paired_runs  # noqa: PLC0415

    runs = paired_runs.read(first), paired_runs.read(second)
    differences = paired_runs.compare(*runs, margin=None if margin is None else margin / 100, sound=sound)
    remarks = paired_runs.remarks(*runs)
    if as_json:
        record = {"first": str(first), "second": str(second), "remarks": remarks}
        click.echo(json.dumps({**record, "benchmarks": [dataclasses.asdict(entry) for entry in differences]}, indent=1))
        return
    names = ("A", "B") if first.name == second.name else (first.name, second.name)
    for entry in differences:
        for line in paired_runs.lines(entry, names):
            click.echo(line)
    for remark in remarks:
        click.echo(f"  note: {remark}")
