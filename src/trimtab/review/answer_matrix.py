"""The answer: for each combination a question asks about, what the literature says, what our study says, and both.

No cell is ever empty: one without evidence says how many records were screened and that none was eligible.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.study.endpoints import ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.claims.claim_model import Claim
    from trimtab.claims.claim_verdict import ClaimVerdict
    from trimtab.claims.name_registry import Registry
    from trimtab.claims.question import Question, Screened
    from trimtab.study.answers import Answer, Degradation
    from trimtab.study.table import StudyTable


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """One combination.

    Attributes:
        method: Id.
        stressor: Id.
        benchmark: Id.
        literature: What the report's claims about it came to, or how many records were screened.
        study: What our study measured, or that it did not.
        joint: Both together.
        certainty: GRADE's word, empty without evidence.
        claims: Ids of the claims behind it.
        runs: Cells of the study behind it.
    """

    method: str
    stressor: str
    benchmark: str
    literature: str
    study: str
    joint: str
    certainty: str
    claims: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()


def build(
    question: Question,
    claims: Sequence[tuple[Claim, ClaimVerdict]],
    screened: Sequence[Screened],
    registry: Registry,
    table: StudyTable | None = None,
) -> tuple[MatrixCell, ...]:
    """Return every cell of the matrix."""
    return tuple(_cell(names, claims, screened, registry, table) for names in question.cells)


def _cell(
    names: tuple[str, str, str],
    claims: Sequence[tuple[Claim, ClaimVerdict]],
    screened: Sequence[Screened],
    registry: Registry,
    table: StudyTable | None,
) -> MatrixCell:
    about = [(claim, verdict) for claim, verdict in claims if _hits(claim, names, registry)]
    literature = _literature(about, screened)
    measured = _measured(names, registry, table) if table else ()
    compared = _compared(names, registry, table) if table else ()
    study = "; ".join((*map(_told, measured), *map(_verdict, compared))) if measured else "not measured by us"
    certainty, joint = _joint(about, measured)
    return MatrixCell(
        method=names[0],
        stressor=names[1],
        benchmark=names[2],
        literature=literature,
        study=study,
        joint=joint or literature,
        certainty=certainty,
        claims=tuple(claim.id for claim, _ in about),
        runs=tuple(dict.fromkeys(cell for one in measured for cell in one.cells)),
    )


def _hits(claim: Claim, names: tuple[str, str, str], registry: Registry) -> bool:
    """Whether a statement names the method, the stress and the benchmark."""
    found = {one.id for one in registry.find(claim.statement, ("methods", "stressors", "benchmarks"))}
    return set(names) <= found


def _literature(about: Sequence[tuple[Claim, ClaimVerdict]], screened: Sequence[Screened]) -> str:
    if about:
        counted = Counter(verdict.fidelity.value for _, verdict in about)
        return f"{_count(len(about), 'claim')}: " + ", ".join(f"{n} {word}" for word, n in counted.most_common())
    eligible = sum(one.eligible for one in screened)
    places = len({one.source for one in screened})
    counts = f"{_count(len(screened), 'record')} from {_count(places, 'source')} screened, {eligible} eligible"
    return f"no claim about it: {counts}" if eligible else f"no evidence: {counts}"


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'s' * (number != 1)}"


def _measured(names: tuple[str, str, str], registry: Registry, table: StudyTable) -> tuple[Degradation, ...]:
    """Return what each stress of this kind cost this method on this benchmark in our study."""
    levels, factor, endpoints = _levels(names, registry, table)
    return tuple(
        one
        for one in table.degradations
        if one.method in levels and one.stressor.factors == (factor,) and one.endpoint in endpoints and one.estimate
    )


def _compared(names: tuple[str, str, str], registry: Registry, table: StudyTable) -> tuple[Answer, ...]:
    """Return the rows of our study's answer in which this method is compared, on either side."""
    levels, factor, endpoints = _levels(names, registry, table)
    return tuple(
        one
        for one in table.answers
        if {one.method, one.control} & levels
        and one.method == table.study.contrast.treatment
        and one.stressor.factors == (factor,)
        and one.endpoint in endpoints
        and one.difference
    )


def _levels(
    names: tuple[str, str, str], registry: Registry, table: StudyTable
) -> tuple[set[str], str, tuple[str, ...]]:  # fmt: skip
    """Return the study's names for a method, and the factor and endpoints of a stressor and a benchmark."""
    method, stressor, benchmark = names
    rules = registry.entries["methods"][method].rules
    levels = {name for name, level in table.study.balancers.items() if level.rule in rules}
    return levels, registry.entries["stressors"][stressor].factor, registry.entries["benchmarks"][benchmark].endpoints


def _told(one: Degradation) -> str:
    estimate, endpoint = one.estimate, ENDPOINTS[one.endpoint]
    if estimate is None:
        return "not measured by us"
    span = f" [{estimate.interval.low:+.3f}, {estimate.interval.high:+.3f}]" if estimate.interval else ", no interval"
    loss = f"{one.method} loses {estimate.value:+.3f} {endpoint.unit}{span}"
    return f"{endpoint.title}: {loss} under {one.stressor.label}, {_count(len(one.seeds), 'seed')}"


def _verdict(one: Answer) -> str:
    """Return what our study says of two methods under one stress: a verdict, or why it is none."""
    if one.difference is None:
        return f"{one.method} against {one.control}: {one.words}"
    span = one.difference.interval
    estimate = f"{one.difference.value:+.3f}" + (f" [{span.low:+.3f}, {span.high:+.3f}]" if span else ", no interval")
    unit = ENDPOINTS[one.endpoint].unit
    return f"{one.method} against {one.control} under {one.stressor.label}: {estimate} {unit}, {one.words}"


def _joint(about: Sequence[tuple[Claim, ClaimVerdict]], measured: Sequence[Degradation]) -> tuple[str, str]:
    """Return the certainty and both together; one of them alone is never more than its own certainty."""
    words = [verdict.certainty for _, verdict in about if verdict.certainty]
    if about and measured:
        return (words[0] if words else "low"), "literature and our study, side by side"
    if measured:
        # One small study of one model family: indirect for any other scale, and imprecise with few seeds.
        few = min(len(one.seeds) for one in measured) < 5
        return ("very low" if few else "low"), "our study only, at its own scale"
    return (words[0] if words else ""), ""
