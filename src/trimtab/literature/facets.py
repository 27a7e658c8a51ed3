"""The facets of a question: which names a record has to use, in all their spellings, and the queries made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from trimtab.claims import question as asking
from trimtab.claims.question import Facet
from trimtab.errors import SearchError
from trimtab.literature.database import Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.claims.name_registry import Registry
    from trimtab.claims.question import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetTerm:
    """A word to search for that a model proposed for a facet."""

    facet: str
    text: str


class RefusedTerm(NamedTuple):
    """A word a model proposed that is not searched for, and why."""

    text: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """What a model proposed to search for besides; no facet holds it, so no decision depends on it.

    Attributes:
        origin: The model.
        terms: Those that are searched for.
        refused: The others.
        reason: Why the model gave none at all; empty if it gave some.
    """

    origin: str
    terms: tuple[FacetTerm, ...] = ()
    refused: tuple[RefusedTerm, ...] = ()
    reason: str = ""


def of_question(text: str, registry: Registry, given: Sequence[str] = ()) -> tuple[Question | None, tuple[Facet, ...]]:
    """Return a question in facets: those its known names make, then those a user gave as "name=term|term".

    Raises:
        SearchError: There is none, so nothing could be searched for or screened by.
    """
    question = asking.parse(text, registry)
    facets = [*(asking.facets_of(question, registry) if question else ()), *map(_given, given)]
    if not facets:
        raise SearchError(
            f"the question {text!r} names nothing that is known",
            hint="say what to look for with --facet 'methods=term|other term', or teach names with --aliases",
        )
    return question, tuple(facets)


def _given(text: str) -> Facet:
    name, sign, terms = text.partition("=")
    words = tuple(term.strip() for term in terms.split("|") if term.strip())
    if not sign or not name.strip() or not words:
        raise SearchError(f"--facet {text!r} is not of the form name=term|other term")
    return Facet(name=name.strip(), terms=words)


def queries(facets: Sequence[Facet], further: Sequence[FacetTerm] = ()) -> tuple[Query, ...]:
    """Return what is searched for: all facets together, and the first with each of the others.

    Args:
        facets: Of the question.
        further: Terms a model proposed.

    The conjunction of everything is precise and may be empty; the pairs find what the answer has to be drawn from.
    """
    pairs = [(facets[0], other) for other in facets[1:]] if len(facets) > 2 else []
    proposed = {facet.name: tuple(term.text for term in further if term.facet == facet.name) for facet in facets}
    return tuple(
        Query(
            name=" \u00d7 ".join(facet.name for facet in group),
            groups=tuple(facet.terms + proposed[facet.name] for facet in group),
            proposed=tuple(text for facet in group for text in proposed[facet.name]),
        )
        for group in (facets, *pairs)
    )
