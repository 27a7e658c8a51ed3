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
from trimtab.errors import counted
from trimtab.study.endpoints import ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trimtab.claims.claim_verdict import CheckedClaim, ClaimVerdict
    from trimtab.claims.name_registry import Registry
    from trimtab.claims.question import Question
    from trimtab.stats import Estimate
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

    @property
    def name(self) -> str:
        """The combination, for a reader."""
        return f"{self.method} \u00d7 {self.stressor} \u00d7 {self.benchmark}"


def build(
    question: Question,
    claims: Sequence[CheckedClaim],
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
        about = [checked for checked in claims if names <= named[checked.claim.id]]
        verdicts = [verdict for _, verdict in about]
        literature = _literature(verdicts, screened(names))
        measured = [_measured((method, stressor, benchmark), registry, table) for table in tables]
        measured = [word for word in measured if word.losses]
        certainty, joint = _joint(verdicts, measured, alone=len(tables) == 1)
        parts = [
            part if len(tables) == 1 else f"{word.study}: {part}"
            for word in measured
            for part in (*map(_loss, word.losses), *map(_contrast, word.contrasts))
        ]
        cells.append(
            MatrixCell(
                method=method,
                stressor=stressor,
                benchmark=benchmark,
                literature=literature,
                study="; ".join(parts) or "not measured by us",
                joint=joint or literature,
                certainty=certainty,
                claims=tuple(claim.id for claim, _ in about),
                runs=tuple(dict.fromkeys(run for word in measured for loss in word.losses for run in loss.cells)),
                studies=tuple(word.study for word in measured),
            )
        )
    return tuple(cells)


def names_in(text: str, registry: Registry) -> frozenset[str]:
    """Return the ids of every method, stress and benchmark that a text names."""
    return frozenset(mention.id for mention in registry.find(text, ("methods", "stressors", "benchmarks")))


def _literature(verdicts: Sequence[ClaimVerdict], screened: ScreeningCounts) -> str:
    if verdicts:
        words = Counter(verdict.fidelity.value for verdict in verdicts)
        return f"{counted(len(verdicts), 'claim')}: " + ", ".join(f"{n} {word}" for word, n in words.most_common())
    return (
        f"no {'claim about it' if screened.eligible else 'evidence'}: {counted(screened.records, 'record')} from"
        f" {counted(screened.sources, 'source')} screened, {screened.eligible} eligible"
    )


def _measured(names: tuple[str, str, str], registry: Registry, table: StudyTable) -> StudyWord:
    """Return what a study measured of a method under a stress on a benchmark."""
    method, stressor, benchmark = names
    rules, endpoints = registry.entries["methods"][method].rules, registry.entries["benchmarks"][benchmark].endpoints
    methods = {name for name, level in table.study.balancers.items() if level.rule in rules}
    factors = (registry.entries["stressors"][stressor].factor,)

    def about(row: Answer | Degradation) -> bool:
        return row.stressor.factors == factors and row.endpoint in endpoints

    treatment = table.study.contrast.treatment
    return StudyWord(
        study=table.study.name,
        losses=tuple(row for row in table.degradations if row.method in methods and about(row) and row.estimate),
        contrasts=tuple(
            row
            for row in table.answers
            if {row.method, row.control} & methods and row.method == treatment and about(row) and row.difference
        ),
    )


def _signed(value: float) -> str:
    """Return a number with its sign and three decimals; what rounds to zero has no minus.

    >>> _signed(-0.0001), _signed(-0.0006)
    ('+0.000', '-0.001')
    """
    return f"{round(value, 3) + 0.0:+.3f}"


def _span(estimate: Estimate) -> str:
    """Return the interval of an estimate."""
    interval = estimate.interval
    return f" [{_signed(interval.low)}, {_signed(interval.high)}]" if interval else ", no interval"


def _loss(row: Degradation) -> str:
    assert row.estimate is not None  # noqa: S101 - others were left out
    endpoint = ENDPOINTS[row.endpoint]
    loss = f"{row.method} loses {_signed(row.estimate.value)} {endpoint.unit}{_span(row.estimate)}"
    return f"{endpoint.title}: {loss} under {row.stressor.label}, {counted(len(row.seeds), 'seed')}"


def _contrast(row: Answer) -> str:
    """Return what a study says of two methods under one stress: a verdict, or why it is none."""
    assert row.difference is not None  # noqa: S101 - others were left out
    estimate = f"{_signed(row.difference.value)}{_span(row.difference)} {ENDPOINTS[row.endpoint].unit}"
    return f"{row.method} against {row.control} under {row.stressor.label}: {estimate}, {row.words}"


def _joint(verdicts: Sequence[ClaimVerdict], measured: Sequence[StudyWord], *, alone: bool) -> tuple[str, str]:
    """Return the certainty and what all say together; alone, none is more certain than it is."""
    certainties = [verdict.certainty for verdict in verdicts if verdict.certainty][:1]
    if not measured:
        return "".join(certainties), ""
    # A small study of one model family: indirect for any other scale, and imprecise with few seeds.
    own = ["very low" if min(len(loss.seeds) for loss in word.losses) < 5 else "low" for word in measured]
    certainty = max((*certainties, *own), key=WORDS.index)
    several = len(measured) > 1
    studies = f"our stud{'ies' if several else 'y'}"
    studies += "" if alone else f" {' and '.join(word.study for word in measured)}"
    if verdicts:
        return certainty, f"literature and {studies}, side by side{_agreed(measured)}"
    return certainty, f"{studies} only, {'each ' * several}at its own scale{_agreed(measured)}"


def _agreed(measured: Sequence[StudyWord]) -> str:
    """Return what the studies say of each stress together: the word of all that compared it, else "undecided"."""
    words: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in (contrast for study in measured for contrast in study.contrasts):
        words[row.method, row.control][row.stressor.short].add(row.words)
    parts = []
    for (method, control), by_stress in words.items():
        together: dict[str, list[str]] = defaultdict(list)
        for stress, verdicts in by_stress.items():
            together[verdicts.pop() if len(verdicts) == 1 else "undecided"].append(stress)
        listed = "; ".join(f"{word} under {', '.join(stresses)}" for word, stresses in together.items())
        parts.append(f"{method} against {control}: {listed}")
    return f" ({'. '.join(parts)})" if parts else ""
