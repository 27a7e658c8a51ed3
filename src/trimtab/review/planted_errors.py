"""Whether reviewers notice: errors are planted in a copy of the review, and a panel whose score does not fall is named.

Five kinds: a number of the abstract is changed, the works behind the claims are taken away, the answer is emptied,
conflicts and limits are left out, and the wording is made far too firm.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from trimtab.review.draft import NUMBER, TracedSentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trimtab.review.draft import Draft
    from trimtab.review.rating_panel import Rating


def _numbers(draft: Draft) -> Draft:
    """Change the first number that a claim gives, in each sentence of the abstract."""
    return replace(draft, abstract=tuple(_other_number(said) for said in draft.abstract))


def _other_number(said: TracedSentence) -> TracedSentence:
    found = [match for match in NUMBER.finditer(said.text) if match[0].strip("+-\u2212").replace(",", "")]
    if not found:
        return said
    at = found[-1]
    digits = at[0]
    changed = re.sub(r"\d", lambda match: str((int(match[0]) + 3) % 10), digits)
    return replace(said, text=said.text[: at.start()] + changed + said.text[at.end() :])


def _sources(draft: Draft) -> Draft:
    return replace(draft, references=())


def _answer(draft: Draft) -> Draft:
    return replace(draft, answers=(), abstract=draft.abstract[:1])


def _silence(draft: Draft) -> Draft:
    return replace(draft, conflicts=(), limits=())


def _overclaim(draft: Draft) -> Draft:
    firm = TracedSentence(
        text="It is proven beyond doubt that the method is robust under every condition, at 100 percent."
    )
    return replace(draft, abstract=(firm, *draft.abstract), limits=())


PLANTS: Final[Mapping[str, Callable[[Draft], Draft]]] = {
    "numbers changed": _numbers,
    "works taken away": _sources,
    "answer removed": _answer,
    "conflicts and limits left out": _silence,
    "far too firm": _overclaim,
}


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
    return {name: plant(draft) for name, plant in PLANTS.items()}


def compare(ratings: Sequence[Rating]) -> tuple[Noticed, ...]:
    """Return, for each planted version that was rated, whether its score fell; pairs of one reviewer and item count."""
    own = {(one.reviewer, one.item): one.score for one in ratings if not one.version and one.score is not None}
    found = []
    for name in dict.fromkeys(one.version for one in ratings if one.version):
        pairs = [
            (own[key], one.score)
            for one in ratings
            if one.version == name and one.score is not None and (key := (one.reviewer, one.item)) in own
        ]
        if pairs:
            before, after = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
            found.append(Noticed(plant=name, before=before, after=after, ratings=len(pairs)))
    return tuple(found)
