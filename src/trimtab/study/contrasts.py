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

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

import numpy as np

from trimtab import stats
from trimtab.study import sensitivity
from trimtab.study.answers import Answer, Degradation, Stressor
from trimtab.study.endpoints import ENDPOINTS, Endpoint
from trimtab.study.judging import judged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trimtab.study.cell_counts import CellCounts, UnitCounts
    from trimtab.study.spec import Study

    Ratios = dict[tuple[str, tuple[str, ...], tuple[str, ...]], stats.Ratio]

_PAIR: Final = (1.0, -1.0)
_FOUR: Final = (1.0, -1.0, -1.0, 1.0)


class Measured(Protocol):
    """What a contrast reads of a study's table (:class:`trimtab.study.table.StudyTable`)."""

    @property
    def study(self) -> Study:
        """The study."""

    @property
    def counts(self) -> Mapping[str, CellCounts]:
        """What is counted of the cells that are finished and sound."""

    @property
    def failed(self) -> frozenset[str]:
        """The cells that were run and ended in an error."""

    @property
    def waiting(self) -> frozenset[str]:
        """The cells that are still to be run."""

    @property
    def controls(self) -> tuple[sensitivity.Control, ...]:
        """What is known about the sensitivity of the endpoints."""

    def cell_id(self, model: str, balancer: str, expert_init: str, capacity: str, seed: int) -> str | None:
        """Return the id of a cell; None when the study leaves it out."""

    def gap(self, cell_id: str, endpoint: Endpoint) -> str:
        """Say why a cell has nothing to say about an endpoint; empty if it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """The cells of one comparison: ``names`` and ``metrics`` [conditions][seeds], None where a cell diverged."""

    seeds: tuple[int, ...]
    names: list[tuple[str, ...]]
    metrics: list[list[UnitCounts | None]]
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
    ratios: Ratios = {}
    return tuple(
        _degradation(table, model, method, stressor, ENDPOINTS[name], ratios)
        for model in map(str, study.factors["model"])
        for name in (study.endpoints.primary, *study.endpoints.secondary)
        for stressor in stressors(study)
        for method in map(str, study.factors["balancer"])
        if _has_seed(table, _compared(study, model, (method,), stressor))
    )


def answers(table: Measured) -> tuple[Answer, ...]:
    """Return the answer matrix: the study's contrast first, then the other methods, marked exploratory.

    What ``[[select]]`` leaves out was never asked for: it is no row, and no test of a family.
    """
    study = table.study
    control = study.contrast.control
    methods = [str(name) for name in study.factors["balancer"] if name not in (control, study.contrast.treatment)]
    ratios: Ratios = {}
    drafts = [
        _draft(table, model, method, stressor, ENDPOINTS[name], ratios)
        for method in (study.contrast.treatment, *methods)
        for model in map(str, study.factors["model"])
        for name in (study.endpoints.primary, *study.endpoints.secondary)
        for stressor in stressors(study)
        if _has_seed(table, _compared(study, model, (method, control), stressor))
    ]
    alpha = 1 - study.confidence
    tested = {index: row for index, row in enumerate(drafts) if row.role != "exploratory"}
    for role in ("primary", "secondary"):
        family = [index for index, row in tested.items() if row.role == role]
        for index, row in zip(family, judged([drafts[index] for index in family], alpha), strict=True):
            drafts[index] = row
    return tuple(drafts)


def _degradation(
    table: Measured, model: str, method: str, stressor: Stressor, endpoint: Endpoint, ratios: Ratios
) -> Degradation:
    found = _gather(table, endpoint, _compared(table.study, model, (method,), stressor))
    return Degradation(
        model=model,
        method=method,
        stressor=stressor,
        endpoint=endpoint.name,
        seeds=found.seeds,
        estimate=_estimate(found, _PAIR, endpoint, ratios, table.study.confidence),
        diverged=found.diverged,
        missing=found.missing,
        cells=found.cells,
    )


def _draft(table: Measured, model: str, method: str, stressor: Stressor, endpoint: Endpoint, ratios: Ratios) -> Answer:
    """Return a row without verdict; its p-values are not adjusted yet."""
    study = table.study
    found = _gather(table, endpoint, _compared(study, model, (method, study.contrast.control), stressor))
    margin = study.margins.get(endpoint.name)
    difference = _estimate(found, _FOUR, endpoint, ratios, study.confidence, margin)
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
        treated=_estimate(found, (1.0, -1.0, 0.0, 0.0), endpoint, ratios, study.confidence),
        controlled=_estimate(found, (0.0, 0.0, 1.0, -1.0), endpoint, ratios, study.confidence),
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


def _compared(study: Study, model: str, methods: Sequence[str], stressor: Stressor) -> list[tuple[str, str, str, str]]:
    """Return model, balancer, initialization and capacity of each method under the stress, then at the reference."""
    reference = study.reference.expert_init, study.reference.capacity
    pairs = ((stressor.expert_init, stressor.capacity), reference)
    return [(model, method, *pair) for method in methods for pair in pairs]


def _has_seed(table: Measured, conditions: Sequence[tuple[str, str, str, str]]) -> bool:
    """Tell whether the study asks for all of these cells with any seed."""
    return any(
        all(table.cell_id(*condition, int(seed)) is not None for condition in conditions)
        for seed in table.study.factors["seed"]
    )


def _gather(table: Measured, endpoint: Endpoint, conditions: Sequence[tuple[str, str, str, str]]) -> _Cells:
    """Collect the cells of every seed in which all conditions are there."""
    seeds, complete, metrics, missing = [], [], [], []
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
        complete.append(names)
        lost = [name for name in names if name in table.failed or table.counts[name].outcome == "diverged"]
        diverged.extend(lost)
        metrics.append([None if name in lost else table.counts[name].units[endpoint.name] for name in names])
    return _Cells(
        seeds=tuple(seeds),
        names=list(zip(*complete, strict=True)),
        metrics=[list(column) for column in zip(*metrics, strict=True)],
        diverged=tuple(diverged),
        missing=tuple(missing),
        waiting=tuple(waiting),
        cells=tuple(cells),
    )


def _estimate(
    found: _Cells,
    signs: Sequence[float],
    endpoint: Endpoint,
    ratios: Ratios,
    confidence: float,
    margin: float | None = None,
) -> stats.Estimate | None:
    """Return the signed sum of the conditions' metrics in units of harm; None where it has no finite value."""
    complete = [[counts for counts in seeds if counts is not None] for seeds in found.metrics]
    if found.diverged or not found.seeds:
        return None
    measured = {counts.names for seeds in complete for counts in seeds}
    units = tuple(sorted(set.intersection(*map(set, measured))))
    if not units:
        return None
    places = {}
    for names in measured:
        at = {unit: place for place, unit in enumerate(names)}
        places[names] = np.array([at[unit] for unit in units])
    terms = []
    for sign, names, seeds in zip(signs, found.names, complete, strict=True):
        key = endpoint.name, names, units
        if sign and key not in ratios:
            pairs = np.stack([counts.pairs[places[counts.names]] for counts in seeds])
            ratios[key] = stats.Ratio(pairs[..., 0], pairs[..., 1])
        if sign:
            terms.append((endpoint.harm * sign, ratios[key]))
    return stats.contrast(terms, confidence=confidence, margin=margin)


def _ranks(found: _Cells, endpoint: Endpoint) -> tuple[int, int]:
    """Count the seeds in which the method lost more, and less, than the control; a diverged cell is worst of all."""
    harms = [[_harm(counts, endpoint) for counts in seeds] for seeds in found.metrics]
    differences = [
        _minus(_minus(stress, reference), _minus(control_stress, control_reference))
        for stress, reference, control_stress, control_reference in zip(*harms, strict=True)
    ]
    return sum(value > 0 for value in differences), sum(value < 0 for value in differences)


def _harm(counts: UnitCounts | None, endpoint: Endpoint) -> float:
    if counts is None:
        return math.inf
    numerators, denominators = counts.pairs.T.tolist()
    return endpoint.harm * float(sum(numerators)) / float(sum(denominators))


def _minus(one: float, other: float) -> float:
    """Subtract; two infinities of one sign tie, because neither is worse than the other."""
    return 0.0 if one == other else one - other
