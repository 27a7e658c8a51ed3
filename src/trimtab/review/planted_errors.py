"""Whether reviewers notice: errors are planted in a copy of the review, and a panel whose score does not fall is named.

Five kinds: a number of the abstract is changed, the works behind the claims are taken away, the answer is emptied,
conflicts and limits are left out, and the wording is made far too firm.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trimtab.review.draft import NUMBER, TracedSentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.review.draft import Draft
    from trimtab.review.rating_panel import Rating


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """What a panel did to one planted version.

    Attributes:
        plant: What was planted.
        before: Mean score of the review itself, over the ratings that both have.
        after: Of the planted version.
        ratings: Pairs compared.
    """

    plant: str
    before: float
    after: float
    ratings: int

    @property
    def noticed(self) -> bool:
        """Whether the score fell."""
        return self.after < self.before


def planted(draft: Draft) -> dict[str, Draft]:
    """Return each planted version of a review, by what was planted."""
    firm = TracedSentence(
        text="It is proven beyond doubt that the method is robust under every condition, at 100 percent."
    )
    changed = tuple(replace(sentence, text=_other_number(sentence.text)) for sentence in draft.abstract)
    return {
        "numbers changed": replace(draft, abstract=changed),
        "works taken away": replace(draft, references=()),
        "answer removed": replace(draft, answers=(), abstract=draft.abstract[:1]),
        "conflicts and limits left out": replace(draft, conflicts=(), limits=()),
        "far too firm": replace(draft, abstract=(firm, *draft.abstract), limits=()),
    }


def _other_number(text: str) -> str:
    """Return a sentence with other digits in its last number."""
    *_, last = (None, *NUMBER.finditer(text))
    if last is None:
        return text
    digits = re.sub(r"\d", lambda match: str((int(match[0]) + 3) % 10), last[0])
    return text[: last.start()] + digits + text[last.end() :]


def compare(ratings: Sequence[Rating]) -> tuple[Noticed, ...]:
    """Return, for each planted version that was rated, whether its score fell; pairs of one reviewer and item count."""
    own = {(rating.reviewer, rating.item): rating.score for rating in ratings if not rating.version}
    pairs: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for rating in (rating for rating in ratings if rating.version):
        scores, own_score = pairs[rating.version], own.get((rating.reviewer, rating.item))
        if own_score is not None and rating.score is not None:
            scores.append((own_score, rating.score))
    noticed = []
    for name, scores in pairs.items():
        if scores:
            before, after = (sum(side) / len(scores) for side in zip(*scores, strict=True))
            noticed.append(Noticed(plant=name, before=before, after=after, ratings=len(scores)))
    return tuple(noticed)
