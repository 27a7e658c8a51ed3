"""Verdicts into scores: pass@k with intervals, twice; why samples failed; what self-invocation costs.

Decisions: every score is given for all problems and for the sound ones, and for the text as it stands beside the
extracted program, which is the headline; the unit of every interval is the problem; a drop from base to self-invoking
problems is taken pair by pair, over the pairs both benchmarks hold.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab import stats
from trimtab.errors import BenchmarkError
from trimtab.sandbox.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trimtab.codeeval.problem import Benchmark

# arXiv 2412.21199, Table 3, first; then what its table has no row for.
KINDS: Final = (
    "AssertionError", "NameError", "ValueError", "IndexError", "TypeError", "other error",
    "syntax", "no function", "no code", "timeout", "memory", "crash", "exit", "too much output",
)  # fmt: skip
_NAMED: Final = frozenset(KINDS[1:5])
_KIND: Final = {
    Outcome.WRONG: "AssertionError",
    Outcome.SYNTAX: "syntax",
    Outcome.MISSING: "no function",
    Outcome.NO_CODE: "no code",
    Outcome.TIMEOUT_CPU: "timeout",
    Outcome.TIMEOUT_WALL: "timeout",
    Outcome.OOM: "memory",
    Outcome.CRASH: "crash",
    Outcome.EXIT: "exit",
    Outcome.OUTPUT_LIMIT: "too much output",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A pass@k.

    Attributes:
        k: The k.
        value: Its unbiased estimate, averaged over problems (arXiv 2107.03374).
        interval: At 95 percent, over problems.
        problems: How many.
    """

    k: int
    value: float
    interval: stats.Interval
    problems: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkTally:
    """What came of one benchmark, as counts.

    Attributes:
        benchmark: Its name.
        passed: Task → [samples, samples whose extracted program passed].
        raw: Task → [samples, samples that passed as they stood].
        unsound: Tasks that a score should leave out, and why.
        failures: How many samples failed in which way.
        steps: How many passing samples needed which step of extraction.
        base_not_called: Among (passing, failing) samples of self-invoking problems, those that never call the base
            function anywhere in their text; None for other benchmarks.
    """

    benchmark: str
    passed: Mapping[str, list[int]]
    raw: Mapping[str, list[int]]
    unsound: Mapping[str, str]
    failures: Mapping[str, int]
    steps: Mapping[str, int]
    base_not_called: tuple[int, int] | None

    def score(self, k: int, *, raw: bool = False, sound: bool = False) -> Score | None:
        """Return a pass@k; None where some problem has fewer than k samples, or no problem is left."""
        counts = self.raw if raw else self.passed
        values = {task: pair for task, pair in counts.items() if not (sound and task in self.unsound)}
        if not values or min(n for n, _ in values.values()) < k:
            return None
        each = [stats.pass_at_k(n, c, k) for n, c in values.values()]
        return Score(k=k, value=sum(each) / len(each), interval=stats.mean_interval(each), problems=len(each))

    @property
    def samples(self) -> int:
        """How many samples were judged."""
        return sum(n for n, _ in self.passed.values())


def tally(benchmark: Benchmark, verdicts: Iterable[Mapping[str, Any]], unsound: Mapping[str, str]) -> BenchmarkTally:
    """Count the verdicts of one benchmark.

    Args:
        benchmark: Its problems; those without a sample do not count.
        verdicts: Records of ``verdicts.jsonl``; of other benchmarks too.
        unsound: Tasks that a score should leave out, and why.

    Raises:
        BenchmarkError: There is no verdict on this benchmark.
    """
    mine = [record for record in verdicts if record["benchmark"] == benchmark.name]
    if not mine:
        raise BenchmarkError(f"there is no verdict on {benchmark.name}")
    passed: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    raw: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for record in mine:
        for counts, outcome in ((passed, record["outcome"]), (raw, record["raw"])):
            counts[record["task_id"]][0] += 1
            counts[record["task_id"]][1] += outcome == Outcome.PASSED
    solved = [record for record in mine if record["outcome"] == Outcome.PASSED]
    failed = [record for record in mine if record["outcome"] != Outcome.PASSED]
    shy = [sum(record.get("calls_base") is False for record in group) for group in (solved, failed)]
    return BenchmarkTally(
        benchmark=benchmark.name,
        passed=dict(passed),
        raw=dict(raw),
        unsound=dict(unsound),
        failures=Counter(kind(record["outcome"], record["detail"]) for record in failed),
        steps=Counter(step for record in solved for step in record["steps"]),
        base_not_called=(shy[0], shy[1]) if any(p.pro is not None for p in benchmark.problems) else None,
    )


def kind(outcome: str, detail: str) -> str:
    """Return the class of a failure, one of :data:`KINDS`.

    >>> kind("error", "NameError: name 'x' is not defined")
    'NameError'
    """
    if outcome == Outcome.ERROR:
        name = re.match(r"\w+", detail)
        return name[0] if name is not None and name[0] in _NAMED else "other error"
    return _KIND[Outcome(outcome)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """What is lost from base problems to the self-invoking problems built on them.

    Attributes:
        base: The base benchmark.
        pro: The self-invoking one.
        value: Mean over pairs of pass@1 on the base minus pass@1 on the self-invoking problem.
        interval: At 95 percent, pairs resampled.
        pairs: How many pairs both benchmarks have.
    """

    base: str
    pro: str
    value: float
    interval: stats.Interval
    pairs: int


def drop(
    base: BenchmarkTally, pro: BenchmarkTally, pairs: Sequence[tuple[str, str]], *, sound: bool = False
) -> Drop | None:
    """Return the drop over ``pairs`` of (base task, self-invoking task); None without a pair in both."""
    differences = [
        _pass_at_1(base.passed[b]) - _pass_at_1(pro.passed[p])
        for b, p in pairs
        if b in base.passed and p in pro.passed and not (sound and (p in pro.unsound or b in base.unsound))
    ]
    if not differences:
        return None
    return Drop(
        base=base.benchmark,
        pro=pro.benchmark,
        value=sum(differences) / len(differences),
        interval=stats.mean_interval(differences, low=-1.0),
        pairs=len(differences),
    )


def _pass_at_1(counts: Sequence[int]) -> float:
    return counts[1] / counts[0]


def pairs(base: Benchmark, pro: Benchmark) -> list[tuple[str, str]]:
    """Return (base task, self-invoking task) for every self-invoking problem whose base is in ``base``."""
    known = {problem.task_id for problem in base.problems}
    named = [(p.pro.base_task_id, p.task_id) for p in pro.problems if p.pro is not None]
    return [(b, p) for b, p in named if b in known]
