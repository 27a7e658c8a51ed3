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
    from collections.abc import Sequence

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything the linter looks at."""

    report: Document
    claims: Sequence[CheckedClaim]
    matrix: Sequence[MatrixCell]
    screened: Sequence[Screened]
    registry: Registry


def lint(material: Material) -> tuple[LintFinding, ...]:
    """Return the findings; a report passes when there are none."""
    rules = (_question, _numbers, _sources, _off_topic, _uncalibrated, _marks, _wrong)
    return tuple(finding for rule in rules if (finding := rule(material)).places)


def _question(material: Material) -> LintFinding:
    """The question is asked and no claim answers any part of it."""
    unanswered = tuple(cell.name for cell in material.matrix if not cell.claims)
    return LintFinding(
        rule="question not answered",
        text=f"no claim is about {len(unanswered)} of the {len(material.matrix)} combinations it asks for",
        places=unanswered,
    )


def _numbers(material: Material) -> LintFinding:
    """A number stands in the text and belongs to no claim, so nothing can trace it."""
    statements = {_spaced(claim.statement) for claim, _ in material.claims}
    places = []
    for span in material.report.spans:
        sentence = _spaced(span.text)
        if span.kind != "sentence" or any(sentence in claimed or claimed in span.text for claimed in statements):
            continue
        text = without_citations(_DATE.sub("", span.text))
        names = mentions.find(text, material.registry)
        values = [number.quantity for number in numbers(text, names) if number.kind == "value"]
        places += [f"{quantity.text}{quantity.unit} ({span.position})" for quantity in values]
    return LintFinding(
        rule="number without claim", text=f"{len(places)} numbers belong to no claim", places=tuple(places)
    )


def _sources(material: Material) -> LintFinding:
    """A claim points to no work, passage, cell or run."""
    bare = tuple(claim.id for claim, _ in material.claims if not claim.cites and not _POINTS.search(claim.statement))
    return LintFinding(
        rule="claim without source",
        text=f"{len(bare)} of {len(material.claims)} claims name no work, passage, table cell or run they rest on",
        places=bare,
    )


def _off_topic(material: Material) -> LintFinding:
    listed = [record for record in material.screened if record.source == "reference list"]
    rejected = tuple(f"{record.record}: {record.reason}" for record in listed if not record.eligible)
    return LintFinding(
        rule="reference not eligible",
        text=f"{len(rejected)} of {len(listed)} references do not bear on the question",
        places=rejected,
    )


def _uncalibrated(material: Material) -> LintFinding:
    """A confidence is given and no calibration set is named."""
    heads = {part for cell in material.report.cells for part in cell.column_path if _CONFIDENCE.search(part)}
    named = re.search(r"calibrat", material.report.text, re.IGNORECASE)
    return LintFinding(
        rule="confidence without calibration",
        text="a confidence is printed, and nothing says on which set it was calibrated",
        places=() if named else tuple(sorted(f"column {head}" for head in heads)),
    )


def _marks(material: Material) -> LintFinding:
    """The report's own ticks and crosses against what was found."""
    checked = {_spaced(claim.statement): (claim, verdict) for claim, verdict in material.claims}
    wrong = []
    for cell in material.report.cells:
        claim, verdict = checked.get(_spaced(statement_of(cell)), (None, None))
        if claim is None or verdict is None:
            continue
        # A column of marks is read as a cell or, beside the statement, as a second row header.
        for mark in (cell.text.strip(), *(part.strip() for part in cell.row_path)):
            ticked, crossed = mark.casefold() in _YES, mark.casefold() in _NO
            if (ticked and verdict.fidelity.fails) or (crossed and verdict.fidelity.holds):
                wrong.append(f"{claim.id}: marked {mark}, found {verdict.words}")
    places = tuple(dict.fromkeys(wrong))
    return LintFinding(rule="mark is wrong", text=f"{len(places)} of the report's own marks are wrong", places=places)


def _wrong(material: Material) -> LintFinding:
    failed = tuple(f"{claim.id}: {verdict.words}" for claim, verdict in material.claims if verdict.fidelity.fails)
    return LintFinding(
        rule="claim fails", text=f"{len(failed)} claims say what their source does not say", places=failed
    )


def _spaced(text: str) -> str:
    """Return text with one space for each run of white space."""
    return " ".join(text.split())
