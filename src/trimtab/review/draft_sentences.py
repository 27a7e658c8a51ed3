"""The sentences of a review: what was done, what was found, what contradicts what, what it cannot tell.

They are made of counts and claims by fixed forms. Nothing is concluded that the matrix does not hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trimtab.documents.work import UNRECORDED
from trimtab.errors import counted
from trimtab.review.draft import TracedSentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trimtab.claims.claim_verdict import CheckedClaim
    from trimtab.literature.search_plan import Plan
    from trimtab.literature.search_session import Search
    from trimtab.review.draft import CitedWork, MatrixAnswer
    from trimtab.study.table import StudyTable

_NEAREST: Final = 4


def abstract(
    search: Search,
    answers: Sequence[MatrixAnswer],
    claims: Mapping[str, CheckedClaim],
    tables: Sequence[StudyTable],
) -> tuple[TracedSentence, ...]:
    """Return what was searched, what there is, what comes nearest, and what our studies add."""
    flow = search.flow
    counts = ("identified", "sources", "screened", "assessed", "included")
    sentences = [
        TracedSentence(
            text=f"{counted(flow.identified, 'record')} from {counted(flow.sources, 'source')} found;"
            f" {counted(flow.screened, 'work')} screened, {flow.assessed} assessed, {flow.included} included.",
            counts={name: getattr(flow, name) for name in counts},
        )
    ]
    if not answers:
        return tuple(sentences)
    empty = sum(not answer.cell.claims for answer in answers)
    sentences.append(
        TracedSentence(
            text=f"Of the {len(answers)} combinations the question asks about, the literature found here has"
            f" nothing on {empty}.",
            counts={"combinations": len(answers), "without a claim": empty},
        )
    )
    sentences += _nearest(answers, claims)
    for table in tables:
        measured = sum(table.study.name in answer.cell.studies for answer in answers)
        words = f'Our study "{table.study.name}" measured {measured} of them, at its own scale.'
        sentences.append(TracedSentence(text=words, counts={"measured": measured}))
    return tuple(sentences)


def _nearest(answers: Sequence[MatrixAnswer], claims: Mapping[str, CheckedClaim]) -> list[TracedSentence]:
    """Return the comparisons that come nearest to an answer and hold in their source, each once."""
    names = dict.fromkeys(name for answer in answers for name in answer.near if "-" in name.rsplit("#", 1)[-1])
    holding = [claims[name].claim for name in names if name in claims and claims[name].verdict.fidelity.holds]
    return [
        TracedSentence(text=f"Nearest, without the stress: {claim.statement}", claims=(claim.id,))
        for claim in holding[:_NEAREST]
    ]


def conflicts(checked: Sequence[CheckedClaim]) -> tuple[TracedSentence, ...]:
    """Return each claim that independent evidence contests or denies, and each that its own source does not bear."""
    return tuple(
        TracedSentence(
            text=f"{(verdict.agreement if verdict.agreement.doubts else verdict.fidelity).capitalize()}:"
            f" {claim.statement}",
            claims=(claim.id,),
        )
        for claim, verdict in checked
        if verdict.agreement.doubts or verdict.fidelity.fails
    )


def method(search: Search) -> tuple[TracedSentence, ...]:
    """Return how it was searched: places, queries, date, merging and screening."""
    flow, plan = search.flow, search.plan
    # In quotation marks, because a name of a file may hold numbers that count nothing.
    places = ", ".join((*flow.databases, *(f'"{name}"' for name in flow.others)))
    merged, possible = len(search.works.merges), len(search.works.possible)
    fused = f', fused by reciprocal rank with embeddings of "{plan.wishes.embed.name}"' if plan.wishes.embed else ""
    return (
        TracedSentence(
            text=f"Searched: {places}{f', on {search.date}' if search.date else ''}; of each query at most"
            f" {plan.wishes.limit} records were taken. The exact queries, addresses, dates and hashes of all answers"
            " are in search-log.jsonl.",
            counts={"limit": plan.wishes.limit},
        ),
        TracedSentence(
            text=f"Merged as duplicates: {counted(flow.duplicates, 'record')}, by {counted(merged, 'decision')}, each"
            f" with its reason; left apart although they may be one work: {counted(possible, 'pair')}.",
            counts={"duplicates": flow.duplicates, "merges": merged, "possible duplicates": possible},
        ),
        *_expansion(plan),
        TracedSentence(text=f"Works were read in the order of BM25 over title and abstract (SQLite FTS5){fused}."),
        TracedSentence(
            text="A work stayed by title and abstract when it used a term of the first facet or of all others, and by"
            " full text when it used a term of every facet. No person screened it a second time."
        ),
    )


def _expansion(plan: Plan) -> list[TracedSentence]:
    """Return what a model added to the queries, in quotation marks: its words are none of ours."""
    made = plan.wishes.expansion
    if made is None:
        return []
    model, why = (text.replace('"', "'") for text in (made.origin, made.reason))
    if not made.terms:
        words = f'The model "{model}" was asked for search terms and gave none that was used: "{why}".'
        return [TracedSentence(text=words)]
    listed = ", ".join(f'"{term.text}"' for term in made.terms)
    words = (
        f'Of the search terms {len(made.terms)} were proposed by the model "{model}": {listed}. They stand in queries'
        " alone; neither ranking nor screening knows them."
    )
    return [TracedSentence(text=words, counts={"proposed terms": len(made.terms)})]


def limits(search: Search, references: Sequence[CitedWork]) -> tuple[TracedSentence, ...]:
    """Return what keeps the answer from being more than it is."""
    missing, ended, unread = sum(search.flow.not_retrieved.values()), len(search.problems), len(search.unread)
    nameless = [cited.work.id for cited in references if cited.version == UNRECORDED and cited.claims]
    corpora = [corpus.name for corpus in search.plan.corpora]
    chosen = sum(any(record.database in corpora for record in search.work(name).records) for name in search.documents)
    works = sum(bool(cited.claims) for cited in references)
    sentences = []
    if missing:
        words = f"The full text of {counted(missing, 'work')} was not read, so it may hold what is called missing here."
        sentences.append(TracedSentence(text=words, counts={"not retrieved": missing}))
    if ended:
        words = f"Searches that ended early, so that records are missing: {ended}; search-log.jsonl says why."
        sentences.append(TracedSentence(text=words, counts={"problems": ended}))
    if unread:
        words = f"Local files that could not be read: {unread}."
        sentences.append(TracedSentence(text=words, counts={"unread": unread}))
    if nameless:
        words = f"Which version was read is {UNRECORDED} for {counted(len(nameless), 'work')}: {_quoted(nameless)}."
        sentences.append(TracedSentence(text=words, counts={"versions not recorded": len(nameless)}))
    if corpora:
        words = (
            f"{_quoted(corpora)} is a list of figures somebody chose, not a search: what is not in it may exist. Of"
            f" {counted(chosen, 'work')} assessed by it, figures and notes were read, not the paper."
        )
        sentences.append(TracedSentence(text=words, counts={"assessed by figures": chosen}))
    if not search.flow.databases:
        sentences.append(TracedSentence(text="No bibliographic database was asked."))
    words = (
        f"The claims come from {counted(works, 'work')}; no person assessed their risk of bias. Where a source reports"
        " no spread, the certainty says so."
    )
    return (*sentences, TracedSentence(text=words, counts={"works with claims": works}))


def _quoted(names: Sequence[str]) -> str:
    """Return names in quotation marks: what looks like a number in them counts nothing."""
    return ", ".join(f'"{name}"' for name in names)
