"""The page about a checked report: the answer, each claim beside what its source says, what is wrong as a whole."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from trimtab.claims.certainty import EXPLAINED
from trimtab.claims.claim_verdict import Stance
from trimtab.disk import write_atomic
from trimtab.report import html, markdown
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
    from trimtab.claims.claim_verdict import ClaimVerdict, Evidence, EvidenceTarget
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


def write(check: ReportCheck, folder: Path, found: Sequence[Proposal] = ()) -> Path:
    """Write ``report.html`` and ``report.md`` into ``folder``; return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    made = document(check, found)
    write_atomic(folder / "report.md", markdown.render(made))
    write_atomic(folder / "report.html", html.render(made))
    return folder / "report.html"


def document(check: ReportCheck, found: Sequence[Proposal] = ()) -> ReportDocument:
    """Return the report of a check, with what a model pointed to, if one was asked."""
    counts = Counter(verdict.fidelity.value for _, verdict in check.checked)
    pointed = (proposals(found),) if found else ()
    return ReportDocument(
        title=check.report.path.rsplit("/", 1)[-1],
        subtitle=check.question.text if check.question else "No question was found in the report.",
        chips=(
            ("claims", str(len(check.checked))),
            *((name, str(count)) for name, count in counts.most_common()),
            ("sources", str(len(check.sources.documents))),
            ("findings", str(len(check.findings))),
        ),
        sections=(_answer(check), _claims(check), *pointed, _lint(check), _sources(check)),
        brand="trimtab evidence",
    )


def _answer(check: ReportCheck) -> Section:
    if check.question is None:
        text = "The report asks no question that names a known method, stress or benchmark, so there is no matrix."
        return Section(title="Answer", blocks=(Paragraph((text,)),))
    rows = tuple(
        (
            ReportCell(((Strong(one.method),), (one.stressor,)), kind="stress"),
            cell(one.benchmark),
            cell(one.literature),
            cell(one.study),
            ReportCell(((Strong(one.joint),), (f"certainty: {one.certainty}" if one.certainty else "",))),
            cell(", ".join(one.claims) or "\u2013"),
        )
        for one in check.matrix
    )
    head = ("method, stress", "benchmark", "literature", "our study", "together", "claims")
    table = ReportTable(head=head, rows=rows, kind="numbers")
    return Section(title="Answer", blocks=(Paragraph((check.question.text,), kind="note"), table))


def _claims(check: ReportCheck) -> Section:
    rows = tuple(claim_row(claim, verdict) for claim, verdict in check.checked)
    head = ("verdict", "claim", "what the source says", "why")
    note = (
        "Two axes: does the cited source say it, and does independent evidence agree? Not found refutes nothing."
        " Marked: the words or the cell that decided."
    )
    if any(verdict.certainty for _, verdict in check.checked):
        note = f"{note} {EXPLAINED}"
    table = ReportTable(head=head, rows=rows, kind="filtered")
    return Section(title="Claims", blocks=(Paragraph((note,), kind="note"), table))


def claim_row(claim: Claim, verdict: ClaimVerdict) -> tuple[ReportCell, ...]:
    """Return a row of a table of claims: verdict, statement, what the source says, why."""
    lines: list[tuple[Inline, ...]] = [(verdict.fidelity.value,)]
    lines.append((verdict.agreement.value if verdict.agreement.value != "none" else "no independent evidence",))
    certainty = f"certainty {verdict.certainty} ({'; '.join(verdict.downgrades) or 'nothing lowers it'})"
    extra = [", ".join(dict.fromkeys(flag.name for flag in verdict.flags)), certainty * bool(verdict.certainty)]
    extra.append(_confidence(verdict))
    lines += [(text,) for text in extra if text]
    place = claim.asserted_in.location if claim.asserted_in else ""
    kind = "holds" if verdict.fidelity.holds else "fails" if verdict.fidelity.fails else "open"
    # What decided first, the nearest passage only where nothing else is.
    deciding = [one for one in verdict.evidence if one.stance is not Stance.NEUTRAL and one.target is not None]
    ordered = sorted(deciding, key=lambda one: (not one.cited, one.backend != "passage"))
    worth_showing = ordered or [one for one in verdict.evidence if one.target]
    return (
        ReportCell(tuple(lines), kind=kind),
        ReportCell(((claim.statement,), (f"{claim.id}, {claim.kind.value}{f', {place}' if place else ''}",))),
        ReportCell(tuple(line for one in worth_showing[:_SHOWN] for line in _place(one))),
        ReportCell((*((reason,) for reason in verdict.reasons), (Code(" > ".join(verdict.rule_path)),))),
    )


def _confidence(verdict: ClaimVerdict) -> str:
    found = verdict.confidence
    if found is None:
        return ""
    return (
        f"{found.right} of {found.bin} with this rule path were true in {found.calibration}, {found.items} items:"
        f" {found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}], ECE {found.ece:.3f}"
    )


def _place(evidence: Evidence) -> Iterator[tuple[Inline, ...]]:
    """Yield a piece of evidence as lines: where it is, and its words or its row, with what matters marked."""
    if evidence.target is None:
        return
    yield (Strong(_MARKS[evidence.stance]), f": {_name(evidence.target)}")
    yield _quoted(evidence.target)
    if evidence.home is not None:
        yield (Strong("its home"), f": {_name(evidence.home)}")
        yield _quoted(evidence.home)


def _name(target: EvidenceTarget) -> str:
    return f"{target.document.rsplit('/', 1)[-1]}, {target.location}"


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
    if not check.findings:
        return Section(title="The report as a whole", blocks=(Paragraph(("The linter found nothing.",)),))
    blocks: list[Block] = []
    for finding in check.findings:
        blocks.append(Paragraph((Strong(finding.rule), f": {finding.text}")))
        blocks.append(Bullets(tuple((place,) for place in finding.places), kind="note"))
    return Section(title="The report as a whole", blocks=tuple(blocks))


def _sources(check: ReportCheck) -> Section:
    rows = [
        (one.path, one.work or one.title, f"{len(one.spans)} passages, {len(one.cells)} cells", one.sha256[:12])
        for one in check.sources.documents
    ]
    table = ReportTable(
        head=("file", "work", "read", "SHA-256"), rows=tuple(tuple(map(cell, row)) for row in rows), kind="numbers"
    )
    remarks = [f"{path}: left out, {why}" for path, why in check.sources.left_out]
    remarks += [f"{one.path}: not read, {one.reason}" for one in check.unread]
    screened = [f"{one.record}: {'eligible' if one.eligible else 'excluded'}, {one.reason}" for one in check.screened]
    return Section(
        title="Sources and screening",
        blocks=(table, Bullets(tuple((text,) for text in (*remarks, *screened)), kind="note")),
    )
