"""The page of a literature review: abstract, question, answer, flow, claims, conflicts, limits, references, log."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from trimtab.claims.certainty import EXPLAINED
from trimtab.report import flow, page_files
from trimtab.report.checked_report import claim_section
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
    return page_files.write(document(draft, search, extra), folder / "report.html")


def document(draft: Draft, search: Search, extra: Sequence[Section] = ()) -> ReportDocument:
    """Return the report of a review."""
    counts = Counter(verdict.fidelity.value for _, verdict in draft.every)
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


def _sentences(title: str, sentences: Iterable[TracedSentence], otherwise: str = "") -> Section:
    items = _items(sentences)
    return Section(title=title, blocks=(Bullets(items) if items else Paragraph((otherwise,)),))


def _items(sentences: Iterable[TracedSentence]) -> tuple[tuple[Inline, ...], ...]:
    """Return sentences, each with the claims it tells."""
    return tuple(
        (sentence.text, *(part for name in sentence.claims for part in (" ", Code(name)))) for sentence in sentences
    )


def _answer(draft: Draft) -> Section:
    facets = (
        Paragraph(("A work had to use a term of each of these facets, in any of its spellings:",), kind="note"),
        Bullets(tuple((text,) for text in draft.facets), kind="note"),
    )
    if not draft.answers:
        text = "The question names no method, stress and benchmark that are known together, so there is no matrix."
        return Section(title="Answer", blocks=(Paragraph((draft.question,), kind="lead"), *facets, Paragraph((text,))))
    rows = tuple(_answer_row(answer, draft) for answer in draft.answers)
    head = ("method, stress", "benchmark", "literature", "nearest", "our study", "together")
    study = f"Our studies: {draft.study}. " if draft.study else "No study was joined (--study). "
    note = (
        f"{study}Nearest are claims about the method on the benchmark without the stress, then about the method under"
        " the stress elsewhere: alone they answer nothing."
    )
    if any(answer.cell.certainty for answer in draft.answers):
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
    row, spoken = answer.cell, draft.spoken
    shown = (*answer.near[:_NEAR], *answer.elsewhere[:_NEAR])
    near = [(draft.claims[name].claim.statement,) for name in shown if name in draft.claims]
    if left := len(answer.near) + len(answer.elsewhere) - len(shown):
        near.append((f"and {left} more below",))
    # Where neither says anything, that in few words: the counts stand beside it.
    together = "no evidence" if row.joint == row.literature and not row.claims else row.joint
    return (
        ReportCell(((Strong(spoken.get(row.method, row.method)),), (spoken.get(row.stressor, row.stressor),))),
        cell(spoken.get(row.benchmark, row.benchmark)),
        ReportCell(((row.literature,), *((Code(name),) for name in row.claims[:_NEAR]))),
        ReportCell(tuple(near) or (("\u2013",),)),
        ReportCell(tuple((part,) for part in row.study.split("; "))),
        ReportCell(((Strong(together),), (f"certainty: {row.certainty}" if row.certainty else "",))),
    )


def _method(draft: Draft, search: Search) -> Section:
    queries = _folded(
        "The queries, before each database's own spelling",
        ("query", "words"),
        ((cell(query.name), cell(Code(str(query)))) for query in search.plan.queries),
    )
    figure = flow.draw(draft.flow)
    caption = (
        "PRISMA 2020 flow (Page et al. 2021). Works are counted after duplicates were merged; local corpora and files"
        " are among the records."
    )
    return Section(
        title="Method",
        blocks=(
            Bullets(tuple((sentence.text,) for sentence in draft.method)),
            Figure(name="prisma", svg=figure.svg, caption=caption, data=figure.data),
            queries,
        ),
    )


def _claims(draft: Draft) -> Section:
    note = (
        f"{len(draft.checked)} claims of works that are included, {len(draft.near)} of works that were read and lack a"
        " facet. Two axes: does its source say it, and does independent evidence agree?"
    )
    assert len({claim.id for claim, _ in draft.checked}) == len(draft.checked)  # noqa: S101 - or a claim hides another
    return claim_section(note, draft.every)


def _limits(draft: Draft) -> Section:
    blocks: list[Block] = [Bullets(_items(draft.limits))]
    if draft.hidden:
        blocks.append(Paragraph((Strong("Hidden text"), " was found and not read:")))
        blocks.append(Bullets(tuple((text,) for text in draft.hidden)))
    if draft.possible:
        blocks.append(Paragraph((Strong("Possibly the same work"), ", left apart:")))
        blocks.append(Bullets(tuple((text,) for text in draft.possible), kind="note"))
    return Section(title="Limits", blocks=tuple(blocks))


def _references(references: Sequence[CitedWork]) -> Section:
    rows = tuple(map(_reference, references))
    head = ("work", "identifiers", "version read", "claims")
    return Section(title="References", blocks=(ReportTable(head=head, rows=rows, kind="pairs"),))


def _reference(cited: CitedWork) -> tuple[ReportCell, ...]:
    work, ids = cited.work, cited.work.ids
    people = "; ".join(str(person) for person in work.authors[:3]) + (" et al." if len(work.authors) > 3 else "")
    names = [f"doi:{ids.doi}" if ids.doi else "", f"arXiv:{ids.arxiv}" if ids.arxiv else ""]
    names += [f"OpenAlex {ids.openalex}" if ids.openalex else "", f"S2 {ids.s2[:12]}" if ids.s2 else ""]
    shown = [name for name in names if name] or [work.id]
    named = dict.fromkeys(version.name or version.venue for version in work.versions)
    versions = ", ".join(name for name in named if name not in ("", cited.version))
    year = f" ({work.year})" if work.year else ""
    return (
        ReportCell(((Strong(work.title or work.id), year), (people,))),
        ReportCell(tuple((Code(name),) for name in shown)),
        ReportCell(((cited.version or "not stated",), (f"others known: {versions}" if versions else "",))),
        cell(str(len(cited.claims))),
    )


def _log(search: Search) -> Section:
    log = [
        (
            cell(line.database),
            cell(line.query),
            cell(line.date or "\u2013"),
            cell(str(line.records)),
            cell("?" if line.total is None else str(line.total)),
            ReportCell(((Code(line.url or "here"),), (line.problem or line.sha256[:16],))),
        )
        for line in search.log
    ]
    screened = [
        (
            ReportCell(((search.work(decision.work).work.title or decision.work,), (decision.work,))),
            cell(decision.stage),
            cell("included" if decision.included else "excluded"),
            cell(decision.reason),
        )
        for decision in search.decisions
    ]
    merged = [(cell(merge.other), cell(merge.one), cell(merge.why)) for merge in search.works.merges]
    places = ("place", "query", "answered", "records", "of", "address, hash of the answer")
    return Section(
        title="Log",
        blocks=(
            _folded(f"Search log (PRISMA-S), {len(log)} lines", places, log),
            _folded(f"Screening, {len(screened)} decisions", ("work", "stage", "decision", "reason"), screened),
            _folded(f"Duplicates, {len(merged)} merges", ("record", "merged with", "because"), merged),
        ),
    )


def _folded(title: str, head: tuple[str, ...], rows: Iterable[tuple[ReportCell, ...]]) -> ReportTable:
    """Return a table that a reader opens."""
    return ReportTable(head=head, rows=tuple(rows), kind="pairs", folded=title)
