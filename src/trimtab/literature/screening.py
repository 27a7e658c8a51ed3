"""Which works bear on the question: by title and abstract, then by full text; each exclusion has its reason.

By title and abstract a work stays when it uses a term of the first facet, or of all the others: abstracts seldom name
everything. By full text it stays when it uses a term of every facet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trimtab.claims.name_registry import Registry
    from trimtab.literature.dedup import Merged
    from trimtab.literature.facets import Facet

Stage = Literal["title and abstract", "retrieval", "full text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningDecision:
    """What became of one work, and where.

    Attributes:
        work: Its id.
        stage: The last stage it reached.
        included: Whether it stayed to the end.
        category: The reason in few words, counted in the flow.
        reason: The reason with its particulars.
        uses: Facet → the term it uses.
    """

    work: str
    stage: Stage
    included: bool
    category: str
    reason: str
    uses: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RelevanceGate:
    """The relevance gate of one question."""

    facets: tuple[Facet, ...]
    registry: Registry

    def first(self, merged: Merged) -> ScreeningDecision | None:
        """Return the decision by title and abstract if it is an exclusion; None lets the work through."""
        work = merged.work
        if merged.notice:
            return self._out(work.id, "a notice, not a study", "it only says that another work is withdrawn")
        if work.retraction is not None:
            notice = f", notice {work.retraction.notice}" if work.retraction.notice else ""
            return self._out(work.id, "withdrawn", f"{work.retraction.kind}{notice}")
        if old := self._too_old(merged):
            return self._out(work.id, "older than what it should be about", old)
        uses = self._uses(f"{work.title}\n{work.abstract}")
        lacking = [facet for facet in self.facets if facet.name not in uses]
        others = self.facets[1:]
        if self.facets[0] not in lacking or (others and not any(facet in lacking for facet in others)):
            return None
        where = "title and abstract" if work.abstract else "title (no abstract is known)"
        reason = f"{where}: no term of {'; '.join(facet.shown for facet in lacking)}"
        return self._out(work.id, "off topic", reason, uses)

    def _out(self, work: str, category: str, reason: str, uses: Mapping[str, str] | None = None) -> ScreeningDecision:
        return ScreeningDecision(
            work=work,
            stage="title and abstract",
            included=False,
            category=category,
            reason=reason,
            uses=tuple((uses or {}).items()),
        )

    def _too_old(self, merged: Merged) -> str:
        """Return why a work's year is too early for the question; within the first year nothing is lost."""
        year = merged.work.year
        for facet in self.facets:
            if year and facet.since and year < int(facet.since[:4]):
                return f"of {year}, and there was no {facet.shown} before {facet.since}"
        return ""

    def second(self, work: str, text: str) -> ScreeningDecision:
        """Return the decision by full text."""
        uses = self._uses(text)
        lacking = [facet.shown for facet in self.facets if facet.name not in uses]
        uses_of_words = tuple(uses.items())
        if lacking:
            reason = f"full text: no term of {'; '.join(lacking)}"
            return ScreeningDecision(
                work=work, stage="full text", included=False, category="off topic", reason=reason, uses=uses_of_words
            )
        reason = f"uses {', '.join(uses.values())}"
        return ScreeningDecision(
            work=work, stage="full text", included=True, category="", reason=reason, uses=uses_of_words
        )

    def _uses(self, text: str) -> dict[str, str]:
        return {facet.name: term for facet in self.facets if (term := facet.used(text, self.registry))}


def without_text(work: str, category: str, reason: str) -> ScreeningDecision:
    """Return the decision on a work whose full text could not be had."""
    return ScreeningDecision(work=work, stage="retrieval", included=False, category=category, reason=reason)


def terms(facets: Iterable[Facet]) -> list[str]:
    """Return every term of some facets, once."""
    return list(dict.fromkeys(term for facet in facets for term in facet.terms))


def in_order(works: Sequence[Merged], ranking: Sequence[str]) -> list[Merged]:
    """Return works in the order of a ranking; those it does not name follow as they came."""
    place = {name: at for at, name in enumerate(ranking)}
    return sorted(works, key=lambda merged: place.get(merged.work.id, len(place)))
