"""A model proposes further words to search for. A proposal becomes part of a query and nothing else.

The model sees the question and its facets, no record and no document. What it says is kept only if it could stand in a
query as a plain phrase; screening and ranking never see it, so it can find more or less and decide nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.literature.facets import Expansion, FacetTerm, RefusedTerm
from trimtab.review.llm.asker import ModelTask, StrictAnswer, UnusableAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.claims.question import Facet
    from trimtab.review.llm.asker import Asker

MOST: Final = 5  # of one facet: databases cut long queries, and each further word costs precision
_WORDS: Final = 6
_REFUSED: Final = 20
_PHRASE: Final = re.compile(r"\w[\w '+/.-]{1,58}[\w+]")
_OPERATOR: Final = re.compile(r"\b(?:AND|OR|NOT|ANDNOT|NEAR|TO)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Further(StrictAnswer):
    """What a model names for one facet."""

    facet: str
    terms: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed(StrictAnswer):
    """What a model has to answer."""

    facets: list[Further]


_TASK: Final = ModelTask(
    stage="expansion",
    words=(
        "You help to search scientific databases. For each facet of a question you are given the terms that are"
        f" searched for already. Name at most {MOST} further synonyms or spellings for a facet, as authors use them in"
        " titles and abstracts: short noun phrases without quotation marks, operators or wildcards. Name none where you"
        " know none."
    ),
    shape=Proposed,
)


def propose(question: str, facets: Sequence[Facet], asker: Asker) -> Expansion:
    """Return the terms a model proposes and that can stand in a query, those refused, or why there are none.

    Args:
        question: As asked.
        facets: With the terms that are searched for anyway.
        asker: Asks, within its budget.
    """
    facets_held = [{"facet": facet.name, "terms": list(facet.terms)} for facet in facets]
    material = {"question": question, "facets": facets_held}
    try:
        checked = list(_checked(asker.ask(_TASK, material), facets))
    except UnusableAnswerError as error:
        return Expansion(origin=asker.model, reason=error.reason)
    return Expansion(
        origin=asker.model,
        terms=tuple(term for term, why in checked if not why),
        refused=tuple(RefusedTerm(f"{term.facet}: {term.text[:80]}", why) for term, why in checked if why)[:_REFUSED],
    )


def _checked(answer: Proposed, facets: Sequence[Facet]) -> Iterator[tuple[FacetTerm, str]]:
    """Yield every proposal with the reason it is refused for, empty if it is kept."""
    known = {facet.name: {term.casefold() for term in facet.terms} for facet in facets}
    terms_added = dict.fromkeys(known, 0)
    for further in answer.facets:
        for text in further.terms:
            term = FacetTerm(facet=further.facet, text=" ".join(text.split()))
            why = _wrong(term.text)
            if term.facet not in known:
                why = "the question has no such facet"
            elif term.text.casefold() in known[term.facet]:
                why = "it is searched for already"
            elif not why and terms_added[term.facet] >= MOST:
                why = f"more than {MOST} terms of one facet"
            if not why:
                known[term.facet].add(term.text.casefold())
                terms_added[term.facet] += 1
            yield term, why


def _wrong(text: str) -> str:
    if not _PHRASE.fullmatch(text) or _OPERATOR.search(text):
        return "it is no plain phrase"
    return f"it has more than {_WORDS} words" if len(text.split()) > _WORDS else ""
