"""The checklist: what can be checked about a review without an opinion. Each check names the places where it fails.

What cannot be otherwise is no check: the counts of the flow are made by a function that refuses wrong ones, a withdrawn
work and hidden text never come this far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.documents.work import UNRECORDED
from trimtab.review.draft import untraced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.review.draft import Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistItem:
    """One check.

    Attributes:
        name: What was checked.
        places: Where it fails; empty where it holds.
    """

    name: str
    places: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.places


def check(draft: Draft) -> tuple[ChecklistItem, ...]:
    """Return every check of a review."""
    listed = {name for reference in draft.references for name in reference.claims}
    disclosed = {name for sentence in draft.conflicts for name in sentence.claims}
    rules = {
        # An answer that is there is never empty: the matrix has words for each of its cells.
        "each combination is answered or says what was screened": () if draft.answers else ("there is no answer",),
        "each number is traced to a count or a claim": (
            f"{number} in {sentence.text[:80]!r}"
            for sentence in draft.sentences()
            for number in untraced(sentence, draft.claims)
        ),
        "each claim points to a passage, a cell or a run": (
            *(
                claim.id
                for claim, verdict in draft.every
                if not (claim.cites and any(piece.target for piece in verdict.evidence))
            ),
            *(f"{claim.id} belongs to no reference" for claim, _ in draft.every if claim.id not in listed),
        ),
        "no claim says what its source does not say without being listed": (
            f"{claim.id}: {verdict.words}"
            for claim, verdict in draft.every
            if (verdict.fidelity.fails or verdict.agreement.doubts) and claim.id not in disclosed
        ),
        "each answer of a database is kept with its hash": draft.unkept,
        "each reference says which version was read, or the limits that it is not recorded": _versions(draft),
        "limits are stated, and what was not read is counted": _limits(draft),
    }
    return tuple(ChecklistItem(name=name, places=tuple(places)) for name, places in rules.items())


def _versions(draft: Draft) -> Iterator[str]:
    limits = "\n".join(sentence.text for sentence in draft.limits)
    for reference in draft.references:
        name = reference.work.id
        if reference.version == UNRECORDED:
            known = f'"{name}"' in limits
        else:
            known = bool(reference.version) or name.startswith(("file:", "openreview:"))
        if reference.claims and not known:
            yield name


def _limits(draft: Draft) -> Iterator[str]:
    missing = sum(draft.flow.not_retrieved.values())
    if not draft.limits:
        yield "no limits are stated"
    elif missing and all(sentence.counts.get("not retrieved") != missing for sentence in draft.limits):
        yield f"{missing} full texts were not read, and it is not said"
