"""Which problems of a benchmark measure something else than they say, found by running them, once.

A self-invoking problem goes through the gates of :mod:`trimtab.codeeval.selfinvoke.problem_gates` that a score needs.
Any other problem must be one whose reference passes and that no stub passes. Decisions: only problems that have a
sample are looked at; what was found for a problem is kept under the digest of its own text, of what is asked and of the
Python version, in the user's cache; and for the published benchmarks it comes with the package (``soundness.json``:
names of tasks and reasons, nothing of the data), so that nobody runs all references for one sample.
"""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import importlib.resources
import json
import platform
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval import benchmark_cache, mutate
from trimtab.codeeval import judge as judging
from trimtab.codeeval.judge import Sample
from trimtab.codeeval.packages import packages
from trimtab.codeeval.selfinvoke import audit, problem_gates
from trimtab.codeeval.selfinvoke.program_lab import Lab
from trimtab.disk import read_json
from trimtab.errors import BenchmarkError
from trimtab.sandbox.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from trimtab.codeeval.problem import Benchmark, Problem
    from trimtab.sandbox.broker import Sandbox

    Report = Callable[[str, int, int], None]

# To be counted up when the same question gets another answer than it got before.
_VERSION: Final = 1
_SHIPPED: Final = "soundness.json"


def unsound(
    benchmark: Benchmark,
    sandbox: Sandbox,
    *,
    only: Collection[str] | None = None,
    report: Report = lambda *_: None,
    shipped: bool = True,
) -> dict[str, str]:
    """Return the tasks that a score should leave out, and why.

    Args:
        benchmark: The problems.
        sandbox: Where those are run of which nothing is known yet.
        only: Tasks to look at; None is all.
        report: Called with the benchmark's name, problems looked at now and problems to look at now.
        shipped: Whether what comes with the package counts.

    Raises:
        SandboxError: The sandbox itself failed.
    """
    wanted = [problem for problem in benchmark.problems if only is None or problem.task_id in only]
    known = _shipped().get(_of_published(benchmark)) if shipped else None
    if known is not None:
        return {problem.task_id: known[problem.task_id] for problem in wanted if problem.task_id in known}
    cache = benchmark_cache.cached(f"unsound-{benchmark.name}.json")
    reasons: dict[str, str] = read_json(cache, error=BenchmarkError) if cache.is_file() else {}
    keys = {problem.task_id: _digest(problem) for problem in wanted}
    missing = [problem for problem in wanted if keys[problem.task_id] not in reasons]
    if missing:
        look = _pro if any(problem.pro is not None for problem in missing) else _plain
        for number, (task_id, reason) in enumerate(look(missing, sandbox), start=1):
            reasons[keys[task_id]] = reason
            report(benchmark.name, number, len(missing))
        benchmark_cache.keep(cache, json.dumps(reasons, indent=1).encode())
    return {task_id: reason for task_id, key in keys.items() if (reason := reasons[key])}


@functools.cache
def _shipped() -> dict[str, dict[str, str]]:
    """Return what comes with the package: unsound tasks by what :func:`_of_published` names."""
    text = importlib.resources.files("trimtab.codeeval").joinpath(_SHIPPED).read_text(encoding="utf-8")
    shipped: dict[str, dict[str, str]] = json.loads(text)
    return shipped


def _of_published(benchmark: Benchmark) -> str:
    return f"{benchmark.name} {benchmark.sha256[:16]} {_question()}"


def _digest(problem: Problem) -> str:
    text = json.dumps([problem.prompt, problem.canonical_solution, problem.test, repr(problem.differential)])
    return f"{problem.task_id} {hashlib.sha256(text.encode()).hexdigest()[:12]} {_question()}"


@functools.cache
def _question() -> str:
    """Return what stands for what is asked, and for the Python that answers."""
    question = json.dumps([_VERSION, mutate.STUBS, sorted(problem_gates.SOUND)])
    return f"{hashlib.sha256(question.encode()).hexdigest()[:8]} {'.'.join(platform.python_version_tuple()[:2])}"


def published(benchmarks: Iterable[Benchmark], sandbox: Sandbox, report: Report) -> Mapping[str, Any]:
    """Return what ``soundness.json`` holds for some benchmarks, found anew."""
    return {
        _of_published(benchmark): unsound(benchmark, sandbox, report=report, shipped=False) for benchmark in benchmarks
    }


def _pro(problems: list[Problem], sandbox: Sandbox) -> Iterator[tuple[str, str]]:
    unsandboxed, workers = sandbox.attestation["tier"] == "D", sandbox.workers
    with Lab(allow_unsandboxed=unsandboxed, workers=workers, packages=packages(problems)) as lab:
        for audited in audit.audit(problems, lab, only=problem_gates.SOUND, workers=workers):
            yield audited.task_id, "" if audited.sound else "; ".join(sorted(audited.failed))


def _plain(problems: list[Problem], sandbox: Sandbox) -> Iterator[tuple[str, str]]:
    with concurrent.futures.ThreadPoolExecutor(sandbox.workers) as pool:
        reasons = pool.map(lambda problem: _reason(problem, sandbox), problems)
        yield from zip((problem.task_id for problem in problems), reasons, strict=True)


def _reason(problem: Problem, sandbox: Sandbox) -> str:
    texts = {"": problem.canonical_solution}
    indented = not problem.assertions  # HumanEval's prompt ends inside the function, MBPP's before it
    before = "    pass\n" if indented else ""
    texts |= {answer: before + mutate.stub(problem.entry_point, answer) for answer in mutate.STUBS}
    samples = [Sample(task_id=problem.task_id, sample_index=0, completion=text) for text in texts.values()]
    outcomes = [verdict.raw for verdict in judging.judge(samples, [problem], sandbox)]
    if outcomes[0] is not Outcome.PASSED:
        return f"reference: {outcomes[0]}"
    passing = next((a for a, outcome in zip(texts, outcomes, strict=True) if a and outcome is Outcome.PASSED), None)
    return "" if passing is None else f"stubs: passed by: return {passing}"
