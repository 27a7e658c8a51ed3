"""One text that a model wrote, against tests that a caller gave or a benchmark has: how many of them it passes.

Decisions: the program is the one that extraction makes of the text, the same as in ``trimtab judge``; nothing of it is
believed but data. All tests together make one run, as harnesses have it. Where a share of them counts and not all hold,
each is run by itself in a process and with limits of its own, so that one that fails or loops does not spoil the rest;
after three that ran out of time the rest counts as failed. Inputs and outputs are a process each in any case.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval import printed_output
from trimtab.codeeval.extract import Function
from trimtab.codeeval.given_tests import Assertions, Calls, GivenTests, InputOutput
from trimtab.codeeval.judge import Outcome, Sample, headline, run_program
from trimtab.codeeval.problem import Problem
from trimtab.sandbox.verdict import Limits, RunVerdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trimtab.sandbox.broker import Sandbox

_PATIENCE: Final = 3  # tests of one program that may run out of time
_KEPT_MORE: Final = 1 << 16  # bytes of output kept beyond twice what is expected
_TIMEOUTS: Final = (Outcome.TIMEOUT_CPU, Outcome.TIMEOUT_WALL)
_NO_PROGRAM: Final = (Outcome.SYNTAX, Outcome.NO_CODE, Outcome.MISSING)


@dataclass(frozen=True, slots=True, kw_only=True)
class RulingRequest:
    """What is to be judged.

    Attributes:
        completion: What the model wrote.
        tests: Tests of the caller, or a problem of a benchmark.
        prefix: Code that ``completion`` continues; empty where it is a program, or a text with one, of its own.
            A benchmark's problem has its own prompt.
        continues: Whether ``completion`` continues the prefix or the problem's prompt.
        partial: Whether the share of tests passed counts, rather than all or nothing.
        tolerance: For decimal fractions in outputs and results.
        limits: What a run may use; None for the sandbox's own.
    """

    completion: str
    tests: GivenTests | Problem
    prefix: str = ""
    continues: bool = False
    partial: bool = False
    tolerance: float = printed_output.TOLERANCE
    limits: Limits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What came of it.

    Attributes:
        outcome: How the first test that does not hold ended, or ``Outcome.PASSED``; None where nothing was judged.
        passed: Tests that hold, as far as they were run.
        total: Tests.
        reward: 1 where all hold; else the share that holds if that was asked for, or 0. None where nothing was judged.
        detail: Which assertion, line or exception; empty when passed.
        reason: Why nothing was judged: the infrastructure failed. Else empty.
        cpu_s: CPU seconds of all its processes.
    """

    outcome: Outcome | None
    passed: int
    total: int
    reward: float | None
    detail: str = ""
    reason: str = ""
    cpu_s: float = 0.0


def failed(reason: str) -> Ruling:
    """Return the ruling on a text that could not be judged."""
    return Ruling(outcome=None, passed=0, total=0, reward=None, reason=reason)


def rule(request: RulingRequest, sandbox: Sandbox) -> Ruling:
    """Judge one text, in the calling thread.

    Raises:
        SandboxError: The sandbox itself failed.
    """
    tests = request.tests
    if not request.completion.strip():
        return _ruling(request, [RunVerdict(outcome=Outcome.NO_CODE)], _count(tests))
    if isinstance(tests, Problem):
        sample = _sample(request)
        verdict, _ = headline(sample, tests, lambda program: run_program(sandbox, tests, program))
        return _ruling(request, [verdict], 1)
    if isinstance(tests, Assertions):
        return _by_assertions(request, tests, sandbox)
    if isinstance(tests, Calls):
        return _by_calls(request, tests, sandbox)
    return _by_output(request, tests, sandbox)


def _count(tests: GivenTests | Problem) -> int:
    if isinstance(tests, Problem):
        return 1
    return len(tests.single) if isinstance(tests, Assertions) else len(tests.pairs)


def _sample(request: RulingRequest) -> Sample:
    return Sample(task_id="", sample_index=0, completion=request.completion, continues=request.continues)


def _by_assertions(request: RulingRequest, tests: Assertions, sandbox: Sandbox) -> Ruling:
    def run(program: str, test: str) -> RunVerdict:
        return sandbox.run(
            program=program,
            entry_point=tests.entry_point,
            test=test,
            trusted_names=tests.names,
            limits=request.limits,
        )

    problem = Function(tests.entry_point, request.prefix)
    verdict, chosen = headline(_sample(request), problem, lambda program: run(program, tests.whole))
    total = len(tests.single)
    if verdict.outcome is Outcome.PASSED:
        return _ruling(request, [verdict], total, passed=total)
    if not request.partial or total == 1 or verdict.outcome in _NO_PROGRAM:
        return _ruling(request, [verdict], total)
    return _ruling(request, _patiently(lambda test: run(chosen.program, test), tests.single), total)


def _patiently(run: Callable[[Any], RunVerdict], tests: Iterable[Any]) -> list[RunVerdict]:
    """Run each test until too many have run out of time."""
    runs: list[RunVerdict] = []
    late = 0
    for test in tests:
        runs.append(run(test))
        late += runs[-1].outcome in _TIMEOUTS
        if late == _PATIENCE:
            break
    return runs


def _by_output(request: RulingRequest, tests: InputOutput, sandbox: Sandbox) -> Ruling:
    def run(program: str, pair: tuple[str, str]) -> RunVerdict:
        stdin, expected = pair
        most = 2 * len(expected.encode("utf-8", "replace")) + _KEPT_MORE
        script_run = sandbox.script(program, stdin, request.limits, most)
        outcome, detail = script_run.outcome, script_run.detail
        if outcome is Outcome.PASSED:
            wrong = printed_output.difference(script_run.output, expected, request.tolerance)
            if wrong or not script_run.whole:
                outcome, detail = Outcome.WRONG, wrong or "it printed more than twice what is expected"
        return RunVerdict(outcome=outcome, detail=detail, cpu_s=script_run.cpu_s)

    first, *others = tests.pairs
    problem = Function("", request.prefix)
    verdict, chosen = headline(_sample(request), problem, lambda program: run(program, first))
    runs = [verdict]
    if verdict.outcome in _NO_PROGRAM or not (request.partial or verdict.outcome is Outcome.PASSED):
        return _ruling(request, runs, len(tests.pairs), number=True)
    if request.partial:
        runs += _patiently(lambda pair: run(chosen.program, pair), others)
    else:
        for pair in others:
            runs.append(run(chosen.program, pair))
            if runs[-1].outcome is not Outcome.PASSED:
                break
    return _ruling(request, runs, len(tests.pairs), number=True)


def _by_calls(request: RulingRequest, tests: Calls, sandbox: Sandbox) -> Ruling:
    """Compare what a function returns; each test is a process of its own.

    Some data sets put what is expected into a list of one item. A program is taken to return the items where every
    test has such a list and the results, all of them, equal the items rather than the lists.
    """
    method = f"\nif 'Solution' in globals() and {tests.entry_point!r} not in globals():\n"
    method += f"    {tests.entry_point} = Solution().{tests.entry_point}\n"

    def run(program: str, pair: tuple[tuple[Any, ...], Any]) -> tuple[RunVerdict, Any]:
        answers = sandbox.call(program + method, [(tests.entry_point, pair[0])], request.limits)
        value = answers.values[0] if answers.values else None
        return RunVerdict(outcome=answers.outcome, detail=answers.detail, cpu_s=answers.cpu_s), value

    answered: dict[str, list[tuple[RunVerdict, Any]]] = {}

    def load(program: str) -> RunVerdict:
        answered[program] = [run(program, tests.pairs[0])]
        return answered[program][0][0]

    _, chosen = headline(_sample(request), Function(tests.entry_point, request.prefix), load)
    results = answered.get(chosen.program, [])
    first = results[0][0] if results else RunVerdict(outcome=Outcome.NO_CODE)
    if first.outcome in _NO_PROGRAM:
        return _ruling(request, [first], len(tests.pairs), number=True)
    late = int(first.outcome in _TIMEOUTS)
    for pair in tests.pairs[1:]:
        if late == _PATIENCE or (not request.partial and results[-1][0].outcome is not Outcome.PASSED):
            break
        results.append(run(chosen.program, pair))
        late += results[-1][0].outcome in _TIMEOUTS
    expected = [pair[1] for pair in tests.pairs]
    readings = [expected]
    if all(isinstance(value, list) and len(value) == 1 for value in expected):
        readings.append([value[0] for value in expected])
    ruled = [
        [_returned(result, want, request.tolerance) for result, want in zip(results, r, strict=False)] for r in readings
    ]
    best = max(ruled, key=lambda runs: sum(run.outcome is Outcome.PASSED for run in runs))
    return _ruling(request, best, len(tests.pairs), number=True)


def _returned(result: tuple[RunVerdict, Any], expected: object, tolerance: float) -> RunVerdict:
    verdict, value = result
    try:
        if verdict.outcome is not Outcome.PASSED or _equal(value, expected, tolerance):
            return verdict
    except RecursionError:
        pass
    detail = f"{repr(value)[:200]} instead of {repr(expected)[:200]}"
    return RunVerdict(outcome=Outcome.WRONG, detail=detail, cpu_s=verdict.cpu_s)


def _equal(value: object, expected: object, tolerance: float) -> bool:
    """Compare a result with what JSON can say: a tuple is a list, a key of a dictionary is a text."""
    if isinstance(expected, list):
        items = list(value) if isinstance(value, list | tuple) else None
        if items is None or len(items) != len(expected):
            return False
        return all(_equal(item, want, tolerance) for item, want in zip(items, expected, strict=True))
    if isinstance(expected, dict):
        texts = {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}
        same = isinstance(value, dict) and texts.keys() == expected.keys()
        return same and all(_equal(texts[key], item, tolerance) for key, item in expected.items())
    if isinstance(expected, float) and isinstance(value, int | float):
        with contextlib.suppress(OverflowError):  # an integer beyond floats
            return abs(value - expected) <= tolerance * max(1.0, abs(expected)) or value == expected
        return False
    numbers = isinstance(value, int | float) and isinstance(expected, int)
    return (numbers or type(value) is type(expected)) and value == expected


def _ruling(
    request: RulingRequest, runs: list[RunVerdict], total: int, *, passed: int | None = None, number: bool = False
) -> Ruling:
    if passed is None:
        passed = sum(run.outcome is Outcome.PASSED for run in runs)
    position = next((at for at, run in enumerate(runs) if run.outcome is not Outcome.PASSED), None)
    if position is None:
        outcome, detail = Outcome.PASSED, ""
    else:
        outcome, detail = runs[position].outcome, runs[position].detail
        detail = f"test {position + 1}: {detail}" if number else detail
    return Ruling(
        outcome=outcome,
        passed=passed,
        total=total,
        reward=passed / total if request.partial else float(passed == total),
        detail=detail,
        cpu_s=round(sum(run.cpu_s for run in runs), 6),
    )
