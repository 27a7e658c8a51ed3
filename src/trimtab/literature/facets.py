"""The facets of a question: which names a record has to use, in all their spellings, and the queries made of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from trimtab.claims import question as asking
from trimtab.errors import SearchError
from trimtab.literature.database import Query

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.claims.name_registry import Registry
    from trimtab.claims.question import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """One side of a question.

    Attributes:
        name: "methods", "stressors", "benchmarks", or a name the user gave.
        terms: Every spelling that is searched for.
        ids: Ids in the registry; empty for a facet the user gave in words.
        since: First month in which the youngest of its names existed ("2024-08"); empty if unknown.
    """

    name: str
    terms: tuple[str, ...]
    ids: tuple[str, ...] = ()
    since: str = ""

    def used(self, text: str, registry: Registry) -> str:
        """Return the first term of this facet that a text uses; empty if it uses none."""
        if self.ids:
            hits = (name.text for name in registry.find(text, (self.name,)) if name.id in self.ids)
            return next(hits, "")
        match = _pattern(self.terms).search(text)
        return match[0] if match else ""

    @property
    def shown(self) -> str:
        """A short name of it for a reason."""
        few = ", ".join((*self.terms[:3], *(("\u2026",) if len(self.terms) > 3 else ())))
        return f"{self.name} ({few})"


@cache
def _pattern(terms: tuple[str, ...]) -> re.Pattern[str]:
    spaced = (r"[\s\-_]+".join(map(re.escape, re.split(r"[\s\-_]+", term))) for term in terms)
    return re.compile(rf"(?<!\w)(?:{'|'.join(spaced)})s?(?!\w)", re.IGNORECASE)


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
    facets = [_known(name, ids, registry) for name, ids in question.facets().items()] if question else []
    facets += [_given(text) for text in given]
    if not facets:
        raise SearchError(
            f"the question {text!r} names nothing that is known",
            hint="say what to look for with --facet 'methods=term|other term', or teach names with --aliases",
        )
    return question, tuple(facets)


def _known(kind: str, ids: Iterable[str], registry: Registry) -> Facet:
    names = [registry.entries[kind][name] for name in ids]
    terms = dict.fromkeys(term for name in names for term in name.names if "_" not in term and len(term) > 2)
    dates = [name.since for name in names]
    return Facet(name=kind, terms=tuple(terms), ids=tuple(ids), since=min(dates) if all(dates) else "")


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
    return tuple(_query(group, further) for group in (facets, *pairs))


def _query(facets: Sequence[Facet], further: Sequence[FacetTerm]) -> Query:
    proposed = [tuple(term.text for term in further if term.facet == facet.name) for facet in facets]
    return Query(
        name=" \u00d7 ".join(facet.name for facet in facets),
        groups=tuple(facet.terms + texts for facet, texts in zip(facets, proposed, strict=True)),
        proposed=tuple(text for texts in proposed for text in texts),
    )
