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
    rows = tuple(_check(one) for one in checks)
    blocks: list[Block] = [
        ReportTable(head=("check", "result"), rows=rows, kind="pairs", caption="Checklist, no opinion")
    ]
    if panel is None or not panel.ratings:
        blocks.append(Paragraph(("No reviewer has rated this review.",)))
        return Section(title="Review of this review", blocks=tuple(blocks))
    blocks.append(_ratings(panel))
    blocks.append(Paragraph(_agreement(panel)))
    if abstained := sorted({f"{one.reviewer}: {one.why}" for one in panel.ratings if one.score is None}):
        blocks.append(Bullets(tuple((f"abstained, {one}",) for one in abstained), kind="note"))
    blocks.append(Paragraph(_noticed(noticed)))
    return Section(title="Review of this review", blocks=tuple(blocks))


def _check(one: ChecklistItem) -> tuple[ReportCell, ...]:
    if one.holds:
        return cell(one.name), ReportCell((("holds",),), kind="holds")
    return cell(one.name), ReportCell((("fails",), *((place,) for place in one.places[:6])), kind="fails")


def _ratings(panel: PanelRatings) -> ReportTable:
    rows = []
    for item in ITEMS:
        scores = panel.scores(item.id)
        spread = f"{scores[0]} to {scores[-1]}" if scores else "\u2013"
        counts = ", ".join(f"{scores.count(value)}\u00d7{value}" for value in sorted(set(scores)))
        rows.append((ReportCell(((Strong(item.id),), (item.asks,))), cell(counts or "no rating"), cell(spread)))
    caption = f"{len(panel.reviewers)} reviewers, {LOWEST} to {HIGHEST}, anchored: {', '.join(panel.reviewers)}"
    return ReportTable(head=("item", "ratings", "range"), rows=tuple(rows), kind="pairs", caption=caption)


def _agreement(panel: PanelRatings) -> tuple[str, ...]:
    agreed = panel.agreement
    text = "Agreement cannot be measured. "
    if agreed is not None and agreed.value is not None:
        span = f" [{agreed.low:.2f}, {agreed.high:.2f}]" if agreed.low is not None and agreed.high is not None else ""
        text = f"Krippendorff's \u03b1 = {agreed.value:.2f}{span} over {agreed.units} items, {agreed.ratings} ratings. "
    mean = f"Mean {panel.mean:.2f}." if panel.mean is not None else f"No mean: {panel.why}."
    return (text + mean,)


def _noticed(noticed: Sequence[Noticed]) -> tuple[str, ...]:
    if not noticed:
        return ("Whether these reviewers notice errors was not tested.",)
    words = [
        f"{one.plant} {one.before:.2f} \u2192 {one.after:.2f}{'' if one.noticed else ' (not noticed)'}"
        for one in noticed
    ]
    blind = [one.plant for one in noticed if not one.noticed]
    verdict = f"Insensitive to: {', '.join(blind)}." if blind else "Each planted error lowered the score."
    return (f"Planted errors, mean score before and after: {'; '.join(words)}. {verdict}",)


def proposals(found: Sequence[Proposal]) -> Section:
    """Return what a model pointed to, beside the verdicts and without a say in them."""
    shown = [one for one in found if one.stance in ("supports", "refutes")]
    rows = tuple(
        (
            ReportCell(((Code(one.claim),),)),
            cell(one.stance),
            ReportCell(((one.quote,), (f"{one.document.rsplit('/', 1)[-1]}, {one.location}",))),
        )
        for one in shown
    )
    text = (
        f"A model ({found[0].model}) was asked about {len(found)} claims the rules left open and pointed to"
        f" {len(shown)} passages; each quote stands letter for letter in its document. No verdict was changed by it."
    )
    reasons = sorted({one.reason for one in found if one.reason})
    blocks: list[Block] = [Paragraph((text,), kind="note")]
    if rows:
        blocks.append(ReportTable(head=("claim", "it says", "quote"), rows=rows, kind="pairs"))
    if reasons:
        blocks.append(Bullets(tuple((f"no proposal: {one}",) for one in reasons), kind="note"))
    return Section(title="What a model points to", blocks=tuple(blocks))
