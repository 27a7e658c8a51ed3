"""Whether independent evidence agrees, and how certain a body of evidence is, in GRADE's words.

Independent is another work, another table of the same work, or a study of our own. Where the evidence disagrees with
itself, a work with itself included, the claim is *contested*; where all of it says otherwise, it *disagrees*.

Every downgrade is named, which is no claim to follow GRADE. Computed: inconsistency, indirectness, imprecision, and
as a risk of bias that all evidence comes from the work that makes the claim. Publication bias cannot be seen from a
folder of papers; it is left to a person, whose override is kept beside the computed word.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from trimtab.claims.claim_verdict import Agreement, Stance
from trimtab.errors import ClaimError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from trimtab.claims.calibration import Calibration
    from trimtab.claims.claim_model import Claim
    from trimtab.claims.claim_verdict import Evidence, Fidelity

WORDS: Final = ("high", "moderate", "low", "very low")
_FOR: Final = (Stance.SUPPORTS, Stance.EQUIVALENT)
EXPLAINED: Final = (
    "Certainty starts at high and falls one step, to moderate, low and very low, for each of four reasons. The evidence"
    " contradicts itself or independent evidence does. All of it is from one work. It was measured under other"
    " conditions. Its interval is too wide or no spread is reported."
)
"""What the words mean, for a reader of a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A person's word in place of the computed one, with the reason and the name."""

    word: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grading:
    """What verdicts are graded by, beside their evidence.

    Attributes:
        overrides: Id of a claim → a person's word on it.
        labelled: The set that confidence is read from; None gives none.
    """

    overrides: Mapping[str, Override] = field(default_factory=dict)
    labelled: Calibration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """GRADE's word and each downgrade that led to it; both empty without evidence."""

    word: str = ""
    downgrades: tuple[str, ...] = ()


def agreement(claim: Claim, fidelity: Fidelity, evidence: Sequence[Evidence]) -> tuple[Agreement, tuple[str, ...]]:
    """Return the word and the rule that gave it."""
    words = [word for index in (*range(len(claim.facts)), None) if (word := _fact(index, fidelity, evidence))]
    if not words:
        return Agreement.NONE, ()
    if len(set(words)) == 1:
        return words[0], ("independent evidence", words[0].value)
    return Agreement.CONTESTED, ("independent evidence", "facts differ")


def _fact(index: int | None, fidelity: Fidelity, evidence: Sequence[Evidence]) -> Agreement | None:
    """Judge one fact, or with None the statement as a whole."""
    about = [piece for piece in evidence if piece.fact == index and piece.stance in (*_FOR, Stance.REFUTES)]
    own = [piece for piece in about if piece.cited]
    if index is not None and fidelity.holds:
        # The source says it; its own tables may still say otherwise.
        own = [*(piece for piece in evidence if piece.fact is None and piece.cited and piece.stance in _FOR), *own]
    if len({piece.stance in _FOR for piece in own}) > 1:
        return Agreement.CONTESTED
    # What the cited work says in tables beside the place that the claim rests on is independent of it.
    places = [(piece, piece.target) for piece in own if piece.target]
    tables = {(place.sha256, place.table): piece for piece, place in places if place.kind == "cell"}
    rests_on_a_passage = any(place.kind == "span" for _, place in places)
    second = list(tables.values())[0 if rests_on_a_passage else 1 :]
    stances = {piece.stance in _FOR for piece in (*(piece for piece in about if not piece.cited), *second)}
    if not stances:
        return None
    if len(stances) == 2:
        return Agreement.CONTESTED
    return Agreement.AGREES if stances == {True} else Agreement.DISAGREES


def rate(
    fidelity: Fidelity, axis: Agreement, evidence: Sequence[Evidence], override: Override | None = None
) -> Certainty:
    """Return how certain a body of evidence is, and a person's word in place of it where there is one."""
    telling = [piece for piece in evidence if piece.stance is not Stance.NEUTRAL]
    measured = any(piece.backend == "study" for piece in telling)
    if not telling or not (fidelity.holds or fidelity.fails or measured):
        return Certainty()
    downgrades = tuple(_downgrades(axis, telling))
    word = WORDS[min(len(downgrades), len(WORDS) - 1)]
    if override is None:
        return Certainty(word=word, downgrades=downgrades)
    by_whom = f"set to {override.word} by {override.by}: {override.reason} (computed: {word})"
    return Certainty(word=override.word, downgrades=(*downgrades, by_whom))


def _downgrades(axis: Agreement, evidence: Sequence[Evidence]) -> Iterator[str]:
    if axis is Agreement.CONTESTED:
        yield "inconsistency: the evidence contradicts itself"
    if axis is Agreement.DISAGREES:
        yield "inconsistency: independent evidence says otherwise"
    if len({piece.target.work or piece.target.document for piece in evidence if piece.target}) < 2:
        yield "risk of bias: all evidence is from one work"
    if any(piece.mismatches for piece in evidence):
        yield "indirectness: measured under other conditions"
    quotes = [piece.target.quote for piece in evidence if piece.backend == "table" and piece.target]
    if any(piece.stance is Stance.INCONCLUSIVE for piece in evidence):
        yield "imprecision: the interval is too wide"
    elif quotes and not any("±" in quote for quote in quotes):
        yield "imprecision: no spread is reported with the values"


def overrides(path: Path) -> Mapping[str, Override]:
    """Read a person's words: ``[c01]`` with ``word``, ``reason`` and ``by``.

    Raises:
        ClaimError: The file cannot be read, a word is not GRADE's, or a reason or a name is missing.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ClaimError(f"the overrides in {path} cannot be read: {error}") from error
    words = {}
    for claim, table in tables.items():
        if not isinstance(table, dict) or set(table) != {"word", "reason", "by"}:
            raise ClaimError(f"{path}: [{claim}] needs word, reason and by, and nothing else")
        if table["word"] not in WORDS:
            raise ClaimError(
                f"{path}: [{claim}]: {table['word']!r} is no word of GRADE's", hint=nearest(str(table["word"]), WORDS)
            )
        words[claim] = Override(word=table["word"], reason=str(table["reason"]), by=str(table["by"]))
    return words
