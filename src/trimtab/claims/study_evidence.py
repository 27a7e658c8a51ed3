"""Our own measurements as evidence: a claim about balancing becomes a query on a study's table.

The answer is the study's difference in differences with its interval, and one word: *supports*, *refutes* (the
interval excludes the claim), *equivalent* (TOST within the margin), *inconclusive*, with the number of seeds that
would settle it, or *not comparable*, with what differs. A claim is one question asked in advance, so its interval is
not adjusted for the study's other rows. A small study never refutes a claim about a large model: it is not comparable,
and is kept as indirect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import stdtrit

from trimtab import stats
from trimtab.claims.claim_verdict import Evidence, EvidenceTarget, Stance
from trimtab.study.endpoints import ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trimtab.claims.claim_model import Claim, Conditions
    from trimtab.claims.name_registry import Name, Registry
    from trimtab.study.answers import Answer
    from trimtab.study.table import StudyTable

_FACTOR: Final = 10.0
"""Sizes further apart than this are another scale."""

_POWER: Final = 0.8
_MOST_SEEDS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyQuery:
    """What a claim asks of a study.

    Attributes:
        method: Balancer level.
        control: Balancer level it is compared with.
        factor: Factor that is stressed; empty for any.
        endpoint: Name of the endpoint.
        turned: The claim names the study's control first: "the auxiliary loss loses less than ALF-LB".
        mismatches: What differs between claim and study.
    """

    method: str
    control: str
    factor: str
    endpoint: str
    turned: bool
    mismatches: tuple[str, ...]


def look_up(claim: Claim, tables: Iterable[StudyTable], registry: Registry) -> tuple[Evidence, ...]:
    """Return what studies say about a claim, a row each; empty for a claim that is not about balancing."""
    queries = [(table, query) for table in tables if (query := ask(claim, table, registry)) is not None]
    return tuple(
        _evidence(row, claim.conditions, query, table)
        for table, query in queries
        for row in table.answers
        if (row.method, row.control, row.endpoint) == (query.method, query.control, query.endpoint)
        and (row.stressor.factors == (query.factor,) if query.factor else len(row.stressor.factors) == 1)
    )


def ask(claim: Claim, table: StudyTable, registry: Registry) -> StudyQuery | None:
    """Return the query a claim makes; None where the study has neither its method nor its stress."""
    conditions, study = claim.conditions, table.study
    method = _level(registry, conditions.method, table)
    if conditions.expects is None or not method:
        return None
    control = _level(registry, conditions.control, table) or study.contrast.control
    turned = method == study.contrast.control and control != method
    stressor = _name(registry, "stressors", conditions.stressor)
    benchmark, endpoint = _endpoint(claim, table, registry)
    return StudyQuery(
        method=control if turned else method,
        control=method if turned else control,
        factor=stressor.factor if stressor else "",
        endpoint=endpoint,
        turned=turned,
        mismatches=(*_other_conditions(conditions, table), *_other_measure(claim, benchmark, endpoint)),
    )


def _name(registry: Registry, kind: str, text: str) -> Name | None:
    return registry.entries[kind].get(registry.id_of(text, kind)) if text else None


def _level(registry: Registry, text: str, table: StudyTable) -> str:
    """Return the balancer level of the study that is this method, those of its contrast first."""
    name, study = _name(registry, "methods", text), table.study
    levels = (study.contrast.treatment, study.contrast.control, *map(str, study.factors["balancer"]))
    return next((level for level in levels if name and study.balancers[level].rule in name.rules), "")


def _endpoint(claim: Claim, table: StudyTable, registry: Registry) -> tuple[str, str]:
    """Return the benchmark a claim names, and the endpoint of the study that measures it, else the primary one."""
    endpoints = table.study.endpoints
    mention = next(iter(registry.find(claim.statement, ("benchmarks",))), None)
    if mention is None:
        return "", endpoints.primary
    measures = registry.entries["benchmarks"][mention.id].endpoints
    measured = (name for name in measures if name in (endpoints.primary, *endpoints.secondary))
    return mention.text, next(measured, endpoints.primary)


def _other_conditions(conditions: Conditions, table: StudyTable) -> Iterator[str]:
    """Yield in what the study was run otherwise than what the claim is about."""
    study = table.study
    size = next((result.training for result in table.results.values()), {})
    for name, wanted in (("parameters", conditions.parameters), ("tokens", conditions.tokens)):
        ours = float(size.get(name, 0))
        if wanted and ours and max(wanted / ours, ours / wanted) > _FACTOR:
            yield f"scale: the claim is about {_big(wanted)} {name}, the study has {_big(ours)}"
    router = next(iter(study.models.values())).router
    for name, count, its in (
        ("experts", conditions.num_experts, router.num_experts if router else 0),
        ("experts a token", conditions.top_k, router.num_experts_per_tok if router else 0),
    ):
        if count is not None and count != its:
            yield f"granularity: the claim is about {count} {name}, the study has {its}"
    factors = {level.factor for level in study.capacities.values()}
    if conditions.capacity_factor is not None and conditions.capacity_factor not in factors:
        yield f"capacity: the claim is about a factor of {conditions.capacity_factor:g}, the study has none"


def _other_measure(claim: Claim, benchmark: str, endpoint: str) -> Iterator[str]:
    """Yield in what the study's endpoint is not what the claim measures."""
    measured = ENDPOINTS[endpoint]
    version = claim.conditions.benchmark_version
    if version and version not in measured.benchmark:
        yield f"benchmark version: the claim is about {version}, the study measures {measured.benchmark}"
    passes = "pass@" in claim.statement.casefold() or "accuracy" in claim.statement.casefold()
    if passes and measured.unit != "pass@1":
        yield f"measure: the claim is about a pass rate, the study measures {measured.unit}"
    if benchmark and measured.benchmark.split("-")[0] not in benchmark.casefold():
        yield f"benchmark: the claim is about {benchmark}, the study measures {measured.title}"


def _big(value: float) -> str:
    scaled = ((value / size, letter) for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")))
    return next((f"{number:.3g} {letter}" for number, letter in scaled if number >= 1), f"{value:g}")


def _evidence(row: Answer, conditions: Conditions, query: StudyQuery, table: StudyTable) -> Evidence:
    """Return what one row of the study says; its signs are turned where the claim names the control first."""
    expects: str = conditions.expects or "more"
    if query.turned:
        expects = {"more": "less", "less": "more"}.get(expects, expects)
    effect = -conditions.effect if query.turned and conditions.effect is not None else conditions.effect
    stance, why = judge(row, expects, effect, conditions.margin if conditions.margin is not None else row.margin)
    if query.mismatches:
        why = f"not comparable ({'; '.join(query.mismatches)}); what it measured: {why}"
        stance = Stance.NOT_COMPARABLE
    return Evidence(
        backend="study",
        stance=stance,
        why=why,
        cited=False,
        mismatches=query.mismatches,
        target=EvidenceTarget(
            kind="run",
            document=str(table.folder),
            location=f"{row.method} against {row.control}, {row.stressor.label}, {ENDPOINTS[row.endpoint].title}",
            quote=_measured(row),
            beside=tuple(("cell", name) for name in row.cells),
        ),
    )


def judge(row: Answer, expects: str, effect: float | None, margin: float | None) -> tuple[Stance, str]:
    """Return what one row of a study does to a claim that the method loses "more", "less" or the "same".

    Args:
        row: The study's row; positive differences mean that the method loses more.
        expects: The claim's direction.
        effect: The claim's size, signed; None if it states none.
        margin: What counts as no difference; None leaves equivalence out.
    """
    estimate, measured = row.difference, _measured(row)
    if "positive control failed" in row.reason:
        return Stance.INCONCLUSIVE, f"{measured}: this endpoint could not have felt the stress ({row.reason})"
    if row.ranks is not None:
        return _ranked(row, expects, measured)
    if estimate is None or estimate.interval is None or len(row.seeds) < stats.MIN_SEEDS:
        return Stance.INCONCLUSIVE, f"{measured}: under {stats.MIN_SEEDS} seeds"
    stance, why = _interval(estimate, estimate.interval, expects, effect, margin)
    return stance, f"{measured}: {why}"


def _interval(
    estimate: stats.Estimate, interval: stats.Interval, expects: str, effect: float | None, margin: float | None
) -> tuple[Stance, str]:  # fmt: skip
    """Judge a finite estimate of at least three seeds."""
    if margin is not None and estimate.equivalence is not None and estimate.equivalence.inside(margin):
        return (Stance.SUPPORTS if expects == "same" else Stance.EQUIVALENT), f"equivalent within \u00b1{margin:g}"
    if effect is not None and interval.excludes(effect):
        return Stance.REFUTES, f"excludes the claimed {effect:+g}"
    if interval.excludes(0):
        return _as_expected(estimate.value > 0, expects), "excludes 0"
    needed = seeds_to_settle(estimate.per_seed, margin)
    settle = f"about {needed} seeds would settle it" if needed else f"over {_MOST_SEEDS} seeds would be needed"
    return Stance.INCONCLUSIVE, f"the interval is too wide; {settle}"


def _ranked(row: Answer, expects: str, measured: str) -> tuple[Stance, str]:
    more, less = row.ranks or (0, 0)
    p = stats.sign_test(more, less)
    stance = Stance.INCONCLUSIVE if p > 0.05 else _as_expected(more > less, expects)
    return stance, f"{measured}: sign test p = {p:.2g}"


def _as_expected(more: bool, expects: str) -> Stance:  # noqa: FBT001 - the direction that was measured
    return Stance.SUPPORTS if ("more" if more else "less") == expects else Stance.REFUTES


def _measured(row: Answer) -> str:
    if row.difference is None:
        return f"{len(row.diverged)} of its cells diverged" if row.diverged else "not measured"
    unit, estimate = ENDPOINTS[row.endpoint].unit, row.difference
    place = f"{row.method} \u2212 {row.control} under {row.stressor.label}"
    if estimate.interval is None:
        return place
    low, high = estimate.interval.low, estimate.interval.high
    span = f"{estimate.interval.confidence:.0%} interval [{low:+.4g}, {high:+.4g}]"
    return f"{place}: {estimate.value:+.4g} {unit}, {span}, {len(row.seeds)} seeds"


def seeds_to_settle(per_seed: Sequence[float], margin: float | None, alpha: float = 0.05) -> int | None:
    """Return the seeds at which four studies in five would reach a word, if these seeds are typical.

    That is the smaller of what a two-sided t test needs to find this mean, and what TOST needs to put it inside the
    margin; None where neither would within 1,000 seeds.
    """
    values = np.asarray(per_seed, dtype=float)
    spread, mean = float(values.std(ddof=1)), abs(float(values.mean()))
    for seeds in range(max(stats.MIN_SEEDS, len(values)), _MOST_SEEDS + 1):
        error, power = spread / math.sqrt(seeds), float(stdtrit(seeds - 1, _POWER))
        differs = mean >= (float(stdtrit(seeds - 1, 1 - alpha / 2)) + power) * error
        same = margin is not None and margin - mean >= (float(stdtrit(seeds - 1, 1 - alpha)) + power) * error
        if differs or same:
            return seeds
    return None
