"""From screened works to a draft: claims are drawn from what was read, checked, set against a study, and put in order.

Figures of a local corpus are claims as they stand; of a full text, the sentences that name a method of the question and
one of its stresses or benchmarks. What was included answers; what was read and lacks a facet is shown as nearest and
never counted as an answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from trimtab.claims import report_claims, study_evidence, verdict_rules
from trimtab.claims.certainty import Grading
from trimtab.claims.claim_verdict import CheckedClaim
from trimtab.claims.sources import Sources
from trimtab.literature import figure_claims
from trimtab.review import answer_matrix, draft_sentences
from trimtab.review.answer_matrix import ScreeningCounts
from trimtab.review.draft import CitedWork, Draft, MatrixAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trimtab.claims.claim_model import Claim
    from trimtab.literature.search_session import Search
    from trimtab.study.table import StudyTable

_MOST_CLAIMS: Final = 60  # of one full text: the rest would bury the answer


def answer(search: Search, tables: Sequence[StudyTable] = ()) -> Draft:
    """Return the draft of a review.

    Args:
        search: A finished search.
        tables: Studies whose measurements are joined.
    """
    registry, plan = search.plan.registry, search.plan
    sources = sources_of(search)

    def judge(claim: Claim) -> CheckedClaim:
        measured = study_evidence.look_up(claim, tables, registry)
        return CheckedClaim(claim, verdict_rules.check(claim, sources, measured=measured, grading=Grading()))

    included = {decision.work for decision in search.decisions if decision.included}
    by_work = {name: [*map(judge, _claims(search, name, sources))] for name in search.documents}
    checked = tuple(each for name, group in by_work.items() if name in included for each in group)
    near = tuple(each for name, group in by_work.items() if name not in included for each in group)
    every = (*checked, *near)
    answers = tuple(_answers(search, checked, every, tables))
    references = tuple(
        CitedWork(
            work=search.work(name).work,
            version=search.documents[name].version,
            claims=tuple(claim.id for claim, _ in group),
        )
        for name, group in by_work.items()
        if group or name in included
    )
    facets = plan.question.facets() if plan.question else {}
    return Draft(
        question=plan.text,
        facets=tuple(facet.shown for facet in plan.facets),
        abstract=draft_sentences.abstract(search, answers, {each.claim.id: each for each in every}, tables),
        answers=answers,
        checked=checked,
        near=near,
        conflicts=draft_sentences.conflicts(every),
        limits=draft_sentences.limits(search, references),
        references=references,
        flow=search.flow,
        method=draft_sentences.method(search),
        hidden=tuple(
            f"{document.path}: {hidden.reason} text at {hidden.position}: {hidden.text[:120]!r}"
            for document in search.documents.values()
            for hidden in document.hidden
        ),
        possible=tuple(f"{pair.one} and {pair.other}: {pair.why}" for pair in search.works.possible),
        study=", ".join(table.study.name for table in tables),
        spoken={name: registry.entries[kind][name].names[0] for kind, names in facets.items() for name in names},
        unkept=tuple(f"{line.database}: {line.url}" for line in search.log if line.url and not line.sha256),
    )


def sources_of(search: Search) -> Sources:
    """Return everything that was read, as what claims are checked against."""
    works = [merged.work for merged in search.works.works]
    return Sources.build(search.documents.values(), works, search.plan.registry)


def _claims(search: Search, name: str, sources: Sources) -> Iterator[Claim]:
    """Yield the claims of one work that bear on the question."""
    document, question, registry = search.documents[name], search.plan.question, search.plan.registry
    corpora = {corpus.name: corpus.figures for corpus in search.plan.corpora}
    chosen = [record for record in search.work(name).records if record.database in corpora]
    figures = [figure for record in chosen for figure in corpora[record.database].get(record.work.id, ())]
    if figures:
        for claim in figure_claims.claims(figures, document, registry, question.methods if question else ()):
            yield replace(claim, cites=(name,))
    if chosen:
        return
    bearing = [claim for claim in report_claims.claims(document, registry, sources.vocabulary) if _bears(claim, search)]
    for claim in bearing[:_MOST_CLAIMS]:
        yield replace(claim, id=f"{name}#{claim.id}", cites=(name,))


def _bears(claim: Claim, search: Search) -> bool:
    first, *others = search.plan.facets
    text, registry = claim.statement, search.plan.registry
    return bool(first.used(text, registry)) and (not others or any(facet.used(text, registry) for facet in others))


def _answers(
    search: Search, checked: Sequence[CheckedClaim], every: Sequence[CheckedClaim], tables: Sequence[StudyTable]
) -> Iterator[MatrixAnswer]:
    """Yield one answer for each combination the question asks about."""
    question, registry = search.plan.question, search.plan.registry
    if question is None:
        return
    names_in = answer_matrix.names_in
    texts = [names_in(search.documents[each.work].text, registry) for each in search.decisions if each.included]

    def screened(names: frozenset[str]) -> ScreeningCounts:
        eligible = sum(names <= named for named in texts)
        return ScreeningCounts(records=search.flow.identified, sources=search.flow.sources, eligible=eligible)

    named = {claim.id: names_in(claim.statement, registry) for claim, _ in every}
    for cell in answer_matrix.build(question, checked, screened, registry, tables):
        yield MatrixAnswer(
            cell=cell,
            near=tuple(_near(named, {cell.method, cell.benchmark}, cell.stressor)),
            elsewhere=tuple(_near(named, {cell.method, cell.stressor}, cell.benchmark)),
        )


def _near(named: Mapping[str, frozenset[str]], having: set[str], lacking: str) -> list[str]:
    """Return the claims that name two things and not the third, comparisons first."""
    names = [name for name, ids in named.items() if having <= ids and lacking not in ids]
    return sorted(names, key=lambda name: "-" not in name.rsplit("#", 1)[-1])
