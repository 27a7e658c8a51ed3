"""The answer: for each combination a question asks about, what the literature says, what our studies say, and together.

No cell is ever empty: one without evidence says how many records were screened and that none was eligible. Studies are
named side by side and never pooled: they may share seeds and cells. Of one stress they say together what all of them
that compared it say, else "undecided"; the certainty is the lowest of any.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.claims.certainty import WORDS
from trimtab.study.endpoints import ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trimtab.claims.claim_model import Claim
    from trimtab.claims.claim_verdict import ClaimVerdict
    from trimtab.claims.name_registry import Registry
    from trimtab.claims.question import Question
    from trimtab.study.answers import Answer, Degradation
    from trimtab.study.table import StudyTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningCounts:
    """How many records of how many sources were screened for one combination, and how many may be about it."""

    records: int
    sources: int
    eligible: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyWord:
    """What one study measured of one combination: what each stress cost the method, and how methods compare."""

    study: str
    losses: tuple[Degradation, ...]
    contrasts: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """One combination.

    Attributes:
        method: Id.
        stressor: Id.
        benchmark: Id.
        literature: What the report's claims about it came to, or how many records were screened.
        study: What our studies measured, or that they did not.
        joint: All together.
        certainty: GRADE's word, empty without evidence.
        claims: Ids of the claims behind it.
        runs: Cells of the studies behind it.
        studies: Names of the studies that measured it.
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
    studies: tuple[str, ...] = ()


def build(
    question: Question,
    claims: Sequence[tuple[Claim, ClaimVerdict]],
    screened: Callable[[frozenset[str]], ScreeningCounts],
    registry: Registry,
    tables: Sequence[StudyTable] = (),
) -> tuple[MatrixCell, ...]:
    """Return every cell of the matrix.

    Args:
        question: What is asked.
        claims: With their verdicts; one belongs to a cell when it names its method, stress and benchmark.
        screened: What was screened, of the names of a cell.
        registry: Known names.
        tables: Our studies.
    """
    named = {claim.id: names_in(claim.statement, registry) for claim, _ in claims}
    cells = []
    for method, stressor, benchmark in question.cells:
        names = frozenset((method, stressor, benchmark))
        about = [(claim, verdict) for claim, verdict in claims if names <= named[claim.id]]
        literature = _literature([verdict for _, verdict in about], screened(names))
        measured = [_measured((method, stressor, benchmark), registry, table) for table in tables]
        measured = [one for one in measured if one.losses]
        certainty, joint = _joint([verdict for _, verdict in about], measured, alone=len(tables) == 1)
        cells.append(
            MatrixCell(
                method=method,
                stressor=stressor,
                benchmark=benchmark,
                literature=literature,
                study="; ".join(part for one in measured for part in _told(one, alone=len(tables) == 1))
                or "not measured by us",
                joint=joint or literature,
                certainty=certainty,
                claims=tuple(claim.id for claim, _ in about),
                runs=tuple(dict.fromkeys(run for one in measured for loss in one.losses for run in loss.cells)),
                studies=tuple(one.study for one in measured),
            )
        )
    return tuple(cells)


def names_in(text: str, registry: Registry) -> frozenset[str]:
    """Return the ids of every method, stress and benchmark that a text names."""
    return frozenset(one.id for one in registry.find(text, ("methods", "stressors", "benchmarks")))


def counted(number: int, name: str) -> str:
    """Return "1 record", "2 records"."""
    return f"{number} {name}{'s' * (number != 1)}"


def _literature(verdicts: Sequence[ClaimVerdict], screened: ScreeningCounts) -> str:
    if verdicts:
        words = Counter(verdict.fidelity.value for verdict in verdicts)
        return f"{counted(len(verdicts), 'claim')}: " + ", ".join(f"{n} {word}" for word, n in words.most_common())
    counts = (
        f"{counted(screened.records, 'record')} from {counted(screened.sources, 'source')} screened,"
        f" {screened.eligible} eligible"
    )
    return f"no claim about it: {counts}" if screened.eligible else f"no evidence: {counts}"


def _measured(names: tuple[str, str, str], registry: Registry, table: StudyTable) -> StudyWord:
    """Return what a study measured of a method under a stress on a benchmark."""
    rules = registry.entries["methods"][names[0]].rules
    methods = {name for name, level in table.study.balancers.items() if level.rule in rules}
    factors = (registry.entries["stressors"][names[1]].factor,)
    endpoints = registry.entries["benchmarks"][names[2]].endpoints
    losses = (
        one
        for one in table.degradations
        if one.method in methods and one.stressor.factors == factors and one.endpoint in endpoints and one.estimate
    )
    contrasts = (
        one
        for one in table.answers
        if {one.method, one.control} & methods
        and one.method == table.study.contrast.treatment
        and one.stressor.factors == factors
        and one.endpoint in endpoints
        and one.difference
    )
    return StudyWord(study=table.study.name, losses=tuple(losses), contrasts=tuple(contrasts))


def _told(one: StudyWord, *, alone: bool) -> list[str]:
    """Return what a study measured, a part each; with its name where there is another study."""
    parts = [*map(_loss, one.losses), *map(_verdict, one.contrasts)]
    return parts if alone else [f"{one.study}: {part}" for part in parts]


def _signed(value: float) -> str:
    """Return a number with its sign and three decimals; what rounds to zero has no minus.

    >>> _signed(-0.0001), _signed(-0.0006)
    ('+0.000', '-0.001')
    """
    return f"{round(value, 3) + 0.0:+.3f}"


def _loss(one: Degradation) -> str:
    estimate, endpoint = one.estimate, ENDPOINTS[one.endpoint]
    assert estimate is not None  # noqa: S101 - others were left out
    span = (
        f" [{_signed(estimate.interval.low)}, {_signed(estimate.interval.high)}]"
        if estimate.interval
        else ", no interval"
    )
    loss = f"{one.method} loses {_signed(estimate.value)} {endpoint.unit}{span}"
    return f"{endpoint.title}: {loss} under {one.stressor.label}, {counted(len(one.seeds), 'seed')}"


def _verdict(one: Answer) -> str:
    """Return what a study says of two methods under one stress: a verdict, or why it is none."""
    assert one.difference is not None  # noqa: S101 - others were left out
    span = one.difference.interval
    estimate = _signed(one.difference.value)
    estimate += f" [{_signed(span.low)}, {_signed(span.high)}]" if span else ", no interval"
    unit = ENDPOINTS[one.endpoint].unit
    return f"{one.method} against {one.control} under {one.stressor.label}: {estimate} {unit}, {one.words}"


def _joint(verdicts: Sequence[ClaimVerdict], measured: Sequence[StudyWord], *, alone: bool) -> tuple[str, str]:
    """Return the certainty and what all say together; alone, none is more certain than it is."""
    words = [verdict.certainty for verdict in verdicts if verdict.certainty][:1]
    if not measured:
        return (words[0] if words else ""), ""
    # A small study of one model family: indirect for any other scale, and imprecise with few seeds.
    own = ["very low" if min(len(loss.seeds) for loss in one.losses) < 5 else "low" for one in measured]
    named = "" if alone else f" {' and '.join(one.study for one in measured)}"
    names = f"{'our study' if len(measured) == 1 else 'our studies'}{named}"
    if verdicts:
        return max((*words, *own), key=WORDS.index), f"literature and {names}, side by side{_agreed(measured)}"
    scale = "at its own scale" if len(measured) == 1 else "each at its own scale"
    return max(own, key=WORDS.index), f"{names} only, {scale}{_agreed(measured)}"


def _agreed(measured: Sequence[StudyWord]) -> str:
    """Return what the studies say of each stress together: the word of all that compared it, else "undecided"."""
    said: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in (contrast for study in measured for contrast in study.contrasts):
        said[one.method, one.control][one.stressor.short].add(one.words)
    parts = []
    for (method, control), stresses in said.items():
        together: dict[str, list[str]] = defaultdict(list)
        for stress, words in stresses.items():
            together[words.pop() if len(words) == 1 else "undecided"].append(stress)
        told = "; ".join(f"{word} under {', '.join(under)}" for word, under in together.items())
        parts.append(f"{method} against {control}: {told}")
    return f" ({'. '.join(parts)})" if parts else ""
