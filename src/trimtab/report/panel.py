"""The part of a page that says how a review fared: checklist, reviewers, agreement, what they noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimtab.report.document import Bullets, Code, Paragraph, ReportCell, ReportTable, Section, Strong, cell
from trimtab.review.rating_items import HIGHEST, ITEMS, LOWEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.report.document import Block
    from trimtab.review.checklist import ChecklistItem
    from trimtab.review.llm.passage_proposals import Proposal
    from trimtab.review.planted_errors import Noticed
    from trimtab.review.rating_panel import PanelRatings


def section(checks: Sequence[ChecklistItem], panel: PanelRatings | None, noticed: Sequence[Noticed]) -> Section:
    """Return the section on the review's own quality.

    Args:
        checks: The checklist's results.
        panel: What reviewers said; None without any.
        noticed: What they did to planted versions.
    """
    rows = tuple(map(_check, checks))
    checklist = ReportTable(head=("check", "result"), rows=rows, kind="pairs", caption="Checklist, no opinion")
    blocks: list[Block] = [checklist]
    if panel is None or not panel.ratings:
        blocks.append(Paragraph(("No reviewer has rated this review.",)))
    else:
        blocks += [_ratings(panel), Paragraph((_agreement(panel),))]
        abstained = {f"abstained, {rating.reviewer}: {rating.why}" for rating in panel.ratings if rating.score is None}
        if abstained:
            blocks.append(Bullets(tuple((text,) for text in sorted(abstained)), kind="note"))
        blocks.append(Paragraph((_noticed(noticed),)))
    return Section(title="Review of this review", blocks=tuple(blocks))


def _check(check: ChecklistItem) -> tuple[ReportCell, ...]:
    if check.holds:
        return cell(check.name), ReportCell((("holds",),), kind="holds")
    return cell(check.name), ReportCell((("fails",), *((place,) for place in check.places[:6])), kind="fails")


def _ratings(panel: PanelRatings) -> ReportTable:
    rows = []
    for item in ITEMS:
        scores = panel.scores(item.id)
        spread = f"{scores[0]} to {scores[-1]}" if scores else "\u2013"
        counts = ", ".join(f"{scores.count(value)}\u00d7{value}" for value in sorted(set(scores)))
        rows.append((ReportCell(((Strong(item.id),), (item.asks,))), cell(counts or "no rating"), cell(spread)))
    caption = f"{len(panel.reviewers)} reviewers, {LOWEST} to {HIGHEST}, anchored: {', '.join(panel.reviewers)}"
    return ReportTable(head=("item", "ratings", "range"), rows=tuple(rows), kind="pairs", caption=caption)


def _agreement(panel: PanelRatings) -> str:
    agreed = panel.agreement
    text = "Agreement cannot be measured."
    if agreed is not None and agreed.value is not None:
        span = f" [{agreed.low:.2f}, {agreed.high:.2f}]" if agreed.low is not None and agreed.high is not None else ""
        text = f"Krippendorff's \u03b1 = {agreed.value:.2f}{span} over {agreed.units} items, {agreed.ratings} ratings."
    return f"{text} {f'Mean {panel.mean:.2f}' if panel.mean is not None else f'No mean: {panel.why}'}."


def _noticed(noticed: Sequence[Noticed]) -> str:
    if not noticed:
        return "Whether these reviewers notice errors was not tested."
    words = "; ".join(
        f"{planted.plant} {planted.before:.2f} \u2192 {planted.after:.2f}{' (not noticed)' * (not planted.noticed)}"
        for planted in noticed
    )
    blind = ", ".join(planted.plant for planted in noticed if not planted.noticed)
    verdict = f"Insensitive to: {blind}." if blind else "Each planted error lowered the score."
    return f"Planted errors, mean score before and after: {words}. {verdict}"


def proposals(pointed: Sequence[Proposal]) -> Section:
    """Return what a model points to, beside the verdicts and without a say in them."""
    rows = tuple(
        (
            cell(Code(proposal.claim)),
            cell(proposal.stance),
            ReportCell(((proposal.quote,), (f"{proposal.document.rsplit('/', 1)[-1]}, {proposal.location}",))),
        )
        for proposal in pointed
        if proposal.stance in ("supports", "refutes")
    )
    text = (
        f"A model ({pointed[0].model}) was asked about {len(pointed)} claims the rules left open and pointed to"
        f" {len(rows)} passages; each quote stands letter for letter in its document. No verdict was changed by it."
    )
    blocks: list[Block] = [Paragraph((text,), kind="note")]
    if rows:
        blocks.append(ReportTable(head=("claim", "it says", "quote"), rows=rows, kind="pairs"))
    if reasons := sorted({f"no proposal: {proposal.reason}" for proposal in pointed if proposal.reason}):
        blocks.append(Bullets(tuple((reason,) for reason in reasons), kind="note"))
    return Section(title="What a model points to", blocks=tuple(blocks))
