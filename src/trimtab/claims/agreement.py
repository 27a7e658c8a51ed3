"""The second axis: does evidence independent of the one a claim rests on agree with it?

Independent is another work, another table of the same work, or a study of our own. Where the evidence disagrees with
itself, a work with itself included, the claim is *contested*; where all of it says otherwise, it *disagrees*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trimtab.claims.claim_verdict import Agreement, Fidelity, Stance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.claims.claim_model import Claim
    from trimtab.claims.claim_verdict import Evidence

_FOR: Final = (Stance.SUPPORTS, Stance.EQUIVALENT)


def judge(claim: Claim, fidelity: Fidelity, evidence: Sequence[Evidence]) -> tuple[Agreement, tuple[str, ...]]:
    """Return the word and the rule that gave it."""
    words = [word for index in (*range(len(claim.facts)), None) if (word := _fact(index, fidelity, evidence))]
    if not words:
        return Agreement.NONE, ()
    if len(set(words)) == 1:
        return words[0], ("independent evidence", words[0].value)
    return Agreement.CONTESTED, ("independent evidence", "facts differ")


def _fact(index: int | None, fidelity: Fidelity, evidence: Sequence[Evidence]) -> Agreement | None:
    """Judge one fact, or with None the statement as a whole."""
    about = [one for one in evidence if one.fact == index and one.stance in (*_FOR, Stance.REFUTES)]
    own = [one for one in about if one.cited]
    other = [one for one in about if not one.cited]
    if (index is not None and fidelity is Fidelity.VERBATIM) or fidelity.holds:
        # The source says it; its own tables may still say otherwise.
        whole = [one for one in evidence if one.fact is None and one.cited and one.stance in _FOR]
        own = [*(whole if index is not None else []), *own]
    if any(one.stance in _FOR for one in own) and any(one.stance is Stance.REFUTES for one in own):
        return Agreement.CONTESTED
    others = [*other, *_second_places(own)]
    stances = {one.stance in _FOR for one in others}
    if not stances:
        return None
    if len(stances) == 2:
        return Agreement.CONTESTED
    return Agreement.AGREES if stances == {True} else Agreement.DISAGREES


def _second_places(own: Sequence[Evidence]) -> list[Evidence]:
    """Return what the cited work says in tables beside the place the claim rests on."""
    tables = {(one.target.sha256, one.target.table): one for one in own if one.target and one.target.kind == "cell"}
    rests_on_a_passage = any(one.target and one.target.kind == "span" for one in own)
    found = list(tables.values())
    return found if rests_on_a_passage else found[1:]
