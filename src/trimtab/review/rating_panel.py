"""What reviewers said: one rating a line of a file, by people or by a language model in a role.

``{"reviewer": "Ada", "item": "numbers", "score": 4, "why": "Table 5 agrees"}``; ``version`` names which of the planted
versions was read and is empty for the review itself.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.disk import read_given_lines
from trimtab.errors import EvidenceError, nearest
from trimtab.review import rater_agreement
from trimtab.review.rating_items import HIGHEST, ITEMS, LOWEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from trimtab.review.rater_agreement import Alpha

LEAST_REVIEWERS = 3
LEAST_ALPHA = 0.4
_ITEM_IDS = tuple(item.id for item in ITEMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """One number of one reviewer, with the reason; ``score`` is None where the reviewer abstained."""

    reviewer: str
    item: str
    score: int | None
    why: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelRatings:
    """What a panel came to.

    Attributes:
        ratings: Of the review itself.
        reviewers: Who gave at least one.
        agreement: α over the items; None with fewer than two reviewers on each item.
        mean: Over all ratings; None where it would mean nothing, and ``why`` says so.
        why: Why there is no mean; empty where there is one.
    """

    ratings: tuple[Rating, ...]
    reviewers: tuple[str, ...]
    agreement: Alpha | None
    mean: float | None
    why: str

    def scores(self, item: str) -> tuple[int, ...]:
        """Return the scores of one item, lowest first."""
        return tuple(
            sorted(rating.score for rating in self.ratings if rating.item == item and rating.score is not None)
        )


def load(*paths: Path) -> tuple[Rating, ...]:
    """Read ratings.

    Raises:
        EvidenceError: A line is no rating; the message names the line.
    """
    return tuple(
        _rating(line.record, f"{path}, line {line.number}")
        for path in paths
        for line in read_given_lines(path, error=EvidenceError)
    )


def _rating(record: Mapping[str, Any], place: str) -> Rating:
    try:
        rating = Rating(**record)
    except TypeError as error:
        raise EvidenceError(f"{place} is no rating: {error}") from error
    if rating.item not in _ITEM_IDS:
        raise EvidenceError(f"{place}: there is no item {rating.item!r}", hint=nearest(str(rating.item), _ITEM_IDS))
    if rating.score is not None and (type(rating.score) is not int or not LOWEST <= rating.score <= HIGHEST):
        raise EvidenceError(f"{place}: a score is {LOWEST} to {HIGHEST} or null, got {rating.score!r}")
    return rating


def panel(ratings: Sequence[Rating]) -> PanelRatings:
    """Return what the ratings of the review itself come to."""
    own = tuple(rating for rating in ratings if not rating.version)
    units: dict[str, list[int]] = defaultdict(list)
    reviewers: dict[str, None] = {}
    for rating in own:
        if rating.score is not None:
            units[rating.item].append(rating.score)
            reviewers[rating.reviewer] = None
    agreed = None
    if any(len(unit) >= 2 for unit in units.values()):
        agreed = rater_agreement.alpha(list(units.values()))
    mean, why = mean_of([score for unit in units.values() for score in unit], agreed, len(reviewers))
    return PanelRatings(ratings=own, reviewers=tuple(reviewers), agreement=agreed, mean=mean, why=why)


def mean_of(scores: Sequence[float], agreed: Alpha | None, reviewers: int | None = None) -> tuple[float | None, str]:
    """Return a mean, or why none is given: reviewers who do not agree have no opinion in common to average."""
    if reviewers is not None and reviewers < LEAST_REVIEWERS:
        return None, f"{reviewers} reviewers; a panel has at least {LEAST_REVIEWERS}"
    if agreed is None or agreed.value is None or agreed.low is None:
        return None, "agreement cannot be measured on these ratings"
    if agreed.low < LEAST_ALPHA:
        return None, (
            f"\u03b1 = {agreed.value:.3f} [{agreed.low:.3f}, {agreed.high:.3f}]: its lower end is under {LEAST_ALPHA},"
            " so the reviewers have no opinion in common that a mean could stand for"
        )
    return sum(scores) / len(scores), ""
