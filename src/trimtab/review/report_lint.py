"""What is wrong with a report as a whole, whatever its claims come to: each finding names its rule and the places."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.claims import mentions
from trimtab.claims.citation_marks import without_citations
from trimtab.claims.number_kinds import numbers
from trimtab.claims.report_claims import statement_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.claims.claim_model import Claim
    from trimtab.claims.claim_verdict import ClaimVerdict
    from trimtab.claims.name_registry import Registry
    from trimtab.claims.question import Question, Screened
    from trimtab.documents.parts import Document
    from trimtab.review.answer_matrix import MatrixCell

_DATE: Final = re.compile(
    r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(?:\d{1,2},?\s+)?\d{4}\b|\b\d{4}-\d{2}-\d{2}\b",
    re.IGNORECASE,
)
_CONFIDENCE: Final = re.compile(r"\b(?:confidence|certainty|probability|likelihood)\b(?!\s+interval)", re.IGNORECASE)
_YES: Final = frozenset({"✓", "✔", "yes", "true", "verified", "supported", "pass"})
_NO: Final = frozenset({"\u00d7", "✗", "✘", "x", "no", "false", "unverified", "refuted", "fail"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """One thing wrong.

    Attributes:
        rule: Short name of the rule.
        text: What is wrong.
        places: Claim ids, lines or records.
    """

    rule: str
    text: str
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything the linter looks at."""

    report: Document
    claims: Sequence[tuple[Claim, ClaimVerdict]]
    question: Question | None
    matrix: Sequence[MatrixCell]
    screened: Sequence[Screened]
    registry: Registry


def lint(material: Material) -> tuple[LintFinding, ...]:
    """Return the findings; a report passes when there are none."""
    rules = (_question, _empty, _numbers, _sources, _off_topic, _uncalibrated, _marks, _wrong)
    return tuple(finding for rule in rules for finding in rule(material))


def _question(material: Material) -> Iterator[LintFinding]:
    """The question is asked and no claim answers any part of it."""
    if material.question is None:
        return
    unanswered = [cell for cell in material.matrix if not cell.claims]
    if unanswered:
        yield LintFinding(
            rule="question not answered",
            text=f"no claim is about {len(unanswered)} of the {len(material.matrix)} combinations it asks for",
            places=tuple(map(_spot, unanswered)),
        )


def _empty(material: Material) -> Iterator[LintFinding]:
    empty = [cell for cell in material.matrix if not (cell.literature and cell.study and cell.joint)]
    if empty:
        yield LintFinding(
            rule="empty cell",
            text="a cell of the answer says nothing, not even what was screened",
            places=tuple(map(_spot, empty)),
        )


def _spot(cell: MatrixCell) -> str:
    return f"{cell.method} \u00d7 {cell.stressor} \u00d7 {cell.benchmark}"


def _numbers(material: Material) -> Iterator[LintFinding]:
    """A number stands in the text and belongs to no claim, so nothing can trace it."""
    claimed = {" ".join(claim.statement.split()) for claim, _ in material.claims}
    places = []
    for span in material.report.spans:
        if span.kind != "sentence" or any(" ".join(span.text.split()) in one or one in span.text for one in claimed):
            continue
        text = without_citations(_DATE.sub("", span.text))
        values = [one for one in numbers(text, mentions.find(text, material.registry)) if one.kind == "value"]
        places += [f"{value.quantity.text}{value.quantity.unit} ({span.position})" for value in values]
    if places:
        yield LintFinding(
            rule="number without claim", text=f"{len(places)} numbers belong to no claim", places=tuple(places)
        )


def _sources(material: Material) -> Iterator[LintFinding]:
    """A claim points to no work, passage, cell or run."""
    bare = [claim.id for claim, _ in material.claims if not claim.cites and not _points(claim)]
    if bare:
        yield LintFinding(
            rule="claim without source",
            text=f"{len(bare)} of {len(material.claims)} claims name no work, passage, table cell or run they rest on",
            places=tuple(bare),
        )


def _points(claim: Claim) -> bool:
    return bool(re.search(r"\[\d+(?:[,\s\d\u2013-]*)\]|\b(?:Table|Fig(?:ure|\.)|Section)\s*\d|cells/", claim.statement))


def _off_topic(material: Material) -> Iterator[LintFinding]:
    rejected = [one for one in material.screened if not one.eligible and one.source == "reference list"]
    if rejected:
        listed = sum(one.source == "reference list" for one in material.screened)
        yield LintFinding(
            rule="reference not eligible",
            text=f"{len(rejected)} of {listed} references do not bear on the question",
            places=tuple(f"{one.record}: {one.reason}" for one in rejected),
        )


def _uncalibrated(material: Material) -> Iterator[LintFinding]:
    """A confidence is given and no calibration set is named."""
    if re.search(r"calibrat", material.report.text, re.IGNORECASE):
        return
    heads = {part for cell in material.report.cells for part in cell.column_path if _CONFIDENCE.search(part)}
    if heads:
        yield LintFinding(
            rule="confidence without calibration",
            text="a confidence is printed, and nothing says on which set it was calibrated",
            places=tuple(sorted(f"column {head}" for head in heads)),
        )


def _marks(material: Material) -> Iterator[LintFinding]:
    """The report's own ticks and crosses against what was found."""
    found = {" ".join(claim.statement.split()): (claim, verdict) for claim, verdict in material.claims}
    wrong = []
    for cell in material.report.cells:
        claim, verdict = found.get(" ".join(statement_of(cell).split()), (None, None))
        if claim is None or verdict is None:
            continue
        # A column of marks is read as a cell or, beside the statement, as a second row header.
        for mark in (cell.text.strip(), *(part.strip() for part in cell.row_path)):
            ticked, crossed = mark.casefold() in _YES, mark.casefold() in _NO
            if (ticked and verdict.fidelity.fails) or (crossed and verdict.fidelity.holds):
                wrong.append(f"{claim.id}: marked {mark}, found {verdict.words}")
    places = tuple(dict.fromkeys(wrong))
    if places:
        yield LintFinding(
            rule="mark is wrong", text=f"{len(places)} of the report's own marks are wrong", places=places
        )


def _wrong(material: Material) -> Iterator[LintFinding]:
    failed = [f"{claim.id}: {verdict.words}" for claim, verdict in material.claims if verdict.fidelity.fails]
    if failed:
        yield LintFinding(
            rule="claim fails", text=f"{len(failed)} claims say what their source does not say", places=tuple(failed)
        )
