"""PRISMA 2020 counts (Page et al. 2021, BMJ 372:n71): how many records came, went and stayed; they add up.

Every count is made of the records and the decisions, none is typed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from trimtab.errors import SearchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trimtab.literature.dedup import Merged
    from trimtab.literature.screening import ScreeningDecision


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The numbers of the flow diagram.

    Attributes:
        databases: Records identified, by database.
        others: Records identified elsewhere: files, imports, local corpora.
        duplicates: Records removed before screening.
        screened: Works whose title and abstract were looked at.
        excluded: Of those, excluded, by reason.
        sought: Works whose full text was sought.
        not_retrieved: Of those, not had, by reason.
        assessed: Full texts read.
        ineligible: Of those, excluded, by reason.
        included: Works in the review.
        repeated_others: Of the duplicates, records from elsewhere.
        included_others: Of the included, works no database found.
    """

    databases: Mapping[str, int]
    others: Mapping[str, int]
    duplicates: int
    screened: int
    excluded: Mapping[str, int]
    sought: int
    not_retrieved: Mapping[str, int]
    assessed: int
    ineligible: Mapping[str, int]
    included: int
    repeated_others: int = 0
    included_others: int = 0

    @property
    def identified(self) -> int:
        """Records from everywhere."""
        return sum(self.databases.values()) + sum(self.others.values())

    @property
    def sources(self) -> int:
        """Places that were searched."""
        return len(self.databases) + len(self.others)

    def record(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        return asdict(self) | {"identified": self.identified}


def count(
    works: Sequence[Merged], decisions: Sequence[ScreeningDecision], databases: Iterable[str], others: Iterable[str]
) -> Flow:  # fmt: skip
    """Return the flow of a search.

    Args:
        works: What was found, after de-duplication, with all records.
        decisions: One for each work.
        databases: Names of those searched; one without a hit counts 0.
        others: Names of the other places searched.

    Raises:
        SearchError: A work has no decision or several, or is from nowhere, so that the counts do not add up.
    """
    by_place = Counter(record.database for merged in works for record in merged.records)
    stages = ("title and abstract", "retrieval", "full text")
    early, lost, read = ([decision for decision in decisions if decision.stage == stage] for stage in stages)
    elsewhere = {name: by_place[name] for name in others}
    alone = {merged.work.id for merged in works if all(record.database in elsewhere for record in merged.records)}
    flow = Flow(
        databases={name: by_place[name] for name in databases},
        others=elsewhere,
        duplicates=by_place.total() - len(works),
        screened=len(works),
        excluded=_reasons(early),
        sought=len(lost) + len(read),
        not_retrieved=_reasons(lost),
        assessed=len(read),
        ineligible=_reasons(decision for decision in read if not decision.included),
        included=sum(decision.included for decision in read),
        repeated_others=sum(record.database in elsewhere for merged in works for record in merged.records[1:]),
        included_others=sum(decision.included and decision.work in alone for decision in read),
    )
    if flow.identified != by_place.total() or flow.screened != len(decisions):
        raise SearchError(
            f"the counts of the flow do not add up: {by_place.total()} records and {len(decisions)} decisions"
            f" ({flow.record()})"
        )
    return flow


def _reasons(decisions: Iterable[ScreeningDecision]) -> dict[str, int]:
    """Return how often each reason was given, the most frequent first."""
    counted = Counter(decision.category for decision in decisions)
    return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))
