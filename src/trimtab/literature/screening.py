"""Which works bear on the question: by title and abstract, then by full text; each exclusion has its reason.

By title and abstract a work stays when it uses a term of the first facet, or of all the others: abstracts seldom name
everything. By full text it stays when it uses a term of every facet.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the default below is made by it
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from trimtab.claims.name_registry import Registry
    from trimtab.claims.question import Facet
    from trimtab.literature.dedup import Merged

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
    included: bool = False
    category: str
    reason: str
    uses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelevanceGate:
    """The relevance gate of one question."""

    facets: tuple[Facet, ...]
    registry: Registry

    def first(self, merged: Merged) -> ScreeningDecision | None:
        """Return the decision by title and abstract if it is an exclusion; None lets the work through."""
        work, uses = merged.work, dict[str, str]()
        if merged.notice:
            category, reason = "a notice, not a study", "it only says that another work is withdrawn"
        elif work.retraction is not None:
            notice = f", notice {work.retraction.notice}" if work.retraction.notice else ""
            category, reason = "withdrawn", f"{work.retraction.kind}{notice}"
        elif early := next((facet for facet in self.facets if facet.too_early(str(work.year or ""))), None):
            reason = f"of {work.year}, and there was no {early.shown} before {early.since}"
            category = "older than what it should be about"
        else:
            uses = self._uses(f"{work.title}\n{work.abstract}")
            lacking = [facet for facet in self.facets if facet.name not in uses]
            if self.facets[0] not in lacking or (len(self.facets) > 1 and lacking == [self.facets[0]]):
                return None
            where = "title and abstract" if work.abstract else "title (no abstract is known)"
            category, reason = "off topic", f"{where}: no term of {'; '.join(facet.shown for facet in lacking)}"
        return ScreeningDecision(work=work.id, stage="title and abstract", category=category, reason=reason, uses=uses)

    def second(self, work: str, text: str) -> ScreeningDecision:
        """Return the decision by full text."""
        uses = self._uses(text)
        lacking = [facet.shown for facet in self.facets if facet.name not in uses]
        return ScreeningDecision(
            work=work,
            stage="full text",
            included=not lacking,
            category="off topic" if lacking else "",
            reason=f"full text: no term of {'; '.join(lacking)}" if lacking else f"uses {', '.join(uses.values())}",
            uses=uses,
        )

    def _uses(self, text: str) -> dict[str, str]:
        return {facet.name: term for facet in self.facets if (term := facet.used(text, self.registry))}
