"""pass@1 of a pretrained model with experts: programs it writes greedily for chosen problems, run in the sandbox.

Written by the whole model, whose last blocks are the cell's mixtures, with the cell's balancer attached as it ended.
Under an evaluation capacity calls compete with those of whoever is in the batch: in reading, the tokens of all prompts
that are read together; in decoding, one token of each program that is still being written. Batches hold
``generation_batch`` problems of one benchmark, shortest prompts first.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from trimtab import disk
from trimtab.codeeval import prompts
from trimtab.codeeval.completion import Sampling
from trimtab.codeeval.judge import Sample, judge
from trimtab.moe.attach import attach
from trimtab.sandbox.broker import Sandbox
from trimtab.study.measured import DROPLESS, CellMeasurements
from trimtab.study.spec_checks import GENERATED_FROM

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trimtab.codeeval.problems import Benchmark
    from trimtab.lm.generate import LocalCompleter
    from trimtab.moe.gates import Gates
    from trimtab.settings.pools import PlaceEvaluation
    from trimtab.study import store


def move_gates(gates: Gates, model: Any) -> Gates:  # noqa: ANN401 - transformers' own
    """Take gates off the part of a model that they were trained on, and put them onto the whole one as they are."""
    state = gates.state_dict()
    gates.detach()
    moved = attach(model, balancer=gates.balancer.settings, capacity=gates.capacity, accumulation=gates.accumulation)
    moved.load_state_dict(state)
    return moved


def measure(  # noqa: PLR0913 - a model, what it is asked, where it is noted
    completer: LocalCompleter,
    gates: Gates,
    evaluation: PlaceEvaluation,
    benchmarks: Mapping[str, Benchmark],
    found: CellMeasurements,
    folder: store.CellFolder,
    *,
    allow_unsandboxed: bool,
) -> None:
    """Write and run programs, dropless and under each capacity; ``samples.jsonl`` and ``verdicts.jsonl`` keep them.

    Raises:
        SandboxUnavailable: No tier of isolation holds here and ``allow_unsandboxed`` is False.
    """
    completer = dataclasses.replace(completer, batch_size=evaluation.generation_batch)
    lines: list[dict[str, Any]] = []
    for factor in (None, *evaluation.capacities):
        label = DROPLESS if factor is None else str(factor)
        for name in GENERATED_FROM.values():
            if name in benchmarks:
                with gates.eval_capacity(factor), gates.measure() as routing:
                    lines += _write(completer, benchmarks[name], evaluation, label)
                found.routing += [{**line, "phase": f"eval:writing {name}", "eval_capacity": label} for line in routing]
    disk.write_lines(folder.samples, lines)
    with Sandbox(allow_unsandboxed=allow_unsandboxed) as box:
        disk.write_lines(folder.verdicts, _judge(lines, benchmarks, found, box))


def _write(
    completer: LocalCompleter, benchmark: Benchmark, evaluation: PlaceEvaluation, label: str
) -> Iterator[dict[str, Any]]:
    """Yield one program a chosen problem, greedily."""
    chosen = [problem for problem in benchmark.problems if problem.task_id in evaluation.generated]
    form = prompts.PromptForm.CHAT if completer.render else prompts.PromptForm.COMPLETION
    shots = prompts.default_shots(benchmark.name)
    put = [prompts.ask(problem, form, shots=shots, examples=benchmark.examples) for problem in chosen]
    if not put:
        return
    sampling = Sampling(stop=put[0].stop, max_new_tokens=evaluation.max_new_tokens)
    written = completer.complete([each.prompt for each in put], sampling)
    for completion in sorted(written, key=lambda completion: completion.prompt_index):
        yield {
            "benchmark": benchmark.name,
            "eval_capacity": label,
            "task_id": chosen[completion.prompt_index].task_id,
            "completion": completion.text,
            "continues": put[completion.prompt_index].continues,
            "finished": completion.finished,
            "form": str(form),
        }


def _judge(
    lines: Sequence[Mapping[str, Any]], benchmarks: Mapping[str, Benchmark], found: CellMeasurements, box: Sandbox
) -> list[dict[str, Any]]:
    """Run each program and count it; return one verdict a program, in their order."""
    verdicts = []
    for name in dict.fromkeys(line["benchmark"] for line in lines):
        mine = [line for line in lines if line["benchmark"] == name]
        samples = [
            Sample(
                task_id=line["task_id"],
                sample_index=number,
                completion=line["completion"],
                continues=line["continues"],
            )
            for number, line in enumerate(mine)
        ]
        for line, verdict in zip(mine, judge(samples, benchmarks[name].problems, box), strict=True):
            passed = int(str(verdict.outcome) == "passed")
            found.passes.setdefault(name, {}).setdefault(line["eval_capacity"], {})[line["task_id"]] = [1, passed]
            place = {key: line[key] for key in ("benchmark", "eval_capacity", "task_id")}
            outcome = {"outcome": str(verdict.outcome), "detail": verdict.detail, "tier": box.attestation["tier"]}
            verdicts.append({**place, **outcome})
    return verdicts
