"""From screened works to a draft: claims are drawn from what was read, checked, set against a study, and put in order.

Figures of a local corpus are claims as they stand; of a full text, the sentences that name a method of the question and
one of its stresses or benchmarks. What was included answers; what was read and lacks a facet is shown as nearest and
never counted as an answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from trimtab.claims import certainty, report_claims, study_evidence, verdict_rules
from trimtab.claims.sources import Sources
from trimtab.literature import figure_claims
from trimtab.review import answer_matrix, draft_sentences
from trimtab.review.answer_matrix import ScreeningCounts
from trimtab.review.draft import CitedWork, Draft, MatrixAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from trimtab.claims.claim_model import Claim
    from trimtab.claims.claim_verdict import ClaimVerdict
    from trimtab.documents.parts import Document
    from trimtab.literature.search_session import Search
    from trimtab.study.table import StudyTable

_MOST_CLAIMS: Final = 60  # of one full text: the rest would bury the answer
Checked = tuple["Claim", "ClaimVerdict"]


def answer(search: Search, tables: Sequence[StudyTable] = ()) -> Draft:
    """Return the draft of a review.

    Args:
        search: A finished search.
        tables: Studies whose measurements are joined.
    """
    registry = search.plan.registry
    sources = sources_of(search)

    def judge(claim: Claim) -> Checked:
        measured = [one for table in tables for one in study_evidence.look_up(claim, table, registry)]
        return claim, certainty.rate(verdict_rules.check(claim, sources, measured=measured))

    included = {one.work for one in search.decisions if one.included}
    found = {name: [*map(judge, _claims(search, name, sources))] for name in search.documents}
    checked = [one for name in found if name in included for one in found[name]]
    near = [one for name in found if name not in included for one in found[name]]
    answers = tuple(_answers(search, checked, near, tables))
    references = tuple(_references(search, found, included))
    return Draft(
        question=search.plan.text,
        facets=tuple(facet.shown for facet in search.plan.facets),
        abstract=draft_sentences.abstract(search, answers, (*checked, *near), tables),
        answers=answers,
        checked=tuple(checked),
        near=tuple(near),
        conflicts=draft_sentences.conflicts((*checked, *near)),
        limits=draft_sentences.limits(search, references),
        references=references,
        flow=search.flow,
        method=draft_sentences.method(search),
        hidden=tuple(_hidden(search.documents.values())),
        possible=tuple(f"{one.one} and {one.other}: {one.why}" for one in search.works.possible),
        study=", ".join(table.study.name for table in tables),
        spoken=_spoken(search),
        unkept=tuple(f"{one.database}: {one.url}" for one in search.log if one.url and not one.sha256),
    )


def sources_of(search: Search) -> Sources:
    """Return everything that was read, as what claims are checked against."""
    works = [merged.work for merged in search.works.works]
    return Sources.build(search.documents.values(), works, search.plan.registry)


def _spoken(search: Search) -> dict[str, str]:
    facets = search.plan.question.facets() if search.plan.question else {}
    return {one: search.plan.registry.entries[kind][one].names[0] for kind, ids in facets.items() for one in ids}


def _claims(search: Search, name: str, sources: Sources) -> Iterator[Claim]:
    """Yield the claims of one work that bear on the question."""
    document, question, registry = search.documents[name], search.plan.question, search.plan.registry
    merged = search.work(name)
    figures = [
        figure
        for corpus in search.plan.corpora
        for one in merged.records
        if one.database == corpus.name
        for figure in corpus.figures.get(one.work.id, ())
    ]
    methods = question.methods if question else ()
    if figures:
        for claim in figure_claims.claims(figures, document, registry, methods):
            yield replace(claim, cites=(name,))
        return
    if any(one.database == corpus.name for corpus in search.plan.corpora for one in merged.records):
        return
    held = [claim for claim in report_claims.claims(document, registry, sources.vocabulary) if _bears(claim, search)]
    for claim in held[:_MOST_CLAIMS]:
        yield replace(claim, id=f"{name}#{claim.id}", cites=(name,))


def _bears(claim: Claim, search: Search) -> bool:
    first, *others = search.plan.facets
    text, registry = claim.statement, search.plan.registry
    return bool(first.used(text, registry)) and (not others or any(one.used(text, registry) for one in others))


def _answers(
    search: Search,
    checked: Sequence[Checked],
    near: Sequence[Checked],
    tables: Sequence[StudyTable],
) -> Iterator[MatrixAnswer]:
    """Yield one answer for each combination the question asks about."""
    question, registry = search.plan.question, search.plan.registry
    if question is None:
        return
    names_in = answer_matrix.names_in
    texts = [names_in(search.documents[one.work].text, registry) for one in search.decisions if one.included]

    def screened(names: frozenset[str]) -> ScreeningCounts:
        eligible = sum(names <= named for named in texts)
        return ScreeningCounts(records=search.flow.identified, sources=search.flow.sources, eligible=eligible)

    named = {claim.id: names_in(claim.statement, registry) for claim, _ in (*checked, *near)}
    for cell in answer_matrix.build(question, checked, screened, registry, tables):
        yield MatrixAnswer(
            cell=cell,
            near=tuple(_near(named, (cell.method, cell.benchmark), cell.stressor)),
            elsewhere=tuple(_near(named, (cell.method, cell.stressor), cell.benchmark)),
        )


def _near(named: Mapping[str, frozenset[str]], having: tuple[str, str], lacking: str) -> list[str]:
    """Return the claims that name two things and not the third, comparisons first."""
    names = [name for name, ids in named.items() if set(having) <= ids and lacking not in ids]
    return sorted(names, key=lambda name: "-" not in name.rsplit("#", 1)[-1])


def _references(
    search: Search, found: Mapping[str, Sequence[Checked]], included: Iterable[str]
) -> Iterator[CitedWork]:  # fmt: skip
    included_works = set(included)
    for name, document in search.documents.items():
        if name in included_works or found[name]:
            claims = tuple(claim.id for claim, _ in found[name])
            yield CitedWork(work=search.work(name).work, version=document.version, claims=claims)


def _hidden(documents: Iterable[Document]) -> Iterator[str]:
    for document in documents:
        for one in document.hidden:
            yield f"{document.path}: {one.reason} text at {one.position}: {one.text[:120]!r}"
