"""What a trained cell is measured on, under each evaluation capacity.

*Dropless* is the headline: it asks what was learned. The other capacities ask what is lost when calls compete for an
expert's room, which depends on who shares the batch; so batch size and order are settings of the study. Everything is
kept as counts and sums per problem.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trimtab import disk
from trimtab.codeeval import micro_benchmark, mutant_ranking
from trimtab.codeeval.completion import Sampling
from trimtab.codeeval.judge import Sample, judge
from trimtab.lm import score
from trimtab.lm.generate import LocalCompleter
from trimtab.sandbox.broker import Sandbox
from trimtab.study.measured import DROPLESS, CellMeasurements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from trimtab.codeeval.problems import Problem
    from trimtab.study import store
    from trimtab.study.stages import Bench

# Each mutant is scored behind its whole prompt, so three a problem already cost more than everything else here.
_MUTANTS: Final = 3
_MICRO_STOP: Final = ("\ndef ", "\nclass ", "\nif ", "\nprint", "\n#", "\n@")


def measure(
    bench: Bench,
    folder: store.CellFolder,
    report: Callable[[str, int, int], None],
    *,
    allow_unsandboxed: bool = False,
) -> CellMeasurements:
    """Measure a trained cell; ``samples.jsonl`` and ``verdicts.jsonl`` are written on the way.

    Raises:
        SandboxUnavailable: No tier of isolation holds here and ``allow_unsandboxed`` is False.
    """
    found = CellMeasurements(absent=dict(bench.absent))
    conditions: list[float | None] = [None, *bench.evaluation.capacities]
    samples: list[dict[str, Any]] = []
    for index, capacity in enumerate(conditions):
        report("evaluate", index, len(conditions) + 1)
        with bench.gates.eval_capacity(capacity):
            _python(bench, found, _label(capacity))
            samples += _generate(bench, found, _label(capacity))
    _benchmarks(bench, found)
    report("evaluate", len(conditions), len(conditions) + 1)
    disk.write_lines(folder.samples, samples)
    verdicts = _judge(bench, samples, allow_unsandboxed=allow_unsandboxed)
    _count(found, samples, verdicts)
    disk.write_lines(folder.verdicts, verdicts)
    return found


def _label(capacity: float | None) -> str:
    return DROPLESS if capacity is None else str(capacity)


def _python(bench: Bench, found: CellMeasurements, label: str) -> None:
    """Loss on held-out real Python, per window."""
    windows = bench.corpus.heldout()[: bench.evaluation.python_windows]
    documents = [score.ScoredDocument(context=(bench.corpus.bos,), continuation=tuple(w.tokens)) for w in windows]
    with bench.gates.measure() as routing:
        scored = score.nats(bench.model, documents, batch_tokens=bench.evaluation.scoring_tokens)
    found.losses.setdefault("python", {})[label] = {
        w.unit_id: [nats, tokens, w.num_bytes] for w, (nats, tokens) in zip(windows, scored, strict=True)
    }
    found.unigram["python"] = {w.unit_id: bench.corpus.unigram_nats(w.tokens) for w in windows}
    found.routing += [{**line, "phase": "eval:python", "eval_capacity": label} for line in routing]


def _benchmarks(bench: Bench, found: CellMeasurements) -> None:
    """Dropless likelihood of reference solutions, and their rank among mutants."""
    encode = bench.corpus.tokenizer.encode
    for name in bench.evaluation.benchmarks:
        if name not in bench.benchmarks:
            continue
        choices = [(p.task_id, mutant_ranking.choice(p, _MUTANTS)) for p in bench.benchmarks[name].problems]
        documents = [
            score.ScoredDocument(context=(bench.corpus.bos, *encode(one.context)), continuation=tuple(encode(text)))
            for _, one in choices
            for text in (one.right, *one.wrong)
        ]
        scored = iter(score.nats(bench.model, documents, batch_tokens=bench.evaluation.scoring_tokens))
        losses, unigram, ranks = {}, {}, {}
        for task_id, one in choices:
            nats, tokens = next(scored)
            others = [next(scored)[0] for _ in one.wrong]
            losses[task_id] = [nats, tokens, len(one.right.encode())]
            unigram[task_id] = bench.corpus.unigram_nats(encode(one.right))
            if others:  # a solution without a single token to swap ranks among nobody
                ranks[task_id] = [sum(nats < other for other in others), len(others)]
        found.losses[name] = {DROPLESS: losses}
        found.unigram[name], found.ranking[name] = unigram, ranks


def _micro(bench: Bench) -> Iterator[tuple[str, tuple[Problem, ...]]]:
    yield "micro", micro_benchmark.problems(count=bench.evaluation.micro_problems)
    if bench.evaluation.micro_pro_problems:
        yield "micro-pro", micro_benchmark.problems(count=bench.evaluation.micro_pro_problems, pro=True)


def _generate(bench: Bench, found: CellMeasurements, label: str) -> list[dict[str, Any]]:
    """Greedy completions of the micro-benchmarks; the self-invoking one is decoded dropless only."""
    completer = LocalCompleter(
        model=bench.model, tokenizer=bench.corpus.tokenizer, batch_size=bench.evaluation.generation_batch
    )
    sampling = Sampling(stop=_MICRO_STOP, max_new_tokens=bench.evaluation.max_new_tokens)
    samples = []
    for name, tasks in _micro(bench):
        if name == "micro-pro" and label != DROPLESS:
            continue
        with bench.gates.measure() as routing:
            completions = completer.complete([task.prompt for task in tasks], sampling)
            samples += [_sample(name, label, tasks, c.prompt_index, c.text) for c in completions]
        found.routing += [{**line, "phase": f"eval:{name}", "eval_capacity": label} for line in routing]
    return samples


def _sample(name: str, label: str, tasks: Sequence[Problem], index: int, text: str) -> dict[str, Any]:
    return {"benchmark": name, "eval_capacity": label, "task_id": tasks[index].task_id, "completion": text}


def _judge(bench: Bench, samples: list[dict[str, Any]], *, allow_unsandboxed: bool) -> list[dict[str, Any]]:
    """Run what was generated, each distinct program once; return one verdict a sample, in their order."""
    tasks = [task for _, group in _micro(bench) for task in group]
    distinct = {(record["task_id"], record["completion"]): None for record in samples}
    asked = [Sample(task_id=task_id, sample_index=i, completion=text) for i, (task_id, text) in enumerate(distinct)]
    with Sandbox(allow_unsandboxed=allow_unsandboxed) as box:
        verdicts = dict(zip(distinct, judge(asked, tasks, box), strict=True))
        tier = box.attestation["tier"]
    lines = []
    for record in samples:
        verdict = verdicts[record["task_id"], record["completion"]]
        kept = {key: record[key] for key in ("benchmark", "eval_capacity", "task_id")}
        outcome = {"outcome": str(verdict.outcome), "detail": verdict.detail, "cpu_s": verdict.cpu_s, "tier": tier}
        lines.append({**kept, **outcome})
    return lines


def _count(
    found: CellMeasurements, samples: Sequence[Mapping[str, Any]], verdicts: Sequence[Mapping[str, Any]]
) -> None:
    for record, verdict in zip(samples, verdicts, strict=True):
        counts = found.passes.setdefault(record["benchmark"], {}).setdefault(record["eval_capacity"], {})
        tried, passed = counts.get(record["task_id"], [0, 0])
        counts[record["task_id"]] = [tried + 1, passed + (verdict["outcome"] == "passed")]
