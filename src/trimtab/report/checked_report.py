"""The page about a checked report: the answer, each claim beside what its source says, what is wrong as a whole."""

from __future__ import annotations

import re
from collections import Counter
from itertools import starmap
from typing import TYPE_CHECKING, Final

from trimtab.claims.certainty import EXPLAINED
from trimtab.claims.claim_verdict import Agreement, Stance
from trimtab.report import page_files
from trimtab.report.document import (
    Bullets,
    Code,
    Highlight,
    Paragraph,
    ReportCell,
    ReportDocument,
    ReportTable,
    Section,
    Strong,
    cell,
)
from trimtab.report.panel import proposals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from trimtab.claims.claim_model import Claim
    from trimtab.claims.claim_verdict import CheckedClaim, ClaimVerdict, Evidence, EvidenceTarget
    from trimtab.report.document import Block, Inline
    from trimtab.review.llm.passage_proposals import Proposal
    from trimtab.review.report_check import ReportCheck

_SHOWN: Final = 4
_MARKS: Final = {
    Stance.SUPPORTS: "supports",
    Stance.EQUIVALENT: "equivalent",
    Stance.REFUTES: "says otherwise",
    Stance.MIXED: "in part",
    Stance.NEUTRAL: "nearest",
    Stance.INCONCLUSIVE: "inconclusive",
    Stance.NOT_COMPARABLE: "not comparable",
}


def write(check: ReportCheck, folder: Path, pointed: Sequence[Proposal] = ()) -> Path:
    """Write ``report.html`` and ``report.md`` into ``folder``; return the page's path."""
    return page_files.write(document(check, pointed), folder / "report.html")


def document(check: ReportCheck, pointed: Sequence[Proposal] = ()) -> ReportDocument:
    """Return the report of a check, with what a model pointed to, if one was asked."""
    counts = Counter(verdict.fidelity.value for _, verdict in check.checked)
    by_model = (proposals(pointed),) if pointed else ()
    return ReportDocument(
        title=check.report.path.rsplit("/", 1)[-1],
        subtitle=check.question.text if check.question else "No question was found in the report.",
        chips=(
            ("claims", str(len(check.checked))),
            *((name, str(count)) for name, count in counts.most_common()),
            ("sources", str(len(check.sources.documents))),
            ("findings", str(len(check.findings))),
        ),
        sections=(_answer(check), _claims(check), *by_model, _lint(check), _sources(check)),
        brand="trimtab evidence",
    )


def _answer(check: ReportCheck) -> Section:
    if check.question is None:
        text = "The report asks no question that names a known method, stress or benchmark, so there is no matrix."
        return Section(title="Answer", blocks=(Paragraph((text,)),))
    rows = tuple(
        (
            ReportCell(((Strong(row.method),), (row.stressor,)), kind="stress"),
            cell(row.benchmark),
            cell(row.literature),
            cell(row.study),
            ReportCell(((Strong(row.joint),), (f"certainty: {row.certainty}" if row.certainty else "",))),
            cell(", ".join(row.claims) or "\u2013"),
        )
        for row in check.matrix
    )
    head = ("method, stress", "benchmark", "literature", "our study", "together", "claims")
    table = ReportTable(head=head, rows=rows, kind="numbers")
    return Section(title="Answer", blocks=(Paragraph((check.question.text,), kind="note"), table))


def _claims(check: ReportCheck) -> Section:
    note = (
        "Two axes: does the cited source say it, and does independent evidence agree? Not found refutes nothing."
        " Marked: the words or the cell that decided."
    )
    if any(verdict.certainty for _, verdict in check.checked):
        note = f"{note} {EXPLAINED}"
    return claim_section(note, check.checked)


def claim_section(note: str, checked: Sequence[CheckedClaim]) -> Section:
    """Return a table of claims: verdict, statement, what the source says, why."""
    head = ("verdict", "claim", "what the source says", "why")
    table = ReportTable(head=head, rows=tuple(starmap(_claim_row, checked)), kind="filtered")
    return Section(title="Claims", blocks=(Paragraph((note,), kind="note"), table))


def _claim_row(claim: Claim, verdict: ClaimVerdict) -> tuple[ReportCell, ...]:
    agreement = "no independent evidence" if verdict.agreement is Agreement.NONE else verdict.agreement.value
    certainty = f"certainty {verdict.certainty} ({'; '.join(verdict.downgrades) or 'nothing lowers it'})"
    flags = ", ".join(dict.fromkeys(flag.name for flag in verdict.flags))
    lines = (verdict.fidelity.value, agreement, flags, certainty * bool(verdict.certainty), _confidence(verdict))
    place = f", {claim.asserted_in.location}" if claim.asserted_in and claim.asserted_in.location else ""
    kind = "holds" if verdict.fidelity.holds else "fails" if verdict.fidelity.fails else "open"
    # What decided first, the nearest passage only where nothing else is.
    placed = [piece for piece in verdict.evidence if piece.target is not None]
    deciding = [piece for piece in placed if piece.stance is not Stance.NEUTRAL]
    shown = sorted(deciding, key=lambda piece: (not piece.cited, piece.backend != "passage")) or placed
    return (
        ReportCell(tuple((line,) for line in lines if line), kind=kind),
        ReportCell(((claim.statement,), (f"{claim.id}, {claim.kind.value}{place}",))),
        ReportCell(tuple(line for piece in shown[:_SHOWN] for line in _place(piece))),
        ReportCell((*((reason,) for reason in verdict.reasons), (Code(" > ".join(verdict.rule_path)),))),
    )


def _confidence(verdict: ClaimVerdict) -> str:
    known = verdict.confidence
    if known is None:
        return ""
    return (
        f"{known.right} of {known.bin} with this rule path were true in {known.calibration}, {known.items} items:"
        f" {known.estimate:.2f} [{known.low:.2f}, {known.high:.2f}], ECE {known.ece:.3f}"
    )


def _place(evidence: Evidence) -> Iterator[tuple[Inline, ...]]:
    """Yield a piece of evidence as lines: where it is, and its words or its row, with what matters marked."""
    for mark, target in ((_MARKS[evidence.stance], evidence.target), ("its home", evidence.home)):
        if target is not None:
            yield (Strong(mark), f": {target.document.rsplit('/', 1)[-1]}, {target.location}")
            yield _quoted(target)


def _quoted(target: EvidenceTarget) -> tuple[Inline, ...]:
    if target.kind == "cell":
        own = re.search(r", column (.*) \([^()]*\)$", target.location or "")
        row: list[Inline] = []
        for column, text in target.beside:
            marked = own is not None and own[1].replace(" > ", " ") == column
            row += [f"{column} ", Highlight(text) if marked else text, " | "]
        return tuple(row[:-1]) or (Highlight(target.quote),)
    return tuple(_marked(target.quote, target.marked))


def _marked(quote: str, marked: Sequence[tuple[int, int]]) -> Iterator[Inline]:
    """Yield a quote in pieces, those that match the claim marked."""
    at = 0
    for start, end in marked:
        if at < start:
            yield quote[at:start]
        yield Highlight(quote[start:end])
        at = end
    if at < len(quote):
        yield quote[at:]


def _lint(check: ReportCheck) -> Section:
    blocks: list[Block] = [] if check.findings else [Paragraph(("The linter found nothing.",))]
    for finding in check.findings:
        blocks.append(Paragraph((Strong(finding.rule), f": {finding.text}")))
        blocks.append(Bullets(tuple((place,) for place in finding.places), kind="note"))
    return Section(title="The report as a whole", blocks=tuple(blocks))


def _sources(check: ReportCheck) -> Section:
    rows = [
        (text.path, text.work or text.title, f"{len(text.spans)} passages, {len(text.cells)} cells", text.sha256[:12])
        for text in check.sources.documents
    ]
    table = ReportTable(
        head=("file", "work", "read", "SHA-256"), rows=tuple(tuple(map(cell, row)) for row in rows), kind="numbers"
    )
    remarks = [f"{file.path}: left out, {file.reason}" for file in check.sources.left_out]
    remarks += [f"{file.path}: not read, {file.reason}" for file in check.unread]
    for record in check.screened:
        remarks.append(f"{record.record}: {'eligible' if record.eligible else 'excluded'}, {record.reason}")
    return Section(
        title="Sources and screening", blocks=(table, Bullets(tuple((text,) for text in remarks), kind="note"))
    )
