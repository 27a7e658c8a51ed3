"""The sentences of a review: what was done, what was found, what contradicts what, what it cannot tell.

They are made of counts and claims by fixed forms. Nothing is concluded that the matrix does not hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trimtab.claims.claim_verdict import Agreement
from trimtab.documents.work import UNRECORDED
from trimtab.review.answer_matrix import counted
from trimtab.review.draft import TracedSentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.claims.claim_model import Claim
    from trimtab.claims.claim_verdict import ClaimVerdict
    from trimtab.literature.search_plan import Plan
    from trimtab.literature.search_session import Search
    from trimtab.review.draft import CitedWork, MatrixAnswer
    from trimtab.study.table import StudyTable

_NEAREST: Final = 4


def abstract(
    search: Search,
    answers: Sequence[MatrixAnswer],
    checked: Sequence[tuple[Claim, ClaimVerdict]],
    tables: Sequence[StudyTable],
) -> tuple[TracedSentence, ...]:
    """Return what was searched, what there is, what comes nearest, and what our studies add."""
    flow = search.flow
    found = [
        TracedSentence(
            text=f"{counted(flow.identified, 'record')} from {counted(flow.sources, 'source')} found;"
            f" {counted(flow.screened, 'work')} screened, {flow.assessed} assessed, {flow.included} included.",
            counts=(
                ("identified", flow.identified),
                ("sources", flow.sources),
                ("screened", flow.screened),
                ("assessed", flow.assessed),
                ("included", flow.included),
            ),
        )
    ]
    if answers:
        empty = sum(not one.cell.claims for one in answers)
        found.append(
            TracedSentence(
                text=f"Of the {len(answers)} combinations the question asks about, the literature found here has"
                f" nothing on {empty}.",
                counts=(("combinations", len(answers)), ("without a claim", empty)),
            )
        )
    found += _nearest(answers, {claim.id: (claim, verdict) for claim, verdict in checked})
    for table in tables if answers else ():
        measured = sum(table.study.name in one.cell.studies for one in answers)
        found.append(
            TracedSentence(
                text=f'Our study "{table.study.name}" measured {measured} of them, at its own scale.',
                counts=(("measured", measured),),
            )
        )
    return tuple(found)


def _nearest(answers: Sequence[MatrixAnswer], claims: dict[str, tuple[Claim, ClaimVerdict]]) -> list[TracedSentence]:
    """Return the comparisons that come nearest to an answer and hold in their source, each once."""
    names = dict.fromkeys(name for one in answers for name in one.near if "-" in name.rsplit("#", 1)[-1])
    held = [name for name in names if name in claims and claims[name][1].fidelity.holds][:_NEAREST]
    return [
        TracedSentence(text=f"Nearest, without the stress: {claims[name][0].statement}", claims=(name,))
        for name in held
    ]


def conflicts(checked: Sequence[tuple[Claim, ClaimVerdict]]) -> tuple[TracedSentence, ...]:
    """Return each claim that independent evidence contests or denies, and each that its own source does not bear."""
    found = []
    for claim, verdict in checked:
        if verdict.agreement in (Agreement.CONTESTED, Agreement.DISAGREES):
            found.append(
                TracedSentence(text=f"{verdict.agreement.value.capitalize()}: {claim.statement}", claims=(claim.id,))
            )
        elif verdict.fidelity.fails:
            found.append(
                TracedSentence(text=f"{verdict.fidelity.value.capitalize()}: {claim.statement}", claims=(claim.id,))
            )
    return tuple(found)


def method(search: Search) -> tuple[TracedSentence, ...]:
    """Return how it was searched: places, queries, date, merging and screening."""
    flow, plan = search.flow, search.plan
    # In quotation marks, because a name of a file may hold numbers that count nothing.
    places = ", ".join((*flow.databases, *(f'"{name}"' for name in flow.others)))
    merged = len(search.works.merges)
    found = [
        TracedSentence(
            text=f"Searched: {places}{f', on {search.date}' if search.date else ''}; of each query at most"
            f" {plan.wishes.limit} records were taken. The exact queries, addresses, dates and hashes of all answers"
            " are in search-log.jsonl.",
            counts=(("limit", plan.wishes.limit),),
        ),
        TracedSentence(
            text=f"Merged as duplicates: {counted(flow.duplicates, 'record')}, by {counted(merged, 'decision')}, each"
            " with its reason; left apart although they may be one work:"
            f" {counted(len(search.works.possible), 'pair')}.",
            counts=(
                ("duplicates", flow.duplicates),
                ("merges", merged),
                ("possible duplicates", len(search.works.possible)),
            ),
        ),
        *_expansion(plan),
        TracedSentence(
            text="Works were read in the order of BM25 over title and abstract (SQLite FTS5)"
            + (f', fused by reciprocal rank with embeddings of "{plan.wishes.embed[0]}".' if plan.wishes.embed else ".")
        ),
        TracedSentence(
            text="A work stayed by title and abstract when it used a term of the first facet or of all others, and by"
            " full text when it used a term of every facet. No person screened it a second time."
        ),
    ]
    return tuple(found)


def _chosen(search: Search) -> list[TracedSentence]:
    """Return that a local corpus was chosen by somebody, and that of its works only figures and notes are here."""
    names = [corpus.name for corpus in search.plan.corpora]
    if not names:
        return []
    works = sum(any(one.database in names for one in search.work(name).records) for name in search.documents)
    listed = ", ".join(f'"{name}"' for name in names)
    words = (
        f"{listed} is a list of figures somebody chose, not a search: what is not in it may exist. Of"
        f" {counted(works, 'work')} assessed by it, figures and notes were read, not the paper."
    )
    return [TracedSentence(text=words, counts=(("assessed by figures", works),))]


def _expansion(plan: Plan) -> list[TracedSentence]:
    """Return what a model added to the queries, in quotation marks: its words are none of ours."""
    made = plan.wishes.expansion
    if made is None:
        return []
    model, why = (text.replace('"', "'") for text in (made.origin, made.reason))
    if not made.terms:
        return [
            TracedSentence(text=f'The model "{model}" was asked for search terms and gave none that was used: "{why}".')
        ]
    listed = ", ".join(f'"{term.text}"' for term in made.terms)
    words = (
        f'Of the search terms {len(made.terms)} were proposed by the model "{model}": {listed}. They stand in queries'
        " alone; neither ranking nor screening knows them."
    )
    return [TracedSentence(text=words, counts=(("proposed terms", len(made.terms)),))]


def limits(search: Search, references: Sequence[CitedWork]) -> tuple[TracedSentence, ...]:
    """Return what keeps the answer from being more than it is."""
    flow = search.flow
    found = []
    if missing := sum(flow.not_retrieved.values()):
        words = f"The full text of {counted(missing, 'work')} was not read, so it may hold what is called missing here."
        found.append(TracedSentence(text=words, counts=(("not retrieved", missing),)))
    if ended := len(search.problems):
        words = f"Searches that ended early, so that records are missing: {ended}; search-log.jsonl says why."
        found.append(TracedSentence(text=words, counts=(("problems", ended),)))
    if search.unread:
        words = f"Local files that could not be read: {len(search.unread)}."
        found.append(TracedSentence(text=words, counts=(("unread", len(search.unread)),)))
    if nameless := [one.work.id for one in references if one.version == UNRECORDED and one.claims]:
        listed = ", ".join(f'"{name}"' for name in nameless)
        words = f"Which version was read is {UNRECORDED} for {counted(len(nameless), 'work')}: {listed}."
        found.append(TracedSentence(text=words, counts=(("versions not recorded", len(nameless)),)))
    found += _chosen(search)
    if not flow.databases:
        found.append(TracedSentence(text="No bibliographic database was asked."))
    works = sum(bool(one.claims) for one in references)
    found.append(
        TracedSentence(
            text=f"The claims come from {counted(works, 'work')}; no person assessed their risk of bias. Where a source"
            " reports no spread, the certainty says so.",
            counts=(("works with claims", works),),
        )
    )
    return tuple(found)
