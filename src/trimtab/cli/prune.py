"""What experts could go: prune."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trimtab.cli import inspecting
from trimtab.cli.options import JSON
from trimtab.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trimtab.inspection.domain_texts import DomainSource
    from trimtab.inspection.expert_saliency import ExpertScores
    from trimtab.inspection.inspected_model import InspectedModel
    from trimtab.inspection.prune_trial import PruneTrial

_METHODS = ("reap", "frequency", "random")


@click.command()
@click.argument("model")
@inspecting.texts
@click.option(
    "--method", "methods", multiple=True, type=click.Choice(_METHODS), default=_METHODS, show_default=True,
    help="Score by which the lowest go.",
)  # fmt: skip
@click.option("--remove", default="1", show_default=True, help="Experts of each layer that go; several by commas.")
@click.option(
    "--random-draws", type=click.IntRange(min=1), default=3, show_default=True, help="Of the random baseline."
)
@click.option("--scores", type=click.Path(path_type=Path), help="File of scores: read if it is there, else written.")
@click.option(
    "--score-on",
    multiple=True,
    metavar="NAME=PATH",
    help="Measure scores on these texts, not on those that are judged.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the pruned checkpoint of one trial here.")
@JSON
def prune(model: str, *, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Say what removing experts of MODEL costs on your texts, without rewriting it; write a smaller one if asked."""
    from trimtab.inspection import inspected_model, prune_trial, pruned_checkpoint  # noqa: PLC0415

    trials = _trials(options)
    if options["output"] is not None and len(trials) != 1:
        raise ConfigurationError(
            f"--output writes one checkpoint, and {len(trials)} trials were named",
            hint="one --method and one number for --remove; --random-draws 1",
        )
    sources = inspecting.sources(options)
    loaded = inspected_model.load(model, device=options["device"], dtype=options["dtype"])
    scores = _scores(loaded, sources, options)
    windows = [
        window
        for source in sources
        for window in loaded.windows(source.texts(), length=options["window"], max_tokens=options["max_tokens"])
    ]
    record = prune_trial.try_pruning(
        loaded, windows, scores, trials, batch_tokens=options["batch_tokens"], report=_progress
    )
    if options["output"] is not None:
        error = pruned_checkpoint.write_pruned(loaded, record["trials"][0]["removed"], options["output"])
        record["written"] = {"folder": str(options["output"]), "logits_error": error}
    if as_json:
        click.echo(json.dumps(record))
        return
    _show(record)


def _trials(options: Mapping[str, Any]) -> list[PruneTrial]:
    from trimtab.inspection.prune_trial import PruneTrial  # noqa: PLC0415

    try:
        counts = [int(word) for word in options["remove"].split(",")]
    except ValueError:
        raise ConfigurationError(f"--remove {options['remove']}: whole numbers, separated by commas") from None
    return [
        PruneTrial(method=method, count=count, seed=seed)
        for count in counts
        for method in options["methods"]
        for seed in range(options["random_draws"] if method == "random" else 1)
    ]


def _scores(model: InspectedModel, sources: Sequence[DomainSource], options: Mapping[str, Any]) -> ExpertScores:
    """Return scores from the file, or measured and written there."""
    from trimtab.inspection.domain_texts import domain_sources  # noqa: PLC0415
    from trimtab.inspection.expert_saliency import measure_saliency, read_scores  # noqa: PLC0415

    path = options["scores"]
    if path is not None and path.exists():
        return read_scores(path, model)
    measured_on = domain_sources([], options["score_on"]) if options["score_on"] else sources
    scores = measure_saliency(
        model,
        measured_on,
        window=options["window"],
        batch_tokens=options["batch_tokens"],
        max_tokens=options["max_tokens"],
        report=inspecting.progress("scored"),
    )
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        scores.write(path)
    return scores


def _progress(done: int, total: int) -> None:
    click.echo(f"{done} of {total} trials", err=True)


def _show(record: Mapping[str, Any]) -> None:
    scored, judged = record["scored_on"], ", ".join(f"{count} of {name}" for name, count in record["texts"].items())
    click.echo(f"{record['source']}: experts scored on {', '.join(scored['texts'])} ({scored['tokens']:,} tokens)")
    same = set(scored["texts"]) & set(record["texts"])
    click.echo(f"judged on {judged} texts{', the same ones' if same else ''}")
    domains = list(record["texts"])
    click.echo(f"{'removed':>8}  {'by':<10} {'bits a byte':>11}  {'95 % interval':<20} {'  '.join(domains)}")
    for row in record["trials"]:
        name = f"random {row['seed']}" if row["method"] == "random" else row["method"]
        low, high = row["interval"]
        by_domain = "  ".join(f"{row['domains'][name]['rise']:+.4f}" for name in domains)
        click.echo(f"{row['count']:>8}  {name:<10} {row['rise']:>+11.4f}  [{low:+.4f}, {high:+.4f}]   {by_domain}")
    if "written" in record:
        written = record["written"]
        click.echo(f"{written['folder']}: logits as masked within {written['logits_error']:.1g} of the largest")
