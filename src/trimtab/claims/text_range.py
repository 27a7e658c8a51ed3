"""Characters of a sentence: what names, numbers and clauses have in common, and how two of them lie to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Sequence

_Range = TypeVar("_Range", bound="TextRange")


@dataclass(frozen=True, slots=True)
class TextRange:
    """The characters [start, end) of a text."""

    start: int
    end: int

    @classmethod
    def of(cls, match: re.Match[str], group: int | str = 0) -> TextRange:
        """Return the characters of a match, or of one of its groups."""
        return TextRange(*match.span(group))

    def holds(self, place: int) -> bool:
        """Whether a character is one of these."""
        return self.start <= place < self.end

    def within(self, start: int, end: int) -> bool:
        """Whether all of these characters are in [start, end)."""
        return start <= self.start and self.end <= end

    def overlaps(self, other: TextRange) -> bool:
        """Whether both have a character in common."""
        return self.start < other.end and other.start < self.end

    def gap(self, other: TextRange) -> int:
        """Return how many characters stand between two ranges that do not overlap."""
        return max(self.start - other.end, other.start - self.end)


def covered(place: int, ranges: Iterable[TextRange]) -> bool:
    """Whether a character is in one of some ranges."""
    return any(other.start <= place < other.end for other in ranges)


def outside(ranges: Iterable[_Range], others: Sequence[TextRange]) -> list[_Range]:
    """Return the ranges that begin in none of some others."""
    return [place for place in ranges if not covered(place.start, others)]
