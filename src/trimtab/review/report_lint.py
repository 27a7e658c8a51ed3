"""What is wrong with a report as a whole, whatever its claims come to: each finding names its rule and the places."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.claims.citation_marks import without_citations
from trimtab.claims.number_kinds import numbers
from trimtab.claims.report_claims import statement_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.claims.claim_verdict import CheckedClaim
    from trimtab.claims.name_registry import Registry
    from trimtab.claims.question import Screened
    from trimtab.documents.parts import Document
    from trimtab.review.answer_matrix import MatrixCell

_DATE: Final = re.compile(
    r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(?:\d{1,2},?\s+)?\d{4}\b|\b\d{4}-\d{2}-\d{2}\b",
    re.IGNORECASE,
)
_CONFIDENCE: Final = re.compile(r"\b(?:confidence|certainty|probability|likelihood)\b(?!\s+interval)", re.IGNORECASE)
_POINTS: Final = re.compile(r"\[\d+(?:[,\s\d\u2013-]*)\]|\b(?:Table|Fig(?:ure|\.)|Section)\s*\d|cells/")
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


def lint(
    report: Document,
    claims: Sequence[CheckedClaim],
    matrix: Sequence[MatrixCell],
    screened: Sequence[Screened],
    registry: Registry,
) -> tuple[LintFinding, ...]:
    """Return the findings; a report passes when there are none.

    Args:
        report: As it was read.
        claims: Its claims with their verdicts.
        matrix: What its question asks for.
        screened: Its references and sources, and whether they bear on the question.
        registry: Known names.
    """
    unanswered = tuple(cell.name for cell in matrix if not cell.claims)
    untraced = tuple(_untraced(report, claims, registry))
    bare = tuple(claim.id for claim, _ in claims if not claim.cites and not _POINTS.search(claim.statement))
    listed = [record for record in screened if record.source == "reference list"]
    rejected = tuple(f"{record.record}: {record.reason}" for record in listed if not record.eligible)
    heads = {part for cell in report.cells for part in cell.column_path if _CONFIDENCE.search(part)}
    calibrated = re.search(r"calibrat", report.text, re.IGNORECASE)
    marks = tuple(dict.fromkeys(_wrong_marks(report, claims)))
    failed = tuple(f"{claim.id}: {verdict.words}" for claim, verdict in claims if verdict.fidelity.fails)
    findings = (
        LintFinding(
            rule="question not answered",
            text=f"no claim is about {len(unanswered)} of the {len(matrix)} combinations it asks for",
            places=unanswered,
        ),
        LintFinding(rule="number without claim", text=f"{len(untraced)} numbers belong to no claim", places=untraced),
        LintFinding(
            rule="claim without source",
            text=f"{len(bare)} of {len(claims)} claims name no work, passage, table cell or run they rest on",
            places=bare,
        ),
        LintFinding(
            rule="reference not eligible",
            text=f"{len(rejected)} of {len(listed)} references do not bear on the question",
            places=rejected,
        ),
        LintFinding(
            rule="confidence without calibration",
            text="a confidence is printed, and nothing says on which set it was calibrated",
            places=() if calibrated else tuple(sorted(f"column {head}" for head in heads)),
        ),
        LintFinding(rule="mark is wrong", text=f"{len(marks)} of the report's own marks are wrong", places=marks),
        LintFinding(rule="claim fails", text=f"{len(failed)} claims say what their source does not say", places=failed),
    )
    return tuple(finding for finding in findings if finding.places)


def _untraced(report: Document, claims: Sequence[CheckedClaim], registry: Registry) -> Iterator[str]:
    """Yield the values of sentences that belong to no claim, so that nothing can trace them."""
    statements = {_spaced(claim.statement) for claim, _ in claims}
    for span in report.spans:
        sentence = _spaced(span.text)
        if span.kind != "sentence" or any(sentence in claimed or claimed in span.text for claimed in statements):
            continue
        text = without_citations(_DATE.sub("", span.text))
        for number in numbers(text, registry.mentions(text)):
            if number.kind == "value":
                yield f"{number.quantity.text}{number.quantity.unit} ({span.position})"


def _wrong_marks(report: Document, claims: Sequence[CheckedClaim]) -> Iterator[str]:
    """Yield the report's own ticks and crosses that are not what was found."""
    checked = {_spaced(claim.statement): (claim, verdict) for claim, verdict in claims}
    for cell in report.cells:
        claim, verdict = checked.get(_spaced(statement_of(cell)), (None, None))
        if claim is None or verdict is None:
            continue
        # A column of marks is read as a cell or, beside the statement, as a second row header.
        for mark in (cell.text.strip(), *(part.strip() for part in cell.row_path)):
            ticked, crossed = mark.casefold() in _YES, mark.casefold() in _NO
            if (ticked and verdict.fidelity.fails) or (crossed and verdict.fidelity.holds):
                yield f"{claim.id}: marked {mark}, found {verdict.words}"


def _spaced(text: str) -> str:
    """Return text with one space for each run of white space."""
    return " ".join(text.split())
