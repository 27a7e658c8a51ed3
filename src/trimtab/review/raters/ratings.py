"""What reviewers said: one rating a line of a file, by people or by a language model in a role.

``{"reviewer": "Ada", "item": "numbers", "score": 4, "why": "Table 5 agrees"}``; ``version`` names which of the planted
versions was read and is empty for the review itself.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from trimtab.errors import EvidenceError, nearest
from trimtab.review.raters import krippendorff as agreement
from trimtab.review.raters.rating_items import HIGHEST, ITEMS, LOWEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from trimtab.review.raters.krippendorff import Alpha

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
        return tuple(sorted(one.score for one in self.ratings if one.item == item and one.score is not None))


def load(*paths: Path) -> tuple[Rating, ...]:
    """Read ratings.

    Raises:
        EvidenceError: A line is no rating; the message names the line.
    """
    found = []
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").split("\n")  # U+2028 ends no line of JSON
        except (OSError, UnicodeDecodeError) as error:
            raise EvidenceError(f"the ratings in {path} cannot be read: {error}") from error
        found += [_rating(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    return tuple(found)


def _rating(line: str, place: str) -> Rating:
    try:
        one = json.loads(line)
        rating = Rating(**one)
    except (ValueError, TypeError) as error:
        raise EvidenceError(f"{place} is no rating: {error}") from error
    if rating.item not in _ITEM_IDS:
        raise EvidenceError(f"{place}: there is no item {rating.item!r}", hint=nearest(str(rating.item), _ITEM_IDS))
    if rating.score is not None and (type(rating.score) is not int or not LOWEST <= rating.score <= HIGHEST):
        raise EvidenceError(f"{place}: a score is {LOWEST} to {HIGHEST} or null, got {rating.score!r}")
    return rating


def dump(ratings: Iterable[Rating]) -> str:
    """Return the lines of ``reviews.jsonl``."""
    return "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in ratings)


def panel(ratings: Sequence[Rating]) -> PanelRatings:
    """Return what the ratings of the review itself come to."""
    own = tuple(one for one in ratings if not one.version)
    given = [one for one in own if one.score is not None]
    reviewers = tuple(dict.fromkeys(one.reviewer for one in given))
    units: dict[str, list[float]] = defaultdict(list)
    for one in given:
        units[one.item].append(float(one.score or 0))
    agreed = None
    if any(len(unit) >= 2 for unit in units.values()):
        agreed = agreement.alpha(list(units.values()))
    mean, why = mean_of([score for unit in units.values() for score in unit], agreed, len(reviewers))
    return PanelRatings(ratings=own, reviewers=reviewers, agreement=agreed, mean=mean, why=why)


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
