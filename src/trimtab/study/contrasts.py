"""The answer: how much more a method loses under a stress than the control loses, and what may be said about it.

Degradation D is harm done by a stress: metric(stress) - metric(reference) of one method and seed, with the sign turned
where higher is better, so that positive always means worse. The answer is the difference in differences
D_method - D_control over seeds in which all four cells are there.

- A verdict is printed only for the study's named contrasts. The rows of the primary endpoint are one Holm family, the
  rows of all secondary endpoints another; within each, differences and equivalences are adjusted apart.
- A cell that diverged, or failed whenever it was tried, is worse than any number. Rows with one are ranked by seed
  (exact sign test), without interval.
- A row whose cells are not all run yet has an interval and no word: its family is what the study asks for, so that a
  word that was printed is not taken back when other rows arrive.
- An endpoint whose positive control failed for a factor is exploratory under that factor: interval, but no verdict.
- D of both arms is taken over the same seeds and units as their difference, so the printed numbers add up.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np

from trimtab import stats
from trimtab.study import sensitivity
from trimtab.study.endpoints import ENDPOINTS, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trimtab.study.spec import Study
    from trimtab.study.store import CellResult

_PAIR: Final = (1.0, -1.0)
_FOUR: Final = (1.0, -1.0, -1.0, 1.0)


class Measured(Protocol):
    """What a contrast reads of a study's table (:class:`trimtab.study.table.StudyTable`)."""

    @property
    def study(self) -> Study:
        """The study."""

    @property
    def results(self) -> Mapping[str, CellResult]:
        """The cells that are finished and sound."""

    @property
    def controls(self) -> tuple[sensitivity.Control, ...]:
        """What is known about the sensitivity of the endpoints."""

    def cell_id(self, model: str, balancer: str, expert_init: str, capacity: str, seed: int) -> str | None:
        """Return the id of a cell; None when the study leaves it out."""

    def gap(self, cell_id: str, endpoint: Endpoint) -> str:
        """Say why a cell has nothing to say about an endpoint; empty if it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stressor:
    """A departure from the reference in one factor, or in both at once (the interaction corner)."""

    expert_init: str
    capacity: str
    factors: tuple[str, ...]

    @property
    def label(self) -> str:
        """Return a readable name, such as "expert_init=skewed + capacity=1.0"."""
        return " + ".join(f"{factor}={getattr(self, factor)}" for factor in self.factors)

    @property
    def short(self) -> str:
        """Return the levels alone, such as "skewed + 1.0"."""
        return " + ".join(str(getattr(self, factor)) for factor in self.factors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Degradation:
    """What a stress costs one method on one endpoint.

    ``estimate`` is None where a cell diverged or nothing was measured. ``seeds`` are those it is paired over.
    """

    model: str
    method: str
    stressor: Stressor
    endpoint: str
    seeds: tuple[int, ...]
    estimate: stats.Estimate | None
    diverged: tuple[str, ...]
    missing: tuple[str, ...]
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One row of the answer: a method against the control, under one stress, on one endpoint.

    Attributes:
        model: Level of the factor model.
        method: The balancer the row is about.
        control: The balancer it is compared with.
        stressor: What was done to both.
        endpoint: Name of the endpoint.
        role: "primary" and "secondary" endpoints of the study's contrast are tested; "exploratory" rows are not.
        seeds: Paired seeds: all four cells are there.
        treated: D of the method; None where it has no finite value.
        controlled: D of the control.
        difference: D of the method minus D of the control; positive = the method loses more.
        margin: The study's margin, in the endpoint's unit.
        tests: Size of the Holm family; 0 where nothing is tested.
        p_difference: Holm-adjusted.
        p_equivalence: Holm-adjusted.
        verdict: None where none may be printed.
        reason: Why there is no verdict, or what the reader should know about it.
        ranks: Where a cell diverged, the seeds in which the method lost more, and less, than the control.
        diverged: Cells that diverged.
        missing: What is not there, cell by cell, and why.
        waiting: Seeds of the study of which a cell is still to be run: the row has no word before it has them all.
        cells: Every cell behind the row.
    """

    model: str
    method: str
    control: str
    stressor: Stressor
    endpoint: str
    role: Literal["primary", "secondary", "exploratory"]
    seeds: tuple[int, ...]
    treated: stats.Estimate | None
    controlled: stats.Estimate | None
    difference: stats.Estimate | None
    margin: float | None
    tests: int = 0
    p_difference: float | None = None
    p_equivalence: float | None = None
    verdict: stats.Verdict | None = None
    reason: str = ""
    ranks: tuple[int, int] | None = None
    diverged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    waiting: tuple[int, ...] = ()
    cells: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Return the verdict as it is printed."""
        if self.waiting:
            return f"not yet run ({len(self.seeds)} of {len(self.seeds) + len(self.waiting)} seeds)"
        if not self.seeds:
            return "not measured"
        if self.verdict is None:
            return "exploratory"
        if self.verdict == stats.Verdict.UNDECIDED and len(self.seeds) < stats.MIN_SEEDS:
            return f"undecided ({len(self.seeds)} seed{'s' * (len(self.seeds) != 1)})"
        return self.verdict.value

    def record(self) -> dict[str, Any]:
        """Return the row as plain values."""
        return {**dataclasses.asdict(self), "stressor": self.stressor.label, "words": self.words}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """The cells of one comparison: ``metrics`` [conditions][seeds] of unit → counts, None where it diverged."""

    seeds: tuple[int, ...]
    metrics: list[list[dict[str, tuple[float, float]] | None]]
    diverged: tuple[str, ...]
    missing: tuple[str, ...]
    waiting: tuple[int, ...]
    cells: tuple[str, ...]


def stressors(study: Study) -> tuple[Stressor, ...]:
    """Return every stress of a study: initializations, capacities, then the corners that combine them."""
    init, capacity = study.reference.expert_init, study.reference.capacity
    inits = [str(level) for level in study.factors["expert_init"] if level != init]
    capacities = [str(level) for level in study.factors["capacity"] if level != capacity]
    return (
        *(Stressor(expert_init=level, capacity=capacity, factors=("expert_init",)) for level in inits),
        *(Stressor(expert_init=init, capacity=level, factors=("capacity",)) for level in capacities),
        *(
            Stressor(expert_init=one, capacity=other, factors=("expert_init", "capacity"))
            for one in inits
            for other in capacities
        ),
    )


def degradations(table: Measured) -> tuple[Degradation, ...]:
    """Return D of every method under every stress on every endpoint of the study."""
    study = table.study
    return tuple(
        _degradation(table, model, method, stressor, ENDPOINTS[name])
        for model in map(str, study.factors["model"])
        for name in (study.endpoints.primary, *study.endpoints.secondary)
        for stressor in stressors(study)
        for method in map(str, study.factors["balancer"])
    )


def answers(table: Measured) -> tuple[Answer, ...]:
    """Return the answer matrix: the study's contrast first, then the other methods, marked exploratory."""
    study = table.study
    control = study.contrast.control
    methods = [str(name) for name in study.factors["balancer"] if name not in (control, study.contrast.treatment)]
    drafts = [
        _draft(table, model, method, stressor, ENDPOINTS[name])
        for method in (study.contrast.treatment, *methods)
        for model in map(str, study.factors["model"])
        for name in (study.endpoints.primary, *study.endpoints.secondary)
        for stressor in stressors(study)
    ]
    alpha = 1 - study.confidence
    tested = {index: row for index, row in enumerate(drafts) if row.role != "exploratory"}
    for role in ("primary", "secondary"):
        family = [index for index, row in tested.items() if row.role == role]
        for index, row in zip(family, _judged([drafts[index] for index in family], alpha), strict=True):
            drafts[index] = row
    return tuple(drafts)


def _degradation(table: Measured, model: str, method: str, stressor: Stressor, endpoint: Endpoint) -> Degradation:
    found = _gather(table, endpoint, [(model, method, *pair) for pair in _conditions(table.study, stressor)])
    return Degradation(
        model=model,
        method=method,
        stressor=stressor,
        endpoint=endpoint.name,
        seeds=found.seeds,
        estimate=_estimate(found, _PAIR, endpoint, table.study.confidence),
        diverged=found.diverged,
        missing=found.missing,
        cells=found.cells,
    )


def _draft(table: Measured, model: str, method: str, stressor: Stressor, endpoint: Endpoint) -> Answer:
    """Return a row without verdict; its p-values are not adjusted yet."""
    study = table.study
    arms = (method, study.contrast.control)
    found = _gather(table, endpoint, [(model, arm, *pair) for arm in arms for pair in _conditions(study, stressor)])
    margin = study.margins.get(endpoint.name)
    difference = _estimate(found, _FOUR, endpoint, study.confidence, margin)
    ranks = _ranks(found, endpoint) if found.diverged else None
    role, reason = _role(table, method, stressor, endpoint)
    return Answer(
        model=model,
        method=method,
        control=study.contrast.control,
        stressor=stressor,
        endpoint=endpoint.name,
        role=role,
        seeds=found.seeds,
        treated=_estimate(found, (1.0, -1.0, 0.0, 0.0), endpoint, study.confidence),
        controlled=_estimate(found, (0.0, 0.0, 1.0, -1.0), endpoint, study.confidence),
        difference=difference,
        margin=margin,
        p_difference=stats.sign_test(*ranks) if ranks else difference.p_difference if difference else None,
        p_equivalence=difference.p_equivalence if difference else None,
        reason=reason,
        ranks=ranks,
        diverged=found.diverged,
        missing=found.missing,
        waiting=found.waiting,
        cells=found.cells,
    )


def _role(
    table: Measured, method: str, stressor: Stressor, endpoint: Endpoint
) -> tuple[Literal["primary", "secondary", "exploratory"], str]:
    if method not in (table.study.contrast.treatment, *table.study.contrast.also):
        return "exploratory", "not the study's contrast"
    failed = sensitivity.failed(table.controls, endpoint.name, stressor.factors)
    if failed:
        return "exploratory", f"control failed ({'; '.join(control.sentence() for control in failed)})"
    return ("primary" if endpoint.name == table.study.endpoints.primary else "secondary"), ""


def _conditions(study: Study, stressor: Stressor) -> Iterator[tuple[str, str]]:
    """Yield (expert_init, capacity) of stress, then reference."""
    yield stressor.expert_init, stressor.capacity
    yield study.reference.expert_init, study.reference.capacity


def _gather(table: Measured, endpoint: Endpoint, conditions: Sequence[tuple[str, str, str, str]]) -> _Cells:
    """Collect the cells of every seed in which all conditions are there."""
    seeds, metrics, missing = [], [], []
    diverged: list[str] = []
    waiting: list[int] = []
    cells: list[str] = []
    for seed in (int(level) for level in table.study.factors["seed"]):
        found = {condition: table.cell_id(*condition, seed) for condition in conditions}
        names = [name for name in found.values() if name is not None]
        gaps = [f"{', '.join(one)}: the study leaves it out" for one, name in found.items() if name is None]
        gaps += [f"{name}: {why}" for name in names if (why := table.gap(name, endpoint)) and name not in table.failed]
        cells.extend(names)
        if gaps:
            missing.extend(gaps)
            waiting += [seed] if any(name in table.waiting for name in names) else []
            continue
        seeds.append(seed)
        lost = [name for name in names if name in table.failed or table.results[name].outcome == "diverged"]
        diverged.extend(lost)
        metrics.append([None if name in lost else endpoint.counts(table.results[name]) for name in names])
    return _Cells(
        seeds=tuple(seeds),
        metrics=[list(column) for column in zip(*metrics, strict=True)],
        diverged=tuple(diverged),
        missing=tuple(missing),
        waiting=tuple(waiting),
        cells=tuple(cells),
    )


def _estimate(
    found: _Cells, signs: Sequence[float], endpoint: Endpoint, confidence: float, margin: float | None = None
) -> stats.Estimate | None:
    """Return the signed sum of the conditions' metrics in units of harm; None where it has no finite value."""
    complete = [[counts for counts in seeds if counts is not None] for seeds in found.metrics]
    if found.diverged or not found.seeds:
        return None
    units = sorted(set.intersection(*(set(counts) for seeds in complete for counts in seeds)))
    if not units:
        return None
    pairs = np.array([[[counts[unit] for unit in units] for counts in seeds] for seeds in complete])
    terms = [
        (endpoint.harm * sign, stats.Ratio(pair[..., 0], pair[..., 1]))
        for sign, pair in zip(signs, pairs, strict=True)
        if sign
    ]
    return stats.contrast(terms, confidence=confidence, margin=margin)


def _ranks(found: _Cells, endpoint: Endpoint) -> tuple[int, int]:
    """Count the seeds in which the method lost more, and less, than the control; a diverged cell is worst of all."""
    harms = [[_harm(counts, endpoint) for counts in seeds] for seeds in found.metrics]
    differences = [
        _minus(_minus(stress, reference), _minus(control_stress, control_reference))
        for stress, reference, control_stress, control_reference in zip(*harms, strict=True)
    ]
    return sum(value > 0 for value in differences), sum(value < 0 for value in differences)


def _harm(counts: dict[str, tuple[float, float]] | None, endpoint: Endpoint) -> float:
    if counts is None:
        return math.inf
    return endpoint.harm * sum(pair[0] for pair in counts.values()) / sum(pair[1] for pair in counts.values())


def _minus(one: float, other: float) -> float:
    """Subtract; two infinities of one sign tie, because neither is worse than the other."""
    return 0.0 if one == other else one - other


def _judged(rows: list[Answer], alpha: float) -> Iterator[Answer]:
    """Adjust one family and give each row its word; a row without a p-value, or not wholly run, was not rejected."""
    p_difference = stats.holm([_p(row, row.p_difference) for row in rows])
    p_equivalence = stats.holm([_p(row, row.p_equivalence) for row in rows])
    for row, different, same in zip(rows, p_difference, p_equivalence, strict=True):
        judged = dataclasses.replace(
            row,
            tests=len(rows),
            p_difference=None if row.p_difference is None else different,
            p_equivalence=None if row.p_equivalence is None else same,
        )
        word = None if row.waiting else _word(judged, alpha)
        yield dataclasses.replace(judged, verdict=word, reason=_remark(row, judged, alpha))


def _p(row: Answer, value: float | None) -> float:
    return 1.0 if value is None or row.waiting else value


def _word(row: Answer, alpha: float) -> stats.Verdict:
    value = row.difference.value if row.difference else 0.0
    return stats.verdict(
        row.ranks[0] - row.ranks[1] if row.ranks else value,
        seeds=len(row.seeds),
        alpha=alpha,
        p_difference=row.p_difference,
        p_equivalence=row.p_equivalence,
    )


def _absence(row: Answer) -> str:
    """Return why nothing is said."""
    if row.waiting:
        return "its seeds are not all run, so nothing is said"
    return f"no seed has all its cells ({row.missing[0]})" if row.missing else "no cells"


def _remark(raw: Answer, row: Answer, alpha: float) -> str:
    """Return what a reader of the word should know; ``raw`` has the p-values before adjustment."""
    if row.waiting or not row.seeds:
        return _absence(row)
    if row.ranks:
        return (
            f"{len(row.diverged)} diverged or failed, ranking worst: {row.method} loses more in {row.ranks[0]},"
            f" less in {row.ranks[1]} of {len(row.seeds)} seeds"
        )
    if row.difference is None:
        return "the cells were not measured on the same units"
    if len(row.seeds) < stats.MIN_SEEDS:
        return f"under {stats.MIN_SEEDS} seeds the spread over seeds is unknown"
    hints = (
        (row.p_equivalence, raw.p_equivalence, "the TOST interval lies inside the margin"),
        (row.p_difference, raw.p_difference, "the interval excludes 0"),
    )
    for adjusted, nominal, claim in hints:
        if adjusted is not None and nominal is not None and nominal <= alpha:
            return "" if adjusted <= alpha else f"{claim}, but not after Holm over {row.tests} tests"
    return "" if row.margin else "no margin is set, so it cannot be called equivalent"
