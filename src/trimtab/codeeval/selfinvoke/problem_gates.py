"""The gates of a self-invoking problem: what each checks, and what it found.

Decisions: every gate looks at the problem as a user of the set would meet it, the program exactly as published
harnesses join it; each gives a figure, not only a verdict; what needs a run is asked of the sandbox.
"""

from __future__ import annotations

import ast
import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.codeeval import mutate, restructure
from trimtab.codeeval.benchmark_readers import line_end
from trimtab.codeeval.selfinvoke import program_lab as labs
from trimtab.errors import BenchmarkError
from trimtab.sandbox import source
from trimtab.sandbox.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

    from trimtab.codeeval.problem import Problem, SelfInvoking
    from trimtab.codeeval.selfinvoke.program_lab import Lab

MIN_ASSERTS: Final = 3
MAX_CPU_S: Final = 1.0
KILL_SHARE: Final = 0.8
_MUTANTS: Final = 8  # of the solution, and as many of the base
_LEAKING_LINE: Final = 20  # characters of a line of the solution that the problem may not show


class ProblemGate(enum.StrEnum):
    """What a self-invoking problem must satisfy."""

    PASSES = "passes"  # the reference passes its own tests
    STABLE = "stable"  # and under another hash seed
    SUMS = "sums"  # and whether or not sum() is compensated, as it is from Python 3.12 on
    FAST = "fast"  # within a second of CPU time
    NAMED = "named"  # the tested function's name stands in the text a model is shown
    MENTIONED = "mentioned"  # the new solution names a function of the base
    CALLED = "called"  # the base function, as the base defines it, runs on a test
    ASSERTS = "asserts"  # enough assertions
    STUBS = "stubs"  # no stub passes: a constant, the first argument, the base call alone
    BASE = "base"  # with the base replaced by a constant, the tests fail
    MUTANTS = "mutants"  # the tests refute most small changes
    TOLERANCE = "tolerance"  # no float is compared exactly
    LEAK = "leak"  # the problem's text does not hold the solution
    NEW = "new"  # no earlier problem of the set has the same tests


# A score on problems that fail one of these measures something else than self-invoking code generation.
SOUND: Final = frozenset(
    {ProblemGate.PASSES, ProblemGate.STABLE, ProblemGate.SUMS, ProblemGate.NAMED, ProblemGate.CALLED, ProblemGate.STUBS}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFinding:
    """What one gate found.

    Attributes:
        gate: Which.
        passed: Whether the problem goes through.
        detail: What was found, in words; a figure where there is one.
    """

    gate: ProblemGate
    passed: bool
    detail: str


class GateCase:
    """A self-invoking problem taken apart.

    Args:
        problem: Its ``pro`` must be set.
        base: The base problem with its own tests, if known: mutants that these do not refute do not count.

    Raises:
        BenchmarkError: It is no self-invoking problem.
    """

    def __init__(self, problem: Problem, base: Problem | None = None) -> None:
        if problem.pro is None:
            raise BenchmarkError(f"{problem.task_id} is not a self-invoking problem")
        self.problem = problem
        self.base = base
        self.halves: SelfInvoking = problem.pro
        self.base_text = line_end(self.halves.raw_problem + line_end(self.halves.raw_solution))
        self.new_text = line_end(self.halves.new_problem) + line_end(self.halves.new_solution)
        self.program = problem.prompt + problem.canonical_solution
        self.functions = defined(self.base_text)

    @property
    def base_name(self) -> str:
        """The base function: the one its own tests are about, or the last that is defined."""
        return self.base.entry_point if self.base else self.functions[-1] if self.functions else ""


def defined(text: str) -> tuple[str, ...]:
    """Return the functions and classes that a text defines at its top level, in order."""
    return tuple(n.name for n in source.parse(text).body if isinstance(n, ast.FunctionDef | ast.ClassDef))


class Seen:
    """The problems so far, for :attr:`Gate.NEW`: equal tests under another name are the same problem."""

    def __init__(self) -> None:
        self._tests: dict[str, str] = {}

    def look(self, problem: Problem) -> GateFinding:
        """Compare a problem with those that were added."""
        earlier = self._tests.get(self._key(problem))
        return GateFinding(
            gate=ProblemGate.NEW, passed=earlier is None, detail=f"as {earlier}" if earlier else "no other"
        )

    def add(self, problem: Problem) -> None:
        """Remember a problem."""
        self._tests.setdefault(self._key(problem), problem.task_id)

    @staticmethod
    def _key(problem: Problem) -> str:
        return re.sub(rf"\b{re.escape(problem.entry_point)}\b", "f", problem.test)


def check(case: GateCase, lab: Lab, only: Container[ProblemGate] = frozenset(ProblemGate)) -> Iterator[GateFinding]:
    """Put a problem through the gates in ``only``, the cheap ones first."""
    for gate, look in _GATES.items():
        if gate not in only:
            continue
        passed, detail = look(case, lab)
        yield GateFinding(gate=gate, passed=passed, detail=detail)


def _named(case: GateCase, _: Lab) -> tuple[bool, str]:
    shown = case.halves.raw_problem + "\n" + case.halves.new_problem
    name = case.problem.entry_point
    named = re.search(rf"\b{re.escape(name)}\b", shown) is not None
    return named, name if named else f"{name} stands nowhere in the problem"


def _mentioned(case: GateCase, _: Lab) -> tuple[bool, str]:
    """Look for the base's names where the new half uses them; its own definitions of them do not count."""
    used = {n.id for n in ast.walk(source.parse(case.new_text)) if isinstance(n, ast.Name)}
    mentioned = sorted(used & set(case.functions))
    return bool(mentioned), ", ".join(mentioned) or "the solution names no function of the base"


def _called(case: GateCase, lab: Lab) -> tuple[bool, str]:
    lines = case.base_text.count("\n")
    count, error = lab.calls(case.program, case.halves.test_code, lines, case.functions)
    again = sorted(set(defined(case.new_text)) & set(case.functions))
    why = f"; the new half defines {', '.join(again)} again" if again else ""
    return count > 0, f"{count} calls of the base{why}" + (f"; {error}" if error else "")


def _asserts(case: GateCase, _: Lab) -> tuple[bool, str]:
    count = sum(isinstance(node, ast.Assert) for node in ast.walk(source.parse(case.halves.test_code)))
    return count >= MIN_ASSERTS, f"{count} assertions"


def _tolerance(case: GateCase, _: Lab) -> tuple[bool, str]:
    exact = [
        ast.unparse(node)
        for node in ast.walk(source.parse(case.halves.test_code))
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq) and _inexact(node)
    ]
    return not exact, f"{len(exact)} exact comparisons of a float" + (f", such as {exact[0]}"[:120] if exact else "")


def _inexact(node: ast.Compare) -> bool:
    """Tell whether an expected value holds a float that a computation may miss by a rounding."""
    parts = [part for side in node.comparators for part in ast.walk(side) if isinstance(part, ast.Constant)]
    return any(isinstance(part.value, float) and not part.value.is_integer() for part in parts)


def _leak(case: GateCase, _: Lab) -> tuple[bool, str]:
    shown = {line.strip(" #\t") for line in case.halves.new_problem.splitlines()}
    lines = [line.strip() for line in case.halves.new_solution.splitlines()]
    leaked = [line for line in lines if len(line) >= _LEAKING_LINE and not line.startswith("#") and line in shown]
    tests = [ast.unparse(n.test) for n in ast.walk(source.parse(case.halves.test_code)) if isinstance(n, ast.Assert)]
    repeated = [test for test in tests if test in case.halves.new_problem]
    if tests and len(repeated) == len(tests):
        leaked.append("every assertion")
    return not leaked, f"the problem shows {leaked[0]}" if leaked else "nothing of the solution"


def _passes(case: GateCase, lab: Lab) -> tuple[bool, str]:
    verdict = lab.run(case.program, case.problem)
    return verdict.outcome is Outcome.PASSED, f"{verdict.outcome} {verdict.detail}".strip()


def _stable(case: GateCase, lab: Lab) -> tuple[bool, str]:
    verdict = lab.run(case.program, case.problem, hash_seed=1)
    return verdict.outcome is Outcome.PASSED, f"with another hash seed: {verdict.outcome} {verdict.detail}".strip()


def _sums(case: GateCase, lab: Lab) -> tuple[bool, str]:
    if not re.search(r"\bf?sum\b|\bmean\b", case.program):
        return True, "no sum"
    for name, text in (("compensated", labs.COMPENSATED), ("plain", labs.PLAIN)):
        verdict = lab.run(text + case.program, case.problem)
        if verdict.outcome is not Outcome.PASSED:
            return False, f"with {name} sums: {verdict.outcome} {verdict.detail}"
    return True, "with plain and compensated sums"


def _fast(case: GateCase, lab: Lab) -> tuple[bool, str]:
    taken = lab.run(case.program, case.problem).cpu_s
    if taken > MAX_CPU_S:  # a second look, in case something else disturbed it
        taken = min(taken, lab.run(case.program, case.problem).cpu_s)
    return taken <= MAX_CPU_S, f"{taken:.2g} s"


def _stubs(case: GateCase, lab: Lab) -> tuple[bool, str]:
    name = case.problem.entry_point
    answers = [*mutate.STUBS, *(f"{function}(*arguments)" for function in case.functions if function != name)]
    passing = [answer for answer in answers if lab.passes(case.base_text + mutate.stub(name, answer), case.problem)]
    return not passing, f"passed by: return {passing[0]}" if passing else f"{len(answers)} stubs fail"


def _base(case: GateCase, lab: Lab) -> tuple[bool, str]:
    """Replace the base by what ignores its arguments: whoever really calls it must then go wrong."""
    wrong = [mutate.stub(case.base_name, answer) for answer in mutate.STUBS]
    passing = [text for text in wrong if lab.passes(case.base_text + text + case.new_text, case.problem)]
    if passing:
        return False, f"the tests pass with the base replaced by: {passing[0].split('return ')[1].strip()}"
    return True, f"{len(wrong)} wrong bases fail"


def _mutants(case: GateCase, lab: Lab) -> tuple[bool, str]:
    texts = [case.base_text + text for text in _changed(case.base_text, case.new_text)]
    texts += [text + case.new_text for text in _wrong_bases(case, lab)]
    killed = sum(not lab.passes(text, case.problem) for text in texts)
    share = killed / len(texts) if texts else 1.0
    return share >= KILL_SHARE, f"{killed} of {len(texts)} mutants refuted"


def _changed(prompt: str, solution: str) -> list[str]:
    """Return mutants of one token and, where a solution has too few such tokens, those of its calls and filters."""
    mutants = mutate.mutants(prompt, solution, limit=_MUTANTS)
    return mutants + restructure.mutants(prompt, solution, limit=_MUTANTS - len(mutants))


def _wrong_bases(case: GateCase, lab: Lab) -> list[str]:
    """Return mutants of the base that its own tests refute."""
    if case.base is None:
        return []
    mutants = _changed(case.halves.raw_problem, line_end(case.halves.raw_solution))
    texts = [case.halves.raw_problem + text for text in mutants]
    return [text for text in texts if not lab.passes(text, case.base)]


_GATES: Final[Mapping[ProblemGate, Callable[[GateCase, Lab], tuple[bool, str]]]] = {
    ProblemGate.NAMED: _named,
    ProblemGate.MENTIONED: _mentioned,
    ProblemGate.ASSERTS: _asserts,
    ProblemGate.TOLERANCE: _tolerance,
    ProblemGate.LEAK: _leak,
    ProblemGate.PASSES: _passes,
    ProblemGate.STABLE: _stable,
    ProblemGate.SUMS: _sums,
    ProblemGate.FAST: _fast,
    ProblemGate.CALLED: _called,
    ProblemGate.STUBS: _stubs,
    ProblemGate.BASE: _base,
    ProblemGate.MUTANTS: _mutants,
}
