"""PRISMA 2020 counts (Page et al. 2021, BMJ 372:n71): how many records came, went and stayed, with their invariants.

Every count is made of the decisions, none is typed; :meth:`Flow.check` says whether they add up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from trimtab.errors import SearchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trimtab.literature.database import Found
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

    def check(self) -> None:
        """Say whether the counts add up.

        Raises:
            SearchError: They do not, and which.
        """
        sums = {
            "identified = duplicates + screened": self.identified == self.duplicates + self.screened,
            "screened = excluded + sought": self.screened == sum(self.excluded.values()) + self.sought,
            "sought = not retrieved + assessed": self.sought == sum(self.not_retrieved.values()) + self.assessed,
            "assessed = ineligible + included": self.assessed == sum(self.ineligible.values()) + self.included,
            "duplicates from elsewhere \u2264 duplicates": self.repeated_others <= self.duplicates,
            "included from elsewhere \u2264 included": self.included_others <= self.included,
        }
        if wrong := [rule for rule, holds in sums.items() if not holds]:
            raise SearchError(f"the counts of the flow do not add up: {'; '.join(wrong)} ({self.record()})")

    def record(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        return asdict(self) | {"identified": self.identified}


def count(
    records: Sequence[Found],
    works: Sequence[Merged],
    decisions: Iterable[ScreeningDecision],
    searched: Sequence[tuple[str, bool]],
) -> Flow:  # fmt: skip
    """Return the flow of a search.

    Args:
        records: Everything found.
        works: What they are after de-duplication.
        decisions: One for each work.
        searched: Every place that was searched, and whether it is a database; places without a hit count 0.

    Raises:
        SearchError: A work has no decision or several, so that the counts do not add up.
    """
    found, made = Counter(record.database for record in records), list(decisions)
    early = [one for one in made if one.stage == "title and abstract"]
    lost = [one for one in made if one.stage == "retrieval"]
    read = [one for one in made if one.stage == "full text"]
    others = {name for name, is_database in searched if not is_database}
    alone = {merged.work.id for merged in works if all(record.database in others for record in merged.records)}
    flow = Flow(
        databases={name: found[name] for name, is_database in searched if is_database},
        others={name: found[name] for name, is_database in searched if not is_database},
        duplicates=len(records) - len(works),
        screened=len(works),
        excluded=_reasons(early),
        sought=len(lost) + len(read),
        not_retrieved=_reasons(lost),
        assessed=len(read),
        ineligible=_reasons(one for one in read if not one.included),
        included=sum(one.included for one in read),
        repeated_others=sum(record.database in others for merged in works for record in merged.records[1:]),
        included_others=sum(one.included and one.work in alone for one in read),
    )
    flow.check()
    return flow


def _reasons(decisions: Iterable[ScreeningDecision]) -> dict[str, int]:
    """Return how often each reason was given, the most frequent first."""
    counted = Counter(one.category for one in decisions)
    return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))
