"""Programs against a reference on many inputs: EvalPlus' way to judge (arXiv 2305.01210), comparison by comparison.

Decisions: what the reference returns is found once per problem and process, in the sandbox, and with it what a sample
may use (:mod:`trimtab.codeeval.reference_budget`). Each input is judged by its own tolerance (EvalPlus keeps the one of
the first float it met).
"""

# ruff: noqa: ANN401 - values of any type pass through here

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trimtab.codeeval import reference_budget
from trimtab.codeeval.problem import Oracle
from trimtab.errors import BenchmarkError
from trimtab.sandbox import batch, stand_ins
from trimtab.sandbox.verdict import Limits, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trimtab.codeeval.problem import Differential, Problem
    from trimtab.sandbox.broker import Sandbox
    from trimtab.sandbox.verdict import RunVerdict

_REFERENCE: Final = Limits(cpu_s=300.0, wall_s=600.0, memory_mib=8192)
_FLOATS_ATOL: Final = 1e-6
_RTOL: Final = 1e-7

_truths: dict[Problem, batch.Truth] = {}
_locks: dict[Problem, threading.Lock] = {}
_lock: Final = threading.Lock()


def verdict(sandbox: Sandbox, problem: Problem, program: str) -> RunVerdict:
    """Judge a program on the problem's base and added inputs.

    Raises:
        BenchmarkError: The problem's reference does not answer all of its inputs.
        SandboxError: The sandbox itself failed.
    """
    expected = truth(sandbox, problem)
    inputs = _inputs(problem)

    def named(number: int) -> str:
        arguments = ", ".join(map(stand_ins.show, inputs[number - 1])) if number <= len(inputs) else ""
        return f"input {number}, {problem.entry_point}({arguments[:200]})"

    limits = reference_budget.for_many(sandbox.limits, expected)
    return sandbox.compare(program, expected, comparison(problem, expected), limits, named)


def truth(sandbox: Sandbox, problem: Problem) -> batch.Truth:
    """Return what the problem's reference returns on its inputs, run at first use.

    Raises:
        BenchmarkError: It does not answer all of them.
    """
    with _lock:
        lock = _locks.setdefault(problem, threading.Lock())
    with lock:
        if problem not in _truths:
            _truths[problem] = _run_reference(sandbox, problem)
    return _truths[problem]


def _run_reference(sandbox: Sandbox, problem: Problem) -> batch.Truth:
    inputs = batch.pack(problem.entry_point, _inputs(problem))
    reference = sandbox.truth(problem.prompt + problem.canonical_solution, inputs, _REFERENCE)
    if reference.outcome is not Outcome.PASSED:
        why = f"{reference.outcome}: {reference.detail}"
        raise BenchmarkError(
            f"the reference of {problem.task_id} ends on input {len(reference.digests) + 1}: {why}",
            hint="judge without this problem, or on a machine with more memory",
        )
    return reference


def _of(problem: Problem) -> Differential:
    if problem.differential is None:
        raise BenchmarkError(f"{problem.task_id} has no inputs to compare on")
    return problem.differential


def _inputs(problem: Problem) -> Sequence[Sequence[Any]]:
    return (*_of(problem).base, *_of(problem).plus)


def comparison(problem: Problem, expected: batch.Truth) -> Callable[[int, Any], bool]:
    """Return whether a result will do for an input, as the problem's oracle says."""
    inputs, oracle = _inputs(problem), _ORACLES[_of(problem).oracle]
    atol = _of(problem).atol

    def holds(index: int, value: Any) -> bool:
        return bool(oracle(value, expected.value(index), inputs[index], atol))

    return holds


def _equal(got: Any, want: Any, _: Sequence[Any], atol: float) -> bool:
    tolerance = _FLOATS_ATOL if atol == 0 and _floats(want) else atol
    if got == want:
        return True
    if tolerance == 0 or type(got) is not type(want):
        return False
    if isinstance(want, list | tuple) and len(got) != len(want):
        return False
    # Of unequal shapes numpy would compare copies, and of [[]] and [1.0] nothing at all.
    return np.shape(got) == np.shape(want) and bool(np.allclose(got, want, rtol=_RTOL, atol=tolerance))


def _floats(value: Any) -> bool:
    if isinstance(value, list | tuple) and value:
        return all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def _root(got: Any, _: Any, args: Sequence[Any], atol: float) -> bool:
    """HumanEval/32: the polynomial with these coefficients is zero there."""
    total = math.fsum(coefficient * math.pow(got, power) for power, coefficient in enumerate(args[0]))
    return abs(total) <= atol


def _same_set(got: Any, want: Any, args: Sequence[Any], atol: float) -> bool:
    """Compare as sets; where they differ, floats in the same order may still be near, as in EvalPlus."""
    if isinstance(got, Iterator):
        got = list(got)
    return _same_members(got, want) or _equal(got, want, args, atol)


def _same_members(got: Any, want: Any) -> bool:
    met = dict.fromkeys(want, False)
    for item in got:  # never made keys of: hashes can be chosen so that each costs its predecessors
        if item not in met:
            return False
        met[item] = True
    return all(met.values())


def _not_none(got: Any, want: Any, _: Sequence[Any], __: float) -> bool:
    there = want if isinstance(want, bool) else want is not None
    return bool(got == there) if isinstance(got, bool) else bool(there == (got is not None))


def _pyramid(got: Any, want: Any, args: Sequence[Any], atol: float) -> bool:
    """Mbpp/581: the surface with the height read as the slant one, or as the perpendicular one."""
    edge, height = args
    other = round(edge**2 + 2 * edge * math.hypot(edge / 2, height))
    return _equal(got, want, args, atol) or abs(got - other) <= atol


def _digits(got: Any, want: Any, args: Sequence[Any], _: float) -> bool:
    """Mbpp/558: distances of digits added up, the shorter number padded with zeros or not."""
    a, b = (str(arg) for arg in args)
    width = max(len(a), len(b))
    other = sum(abs(int(x) - int(y)) for x, y in zip(a.zfill(width), b.zfill(width), strict=True))
    return bool(got in (want, other))


_ORACLES: Final[dict[Oracle, Callable[[Any, Any, Sequence[Any], float], bool]]] = {
    Oracle.EQUAL: _equal,
    Oracle.ROOT: _root,
    Oracle.SAME_SET: _same_set,
    Oracle.NOT_NONE: _not_none,
    Oracle.PYRAMID: _pyramid,
    Oracle.DIGITS: _digits,
}
