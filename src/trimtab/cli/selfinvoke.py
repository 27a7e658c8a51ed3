"""Verbs over self-invoking problems: build them, review them, audit a file of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trimtab.cli.options import JSON

if TYPE_CHECKING:
    from trimtab.codeeval.problem import Problem

UNSANDBOXED = click.option(
    "--allow-unsandboxed", is_flag=True, help="Run programs without isolation where there is none."
)
WORKERS = click.option("-j", "--workers", type=click.IntRange(min=1), default=2, help="Problems at once.")


class BuildByDefault(click.Group):
    """``selfinvoke humaneval`` is ``selfinvoke build humaneval``: what is no verb is what to build from."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb."""
        known = args and (args[0] in self.commands or args[0].startswith("-"))
        return super().resolve_command(ctx, args if known else ["build", *args])


@click.group(cls=BuildByDefault)
def selfinvoke() -> None:
    """Build self-invoking problems from base problems, review them, and audit sets of them."""


@selfinvoke.command()
@click.argument("source", metavar="FILE|BENCHMARK")
@WORKERS
@UNSANDBOXED
@JSON
def audit(source: str, workers: int, *, allow_unsandboxed: bool, as_json: bool) -> None:
    """Put every problem of a file in HumanEval Pro's schema, or of a published set, through the gates.

    FILE|BENCHMARK is a path, or a name such as humaneval-pro or mbpp-pro. With --json, a line for each problem.
    """
    from trimtab.codeeval import problems, registry  # noqa: PLC0415
    from trimtab.codeeval.selfinvoke import audit as auditing  # noqa: PLC0415
    from trimtab.codeeval.selfinvoke.lab import Lab  # noqa: PLC0415

    is_file = source not in registry.BENCHMARKS
    asked = auditing.read(Path(source)) if is_file else problems.load(source).problems
    found = []
    with Lab(allow_unsandboxed=allow_unsandboxed, workers=workers) as lab:
        for one in auditing.audit(asked, lab, bases=_bases(source), workers=workers):
            found.append(one)
            if as_json:
                click.echo(json.dumps(one.record()))
    if not as_json:
        for line in auditing.summary(found):
            click.echo(line)


def _bases(benchmark: str) -> dict[str, Problem]:
    """Load the base problems of a published set, if they are here: they tell which mutants of a base are wrong."""
    from trimtab.codeeval import problems  # noqa: PLC0415
    from trimtab.errors import BenchmarkError  # noqa: PLC0415

    name = {"humaneval-pro": "humaneval", "mbpp-pro": "mbpp-378"}.get(benchmark)
    if name is None:
        return {}
    try:
        return {problem.task_id: problem for problem in problems.load(name).problems}
    except BenchmarkError:
        return {}
