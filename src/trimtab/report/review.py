"""The page of a literature review: abstract, question, answer, flow, claims, conflicts, limits, references, log."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from trimtab.claims.certainty import EXPLAINED
from trimtab.disk import write_atomic
from trimtab.report import flow, html, markdown
from trimtab.report import svg as drawing
from trimtab.report.checked_report import claim_row
from trimtab.report.document import (
    Bullets,
    Code,
    Figure,
    Paragraph,
    ReportCell,
    ReportDocument,
    ReportTable,
    Section,
    Strong,
    cell,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from trimtab.literature.search_session import Search
    from trimtab.report.document import Block, Inline
    from trimtab.review.answer_matrix import MatrixCell
    from trimtab.review.draft import CitedWork, Draft, MatrixAnswer, TracedSentence

_NEAR = 2


def write(draft: Draft, search: Search, folder: Path, extra: Sequence[Section] = ()) -> Path:
    """Write ``report.html``, ``report.md`` and ``prisma.svg`` into ``folder``; return the page's path.

    Args:
        draft: The review.
        search: What it rests on.
        folder: Of the search.
        extra: Further sections, such as the panel's, put before the references.
    """
    made = document(draft, search, extra)
    figure = flow.draw(draft.flow)
    write_atomic(folder / "prisma.svg", drawing.standalone(figure.svg, html.asset("chart.css")))
    write_atomic(folder / "report.md", markdown.render(made))
    write_atomic(folder / "report.html", html.render(made))
    return folder / "report.html"


def document(draft: Draft, search: Search, extra: Sequence[Section] = ()) -> ReportDocument:
    """Return the report of a review."""
    counts = Counter(verdict.fidelity.value for _, verdict in (*draft.checked, *draft.near))
    return ReportDocument(
        title="Literature review",
        subtitle=draft.question,
        chips=(
            ("records", str(draft.flow.identified)),
            ("sources", str(draft.flow.sources)),
            ("included", str(draft.flow.included)),
            *((name, str(count)) for name, count in counts.most_common()),
        ),
        sections=(
            _sentences("Abstract", draft.abstract),
            _answer(draft),
            _method(draft, search),
            _claims(draft),
            _sentences("Conflicts", draft.conflicts or (), "Nothing that was read contradicts a claim here."),
            _limits(draft),
            *extra,
            _references(draft.references),
            _log(search),
        ),
        brand="trimtab evidence",
    )


def _sentences(title: str, said: Iterable[TracedSentence], otherwise: str = "") -> Section:
    items = tuple(_said(one) for one in said)
    blocks: tuple[Block, ...] = (Bullets(items),) if items else (Paragraph((otherwise,)),)
    return Section(title=title, blocks=blocks)


def _said(said: TracedSentence) -> tuple[Inline, ...]:
    marks = [part for name in said.claims for part in (" ", Code(name))]
    return (said.text, *marks)


def _answer(draft: Draft) -> Section:
    facets = (
        Paragraph(("A work had to use a term of each of these facets, in any of its spellings:",), kind="note"),
        Bullets(tuple((text,) for text in draft.facets), kind="note"),
    )
    if not draft.answers:
        text = "The question names no method, stress and benchmark that are known together, so there is no matrix."
        return Section(title="Answer", blocks=(Paragraph((draft.question,), kind="lead"), *facets, Paragraph((text,))))
    rows = tuple(_answer_row(one, draft) for one in draft.answers)
    head = ("method, stress", "benchmark", "literature", "nearest", "our study", "together")
    study = f"Our studies: {draft.study}. " if draft.study else "No study was joined (--study). "
    note = (
        f"{study}Nearest are claims about the method on the benchmark without the stress, then about the method under"
        " the stress elsewhere: alone they answer nothing."
    )
    if any(one.cell.certainty for one in draft.answers):
        note = f"{note} {EXPLAINED}"
    return Section(
        title="Answer",
        blocks=(
            Paragraph((draft.question,), kind="lead"),
            *facets,
            ReportTable(head=head, rows=rows, kind="answers"),
            Paragraph((note,), kind="note"),
        ),
    )


def _answer_row(answer: MatrixAnswer, draft: Draft) -> tuple[ReportCell, ...]:
    one, claims = answer.cell, draft.claims
    shown = (*answer.near[:_NEAR], *answer.elsewhere[:_NEAR])
    near = [(claims[name][0].statement,) for name in shown if name in claims]
    if left := len(answer.near) + len(answer.elsewhere) - len(shown):
        near.append((f"and {left} more below",))
    return (
        ReportCell(
            ((Strong(draft.spoken.get(one.method, one.method)),), (draft.spoken.get(one.stressor, one.stressor),))
        ),
        cell(draft.spoken.get(one.benchmark, one.benchmark)),
        ReportCell(((one.literature,), *((Code(name),) for name in one.claims[:_NEAR]))),
        ReportCell(tuple(near) or (("\u2013",),)),
        ReportCell(tuple((part,) for part in one.study.split("; "))),
        ReportCell(((Strong(_together(one)),), (f"certainty: {one.certainty}" if one.certainty else "",))),
    )


def _together(one: MatrixCell) -> str:
    """Return both verdicts together; where neither says anything, that in few words: the counts stand beside it."""
    return "no evidence" if one.joint == one.literature and not one.claims else one.joint


def _method(draft: Draft, search: Search) -> Section:
    queries = ReportTable(
        head=("query", "words"),
        rows=tuple((cell(one.name), cell(Code(str(one)))) for one in search.plan.queries),
        kind="pairs",
        folded="The queries, before each database's own spelling",
    )
    figure = flow.draw(draft.flow)
    caption = (
        "PRISMA 2020 flow (Page et al. 2021). Works are counted after duplicates were merged; local corpora and files"
        " are among the records."
    )
    return Section(
        title="Method",
        blocks=(
            Bullets(tuple((one.text,) for one in draft.method)),
            Figure(name="prisma", svg=figure.svg, caption=caption, data=figure.data),
            queries,
        ),
    )


def _claims(draft: Draft) -> Section:
    included = {claim.id for claim, _ in draft.checked}
    text = (
        f"{len(draft.checked)} claims of works that are included, {len(draft.near)} of works that were read and lack a"
        " facet. Two axes: does its source say it, and does independent evidence agree?"
    )
    rows = tuple(claim_row(claim, verdict) for claim, verdict in (*draft.checked, *draft.near))
    head = ("verdict", "claim", "what the source says", "why")
    assert len(included) == len(draft.checked)  # noqa: S101 - ids are unique, or a claim would hide another
    table = ReportTable(head=head, rows=rows, kind="filtered")
    return Section(title="Claims", blocks=(Paragraph((text,), kind="note"), table))


def _limits(draft: Draft) -> Section:
    blocks: list[Block] = [Bullets(tuple(_said(one) for one in draft.limits))]
    if draft.hidden:
        blocks.append(Paragraph((Strong("Hidden text"), " was found and not read:")))
        blocks.append(Bullets(tuple((one,) for one in draft.hidden)))
    if draft.possible:
        blocks.append(Paragraph((Strong("Possibly the same work"), ", left apart:")))
        blocks.append(Bullets(tuple((one,) for one in draft.possible), kind="note"))
    return Section(title="Limits", blocks=tuple(blocks))


def _references(references: Sequence[CitedWork]) -> Section:
    rows = tuple(_reference(one) for one in references)
    head = ("work", "identifiers", "version read", "claims")
    return Section(title="References", blocks=(ReportTable(head=head, rows=rows, kind="pairs"),))


def _reference(one: CitedWork) -> tuple[ReportCell, ...]:
    work, ids = one.work, one.work.ids
    people = "; ".join(str(person) for person in work.authors[:3]) + (" et al." if len(work.authors) > 3 else "")
    names = [f"doi:{ids.doi}" if ids.doi else "", f"arXiv:{ids.arxiv}" if ids.arxiv else ""]
    names += [f"OpenAlex {ids.openalex}" if ids.openalex else "", f"S2 {ids.s2[:12]}" if ids.s2 else ""]
    shown = [name for name in names if name] or [work.id]
    named = dict.fromkeys(version.name or version.venue for version in work.versions)
    versions = ", ".join(name for name in named if name not in ("", one.version))
    year = f" ({work.year})" if work.year else ""
    return (
        ReportCell(((Strong(work.title or work.id), year), (people,))),
        ReportCell(tuple((Code(name),) for name in shown)),
        ReportCell(((one.version or "not stated",), (f"others known: {versions}" if versions else "",))),
        cell(str(len(one.claims))),
    )


def _log(search: Search) -> Section:
    log = ReportTable(
        head=("place", "query", "answered", "records", "of", "address, hash of the answer"),
        rows=tuple(
            (
                cell(one.database),
                cell(one.query),
                cell(one.date or "\u2013"),
                cell(str(one.records)),
                cell("?" if one.total is None else str(one.total)),
                ReportCell(((Code(one.url or "here"),), (one.problem or one.sha256[:16],))),
            )
            for one in search.log
        ),
        kind="pairs",
        folded=f"Search log (PRISMA-S), {len(search.log)} lines",
    )
    screened = ReportTable(
        head=("work", "stage", "decision", "reason"),
        rows=tuple(
            (
                ReportCell(((search.work(one.work).work.title or one.work,), (one.work,))),
                cell(one.stage),
                cell("included" if one.included else "excluded"),
                cell(one.reason),
            )
            for one in search.decisions
        ),
        kind="pairs",
        folded=f"Screening, {len(search.decisions)} decisions",
    )
    merged = ReportTable(
        head=("record", "merged with", "because"),
        rows=tuple((cell(one.other), cell(one.one), cell(one.why)) for one in search.works.merges),
        kind="pairs",
        folded=f"Duplicates, {len(search.works.merges)} merges",
    )
    return Section(title="Log", blocks=(log, screened, merged))
