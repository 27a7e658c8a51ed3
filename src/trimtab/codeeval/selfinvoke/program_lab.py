"""Where programs of the builder run: one question a method, each answered by the sandbox.

Two sandboxes with different hash seeds, because a result that follows the order of a set is no ground truth.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from trimtab.codeeval import judge
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.verdict import Limits, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.codeeval.problem import Problem
    from trimtab.sandbox.calls import Answers
    from trimtab.sandbox.verdict import RunVerdict

_INSIDE: Final = Path(__file__).with_name("sandbox_side.py").read_text(encoding="utf-8")
_LIMITS: Final = Limits(cpu_s=8.0, call_s=8.0)  # the slowest published references take 4.5 s
_WRONG: Final = Limits(cpu_s=1.5)  # a reference has 1 s; mutants that never end are common
_EXAMPLES: Final = 40

# sum() of floats is compensated from Python 3.12 on (Neumaier's algorithm); a result must not depend on which it is.
COMPENSATED: Final = """\
def _trimtab_sum(items, /, start=0):
    total, lost, numbers = start, 0.0, (int, float)
    for item in items:
        floats = float in (type(total), type(item)) and type(total) in numbers and type(item) in numbers
        if not floats:
            total = total + item
            continue
        new = total + item
        lost += (total - new) + item if abs(total) >= abs(item) else (item - new) + total
        total = new
    return total + lost if type(total) is float else total

import builtins
builtins.sum = _trimtab_sum
"""
PLAIN: Final = """\
def _trimtab_sum(items, /, start=0):
    for item in items:
        start = start + item
    return start

import builtins
builtins.sum = _trimtab_sum
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A call of a function and what it returned."""

    arguments: tuple[Any, ...]
    result: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """What came of one input: ``how`` is "returned", "raised", "not literal" or "not data"."""

    how: str
    arguments: tuple[Any, ...]
    result: Any


class Lab:
    """Two sandboxes; a context manager.

    Args:
        tier: As for :class:`~trimtab.sandbox.broker.Sandbox`.
        allow_unsandboxed: The same.
        workers: How many programs may run at once in each; any thread may ask.
        packages: Import names of installed packages that programs may use.

    Raises:
        SandboxUnavailable: On entering, when no tier holds.
    """

    def __init__(
        self, *, tier: str = "auto", allow_unsandboxed: bool = False, workers: int = 1, packages: Sequence[str] = ()
    ) -> None:
        self._boxes = [
            Sandbox(
                tier=tier,
                allow_unsandboxed=allow_unsandboxed,
                limits=_LIMITS,
                workers=workers,
                packages=packages,
                hash_seed=seed,
            )
            for seed in (0, 1)
        ]
        self._stack = contextlib.ExitStack()
        self._lock = threading.Lock()
        self.workers = workers
        self.runs = 0
        self.cpu_s = 0.0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for box in self._boxes:
                stack.enter_context(box)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def attestation(self) -> dict[str, Any]:
        """What isolates, as observed."""
        return self._boxes[0].attestation

    def run(self, program: str, problem: Problem, *, hash_seed: int = 0, limits: Limits | None = None) -> RunVerdict:
        """Test a program for ``problem`` against its test."""
        verdict = judge.run_tests(self._boxes[hash_seed], problem, program, limits)
        self._count(verdict.cpu_s)
        return verdict

    def passes(self, program: str, problem: Problem) -> bool:
        """Tell whether a program that should be wrong passes the test of ``problem`` in the time a right one has."""
        return self.run(program, problem, limits=_WRONG).outcome is Outcome.PASSED

    def observe(self, problem: Problem) -> tuple[Example, ...]:
        """Return the calls that a problem's own test makes of its reference; none where it fails or returns no data."""
        program = problem.prompt + problem.canonical_solution
        answers = self._call(program, "trimtab_observe", (problem.entry_point, problem.test, _EXAMPLES))
        return tuple(Example(arguments=args, result=value) for args, value in _first(answers))

    def evaluate(self, program: str, entry_point: str, inputs: Sequence[str], *, hash_seed: int = 0) -> LabEvaluation:
        """Call a function on each input, the text of its arguments."""
        answers = self._call(program, "trimtab_evaluate", (entry_point, list(inputs)), hash_seed=hash_seed)
        rows = tuple(Evaluated(how=how, arguments=args, result=result) for how, args, result in _first(answers))
        return LabEvaluation(rows=rows, ended=answers.detail or str(answers.outcome), cpu_s=answers.cpu_s)

    def calls(self, program: str, test: str, lines: int, functions: Sequence[str]) -> tuple[int, str]:
        """Count the calls of functions of the first ``lines`` lines while ``test`` runs; and say what failed."""
        answers = self._call(program, "trimtab_calls", (test, 1, lines, list(functions)))
        count, error = _first(answers) or (0, f"{answers.outcome}: {answers.detail}")
        return count, error

    def _call(self, program: str, name: str, arguments: tuple[Any, ...], *, hash_seed: int = 0) -> Answers:
        answers = self._boxes[hash_seed].call(f"{program}\n{_INSIDE}", [(name, arguments)])
        self._count(answers.cpu_s)
        return answers

    def _count(self, cpu_s: float) -> None:
        with self._lock:
            self.runs += 1
            self.cpu_s += cpu_s


@dataclass(frozen=True, slots=True, kw_only=True)
class LabEvaluation:
    """What came of all inputs; no rows when the program did not load, with ``ended`` saying how it ended."""

    rows: tuple[Evaluated, ...]
    ended: str
    cpu_s: float


def _first(answers: Answers) -> Any:  # noqa: ANN401 - what the appended text returned
    return answers.values[0] if answers.outcome is Outcome.PASSED else ()
