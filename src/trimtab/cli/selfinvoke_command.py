"""Verbs over self-invoking problems: build them, review them, audit a file of them."""

from __future__ import annotations

import concurrent.futures
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trimtab.cli.options import JSON, Group

if TYPE_CHECKING:
    from trimtab.codeeval.completion import Completer, Sampling
    from trimtab.codeeval.problem import Problem
    from trimtab.codeeval.selfinvoke.build_folder import BuildFolder

UNSANDBOXED = click.option(
    "--allow-unsandboxed", is_flag=True, help="Run programs without isolation where there is none."
)
WORKERS = click.option("-j", "--workers", type=click.IntRange(min=1), default=2, help="Problems at once.")


class BuildByDefault(Group):
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
@click.argument("base", metavar="BASE")
@click.option("-m", "--model", required=True, help="Who proposes: template, or a model as for trimtab eval.")
@click.option("--endpoint", metavar="URL", help="Ask an OpenAI-compatible server for the model.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder. Default: runs/selfinvoke-BASE-MODEL.")
@click.option("--attempts", type=click.IntRange(min=1), default=8, show_default=True, help="For each base at most.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many base problems.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of templates and of sampling.")
@click.option("--temperature", type=float, default=0.2, show_default=True, help="Of a model's sampling; 0 is greedy.")
@WORKERS
@UNSANDBOXED
def build(base: str, model: str, output: Path | None, *, allow_unsandboxed: bool, **options: Any) -> None:  # noqa: ANN401
    """Build self-invoking problems on the problems of BASE: humaneval, mbpp-378, micro, or another benchmark.

    Kill it at any moment; the same command goes on. The folder gets problems.json in HumanEval Pro's schema.
    """
    from trimtab.codeeval.completion import Sampling  # noqa: PLC0415
    from trimtab.codeeval.selfinvoke import base_problem as bases  # noqa: PLC0415
    from trimtab.codeeval.selfinvoke.build import build as run  # noqa: PLC0415
    from trimtab.codeeval.selfinvoke.build_folder import BuildFolder  # noqa: PLC0415
    from trimtab.codeeval.selfinvoke.funnel import funnel  # noqa: PLC0415
    from trimtab.codeeval.selfinvoke.program_lab import Lab  # noqa: PLC0415

    problems = _problems(base)[: options["limit"]]
    completer = _completer(model, options["endpoint"])
    sampling = Sampling(seed=options["seed"], temperature=options["temperature"], max_new_tokens=1500)
    path = output or Path("runs") / f"selfinvoke-{base}-{Path(model).name}"
    with Lab(allow_unsandboxed=allow_unsandboxed, workers=options["workers"]) as lab:
        folder = BuildFolder(path, _settings(base, model, sampling, lab.attestation))
        with concurrent.futures.ThreadPoolExecutor(lab.workers) as pool:
            observed = list(pool.map(bases.observe, itertools.count(), problems, itertools.repeat(lab)))
        usable = [observation for observation in observed if observation.examples]
        click.echo(f"{len(usable)} of {len(problems)} base problems have calls to build on", err=True)
        for made in run(usable, completer, lab, folder, sampling, options["attempts"]):
            click.echo(f"{made.base} attempt {made.attempt}: {made.stage} {made.reason}".rstrip(), err=True)
        count = folder.publish()
        click.echo(f"{lab.runs} programs run, {lab.cpu_s:.0f} CPU seconds in them", err=True)
    click.echo(f"{'step or gate':12} {'attempts':>8} {'bases':>6}")
    for name, attempts, having in funnel(folder.attempts()):
        click.echo(f"{name:12} {attempts:8} {having:6}")
    click.echo(f"{count} problems in {path / 'problems.json'}; {len(folder.queue())} await review", err=True)


@selfinvoke.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--accept", "accepted", multiple=True, metavar="BASE_ID", help="Decide without being asked; repeatable.")
@click.option("--reject", "rejected", multiple=True, metavar="BASE_ID", help="The same.")
@click.option("--note", default="", help="Why.")
@click.option("--reviewer", envvar="USER", default="", help="Your name in the record. Default: $USER.")
@click.option("--list", "only_list", is_flag=True, help="Print what awaits review and stop.")
def review(
    folder: Path, *, accepted: tuple[str, ...], rejected: tuple[str, ...], note: str, reviewer: str, only_list: bool
) -> None:
    """Decide on the problems in FOLDER that came through the gates; what is rejected leaves problems.json."""
    from trimtab.codeeval.selfinvoke.build_folder import BuildFolder  # noqa: PLC0415

    build = BuildFolder(folder)
    if only_list:
        for row in build.queue():
            click.echo(row["base"])
        return
    for decision, names in (("accept", accepted), ("reject", rejected)):
        for name in names:
            build.review(name, decision, reviewer, note)
    if not accepted and not rejected:
        _ask(build, reviewer)
    click.echo(f"{build.publish()} problems kept; {len(build.queue())} await review", err=True)


def _ask(build: BuildFolder, reviewer: str) -> None:
    """Show one problem after the other until the queue or the person's patience ends."""
    for row in build.queue():
        click.echo(f"\n=== {row['base']}\n")
        click.echo("".join(row["fields"][name] for name in ("raw_problem", "new_problem", "new_solution", "test_code")))
        for gate, (_, detail) in row["found"].items():
            click.echo(f"# {gate}: {detail}")
        choice = click.prompt("accept, reject, skip or quit", type=click.Choice(["a", "r", "s", "q"]), err=True)
        if choice == "q":
            return
        if choice != "s":
            note = click.prompt("why", default="", err=True) if choice == "r" else ""
            build.review(row["base"], {"a": "accept", "r": "reject"}[choice], reviewer, note)


def _problems(base: str) -> tuple[Problem, ...]:
    from trimtab.codeeval import micro_benchmark, problems  # noqa: PLC0415

    return micro_benchmark.problems(count=64) if base == "micro" else problems.load(base, fetch=True).problems


def _completer(model: str, endpoint: str | None) -> Completer:
    """Return who proposes.

    Raises:
        ConfigurationError: There is no such model, or what is there cannot be read.
    """
    from trimtab.codeeval.selfinvoke.completer import AsChat, TemplateCompleter  # noqa: PLC0415

    if endpoint:
        from trimtab.codeeval.model_endpoint import ModelEndpoint  # noqa: PLC0415

        return AsChat(ModelEndpoint(url=endpoint, model=model))
    if model == "template":
        return TemplateCompleter()
    from trimtab.lm import pretrained  # noqa: PLC0415

    local = pretrained.load(model, batch_size=8)
    return local if local.render is None else AsChat(local)


def _settings(base: str, model: str, sampling: Sampling, attestation: dict[str, Any]) -> dict[str, Any]:
    from importlib.metadata import version  # noqa: PLC0415

    names = ("tier", "enforced", "python")
    return {
        "base": base,
        "completer": model,
        "seed": sampling.seed,
        "temperature": sampling.temperature,
        "trimtab": version("trimtab"),
        **{name: attestation[name] for name in names},
    }


@selfinvoke.command()
@click.argument("source", metavar="FILE|BENCHMARK")
@WORKERS
@UNSANDBOXED
@JSON
def audit(source: str, workers: int, *, allow_unsandboxed: bool, as_json: bool) -> None:
    """Put every problem of a file in HumanEval Pro's schema, or of a published set, through the gates.

    FILE|BENCHMARK is a path, or a name such as humaneval-pro or mbpp-pro. With --json, a line for each problem.
    """
    from trimtab.codeeval import benchmark_registry, problems  # noqa: PLC0415
    from trimtab.codeeval.selfinvoke import audit as auditing  # noqa: PLC0415
    from trimtab.codeeval.selfinvoke.program_lab import Lab  # noqa: PLC0415

    is_file = source not in benchmark_registry.BENCHMARKS
    problems_audited = auditing.read(Path(source)) if is_file else problems.load(source).problems
    audits = []
    with Lab(allow_unsandboxed=allow_unsandboxed, workers=workers) as lab:
        for audited in auditing.audit(problems_audited, lab, bases=_bases(source), workers=workers):
            audits.append(audited)
            if as_json:
                click.echo(json.dumps(audited.record()))
    if not as_json:
        for line in auditing.summary(audits):
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
