"""Two judged runs over the same problems: how far apart, how sure, and which problems changed sides.

Decisions: runs are compared problem by problem, never as two scores with two intervals, since most of the variance is
between problems and common to both; two runs whose benchmark bytes, problems, sample counts or extraction differ are
refused, as their difference would be about that. With one sample a problem the interval is Tango's score interval of a
paired difference of proportions (Stat. Med. 17, 1998), and the test McNemar's exact one (Psychometrika 12, 1947),
which is p = 1 for two runs that agree everywhere; with more samples the unit stays the problem: the wider of Student's
and the bootstrap interval of the mean difference, and the exact sign test over the problems that differ. Equivalence is
TOST at 5 percent: the 90 percent interval lies within the margin.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from trimtab import disk, stats
from trimtab.codeeval import verdicts
from trimtab.errors import BenchmarkError, ConfigurationError
from trimtab.sandbox.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_RESAMPLES: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRun:
    """A folder of ``trimtab eval`` or ``trimtab judge``.

    Attributes:
        path: The folder.
        data: Benchmark → SHA-256 of its bytes.
        extraction: Identity of the extraction that made the programs; empty where an old version did not record it.
        isolation: What of the sandbox was another than usual, and the tiers.
        passed: Benchmark → problem → [samples, samples that passed].
        unsound: Benchmark → problems that a score should leave out.
    """

    path: str
    data: Mapping[str, str]
    extraction: str
    isolation: Mapping[str, Any]
    passed: Mapping[str, Mapping[str, tuple[int, int]]]
    unsound: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """What two runs come to on one benchmark; differences are the first run minus the second, in pass@1.

    Attributes:
        benchmark: Its name.
        problems: How many were compared.
        samples: Samples in each run.
        first: pass@1 of the first run.
        second: pass@1 of the second run.
        value: The difference.
        low: Lower end of its 95 percent interval.
        high: Upper end.
        better_on: Problems on which the first run passes more.
        worse_on: Problems on which the second run does.
        p: Two-sided and exact: McNemar's with one sample a problem, else the sign test over problems.
        test: Which of the two.
        p_adjusted: Holm's, over the benchmarks that are compared at once.
        margin: The largest difference that would not matter; None where none was given.
        equivalent_low: Lower end of the 90 percent interval.
        equivalent_high: Upper end.
        equivalent: Whether that lies within the margin; None without one.
    """

    benchmark: str
    problems: int
    samples: int
    first: float
    second: float
    value: float
    low: float
    high: float
    better_on: tuple[str, ...]
    worse_on: tuple[str, ...]
    p: float
    test: str
    p_adjusted: float
    margin: float | None
    equivalent_low: float
    equivalent_high: float
    equivalent: bool | None


def read(path: Path) -> JudgedRun:
    """Read a folder of a judged run.

    Raises:
        BenchmarkError: It is none, or a file of it is damaged.
    """
    settings, verdicts_file = path / "eval.json", path / "verdicts.jsonl"
    if not (settings.is_file() and verdicts_file.is_file()):
        raise BenchmarkError(
            f"{path} is no folder of a judged run: it needs eval.json and verdicts.jsonl",
            hint="trimtab judge and trimtab eval make one; for samples.jsonl it is samples.jsonl.judged",
        )
    settings_record = disk.read_json(settings, error=BenchmarkError)
    judged = verdicts.read(verdicts_file)
    passed: dict[str, dict[str, tuple[int, int]]] = {}
    for record in judged.verdicts:
        tasks = passed.setdefault(record["benchmark"], {})
        samples, solved = tasks.get(record["task_id"], (0, 0))
        tasks[record["task_id"]] = samples + 1, solved + (record["outcome"] == Outcome.PASSED)
    result = path / "result.json"
    scores = disk.read_json(result, error=BenchmarkError).get("benchmarks", {}) if result.is_file() else {}
    return JudgedRun(
        path=str(path),
        data=settings_record.get("data", {}),
        extraction=settings_record.get("extraction", ""),
        isolation={**settings_record.get("isolation", {}), "tiers": judged.tiers},
        passed=passed,
        unsound={name: frozenset(entry.get("unsound", ())) for name, entry in scores.items()},
    )


def compare(
    first: JudgedRun, second: JudgedRun, *, margin: float | None = None, sound: bool = False
) -> list[PairedDifference]:
    """Compare two runs on every benchmark that both have.

    Args:
        first: One run.
        second: The other.
        margin: The largest absolute difference in pass@1 that would not matter, such as 0.02.
        sound: Whether to leave out the problems that either run found unsound.

    Raises:
        BenchmarkError: They have no benchmark in common, or differ in its bytes, its problems, their numbers of
            samples, or the extraction; the message says in what.
        ConfigurationError: The margin is not within (0, 1).
    """
    if margin is not None and not 0 < margin < 1:
        raise ConfigurationError(f"a margin is a difference in pass@1 between 0 and 1, such as 0.02, got {margin}")
    names = [name for name in first.passed if name in second.passed]
    if not names:
        raise BenchmarkError(
            f"{first.path} and {second.path} have no benchmark in common:"
            f" {', '.join(first.passed) or 'none'} and {', '.join(second.passed) or 'none'}"
        )
    _refuse_other_extraction(first, second)
    for name in names:
        _refuse_other_problems(first, second, name)
    differences = [_difference(first, second, name, margin, sound=sound) for name in names]
    adjusted = stats.holm([entry.p for entry in differences])
    return [dataclasses.replace(entry, p_adjusted=p) for entry, p in zip(differences, adjusted, strict=True)]


def _refuse_other_extraction(first: JudgedRun, second: JudgedRun) -> None:
    if first.extraction != second.extraction or not first.extraction:
        shown = [run.extraction or "one that was not recorded" for run in (first, second)]
        raise BenchmarkError(
            f"the programs were taken out of the replies in different ways: {first.path} by extraction {shown[0]},"
            f" {second.path} by {shown[1]}",
            hint="judge the samples of both again with one version of trimtab",
        )


def _refuse_other_problems(first: JudgedRun, second: JudgedRun, name: str) -> None:
    here, there = first.data.get(name, ""), second.data.get(name, "")
    if here != there:
        raise BenchmarkError(
            f"{name} has other bytes in {first.path} ({here[:12]}) than in {second.path} ({there[:12]})",
            hint="judge the samples of both again on one file of the benchmark",
        )
    mine, theirs = first.passed[name], second.passed[name]
    lonely = sorted(mine.keys() ^ theirs.keys())
    if lonely:
        where, lacks = (first, second) if lonely[0] in mine else (second, first)
        raise BenchmarkError(
            f"{name}: {len(lonely)} problems have samples in one run alone, {lonely[0]} in {where.path} and not in"
            f" {lacks.path}",
            hint="finish both runs, or judge samples of the same problems",
        )
    for task_id, (samples, _) in mine.items():
        if samples != theirs[task_id][0]:
            raise BenchmarkError(
                f"{name}: {task_id} has {samples} samples in {first.path} and {theirs[task_id][0]} in {second.path}",
                hint="finish both runs, or judge as many samples of each",
            )


def _difference(
    first: JudgedRun, second: JudgedRun, name: str, margin: float | None, *, sound: bool
) -> PairedDifference:
    left_out = first.unsound.get(name, frozenset()) | second.unsound.get(name, frozenset()) if sound else frozenset()
    tasks = [task_id for task_id in first.passed[name] if task_id not in left_out]
    if not tasks:
        raise BenchmarkError(f"{name} has no sound problem in common")
    rates = [[run.passed[name][t][1] / run.passed[name][t][0] for t in tasks] for run in (first, second)]
    gaps = [mine - theirs for mine, theirs in zip(*rates, strict=True)]
    better = tuple(task for task, gap in zip(tasks, gaps, strict=True) if gap > 0)
    worse = tuple(task for task, gap in zip(tasks, gaps, strict=True) if gap < 0)
    samples = sum(first.passed[name][task][0] for task in tasks)
    single = samples == len(tasks)
    wide, narrow = (
        tango(len(better), len(worse), len(tasks), confidence) if single else _mean_gap(gaps, confidence)
        for confidence in (0.95, 0.90)
    )
    return PairedDifference(
        benchmark=name,
        problems=len(tasks),
        samples=samples,
        first=sum(rates[0]) / len(tasks),
        second=sum(rates[1]) / len(tasks),
        value=sum(gaps) / len(tasks),
        low=wide.low,
        high=wide.high,
        better_on=better,
        worse_on=worse,
        p=stats.sign_test(len(better), len(worse)),
        test="exact McNemar" if single else "exact sign test over problems",
        p_adjusted=1.0,
        margin=margin,
        equivalent_low=narrow.low,
        equivalent_high=narrow.high,
        equivalent=None if margin is None else narrow.inside(margin),
    )


def tango(first_only: int, second_only: int, problems: int, confidence: float = 0.95) -> stats.Interval:
    """Return Tango's score interval of a paired difference of proportions (Stat. Med. 17, 891, 1998, Eq. 4 and 5).

    Args:
        first_only: Problems that the first run alone solves.
        second_only: Problems that the second run alone solves.
        problems: All problems.
        confidence: Of the interval.

    Raises:
        ConfigurationError: The counts are negative, or more than there are problems.

    >>> found = tango(0, 0, 164)
    >>> round(found.low, 4), round(found.high, 4)
    (-0.0229, 0.0229)
    """
    if min(first_only, second_only) < 0 or first_only + second_only > problems or problems < 1:
        raise ConfigurationError(f"{first_only} and {second_only} of {problems} problems cannot be")
    z = float(ndtri(0.5 + confidence / 2))
    estimate = (first_only - second_only) / problems

    def excess(difference: float, side: float) -> float:
        return _score(first_only, second_only, problems, difference) - side * z

    edge = 1 - 1e-12
    low = -1.0 if excess(-edge, 1.0) <= 0 else brentq(excess, -edge, estimate, args=(1.0,), xtol=1e-12)
    high = 1.0 if excess(edge, -1.0) >= 0 else brentq(excess, estimate, edge, args=(-1.0,), xtol=1e-12)
    return stats.Interval(low=float(low), high=float(high), confidence=confidence)


def _score(first_only: int, second_only: int, problems: int, difference: float) -> float:
    """Return the score statistic of a difference, with the constrained estimate of the second run's share."""
    a = 2 * problems
    b = -first_only - second_only + (2 * problems - first_only + second_only) * difference
    c = -second_only * difference * (1 - difference)
    share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = problems * (2 * share + difference * (1 - difference))
    gap = first_only - second_only - problems * difference
    if variance <= 0:
        return 0.0 if gap == 0 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def _mean_gap(gaps: Sequence[float], confidence: float) -> stats.Interval:
    """Return an interval of a mean difference over problems; equal differences say no more than equal pairs do."""
    data = np.asarray(gaps, dtype=np.float64)
    if float(np.ptp(data)) == 0:
        half = tango(0, 0, len(data), confidence).high
        center = float(data[0])
        return stats.Interval(low=max(-1.0, center - half), high=min(1.0, center + half), confidence=confidence)
    rng = np.random.default_rng([len(data), _RESAMPLES])
    weights = rng.multinomial(len(data), np.full(len(data), 1 / len(data)), size=_RESAMPLES)
    draws = stats.percentile_interval(np.sort(weights @ data / len(data)), confidence)
    return stats.wider(stats.student_interval(data, confidence), draws)


def remarks(first: JudgedRun, second: JudgedRun) -> list[str]:
    """Return what differs between two runs beside their samples and does not forbid to compare them."""
    keys = sorted(first.isolation.keys() | second.isolation.keys())
    return [
        f"{key}: {first.isolation.get(key, 'as usual')} in {first.path}, {second.isolation.get(key, 'as usual')} in"
        f" {second.path}"
        for key in keys
        if first.isolation.get(key) != second.isolation.get(key)
    ]


def lines(result: PairedDifference, names: tuple[str, str], *, shown: int = 12) -> list[str]:
    """Return what is printed of a comparison; points are percentage points."""
    first, second = names
    adjusted = f" ({result.p_adjusted:.3g} by Holm)" if result.p_adjusted != result.p else ""
    text = [
        (
            f"{result.benchmark}: {first} {100 * result.first:.1f} %, {second} {100 * result.second:.1f} %; difference"
            f" {100 * result.value:+.1f} points [{100 * result.low:+.1f}, {100 * result.high:+.1f}]"
            f" (95 %, paired, {result.problems} problems)"
        ),
        (
            f"  {first} alone ahead on {len(result.better_on)}, {second} alone on {len(result.worse_on)};"
            f" {result.test}: p = {result.p:.3g}{adjusted}"
        ),
    ]
    if result.margin is not None:
        word = "equivalent" if result.equivalent else "equivalence not shown"
        text.append(
            f"  within {100 * result.margin:g} points: {word}"
            f" (90 % interval [{100 * result.equivalent_low:+.1f}, {100 * result.equivalent_high:+.1f}])"
        )
    for name, tasks in ((first, result.better_on), (second, result.worse_on)):
        if tasks:
            more = f" and {len(tasks) - shown} more" if len(tasks) > shown else ""
            text.append(f"  {name} ahead on: {', '.join(tasks[:shown])}{more}")
    return text
