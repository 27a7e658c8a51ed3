"""How certain a body of evidence is, in GRADE's words, with every downgrade named; not a claim to follow GRADE.

Computed: inconsistency, indirectness, imprecision, and as a risk of bias that all evidence comes from the work that
makes the claim. Publication bias cannot be seen from a folder of papers; it is left to a person, whose override is
kept beside the computed word.
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
    from trimtab.claims.claim_verdict import Evidence, Fidelity

WORDS: Final = ("high", "moderate", "low", "very low")
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


def rate(
    fidelity: Fidelity, agreement: Agreement, evidence: Sequence[Evidence], override: Override | None = None
) -> Certainty:
    """Return how certain a body of evidence is, and a person's word in place of it where there is one."""
    telling = [piece for piece in evidence if piece.stance is not Stance.NEUTRAL]
    measured = any(piece.backend == "study" for piece in telling)
    if not telling or not (fidelity.holds or fidelity.fails or measured):
        return Certainty()
    downgrades = tuple(_downgrades(agreement, telling))
    word = WORDS[min(len(downgrades), len(WORDS) - 1)]
    if override is None:
        return Certainty(word=word, downgrades=downgrades)
    by_whom = f"set to {override.word} by {override.by}: {override.reason} (computed: {word})"
    return Certainty(word=override.word, downgrades=(*downgrades, by_whom))


def _downgrades(agreement: Agreement, evidence: Sequence[Evidence]) -> Iterator[str]:
    if agreement is Agreement.CONTESTED:
        yield "inconsistency: the evidence contradicts itself"
    if agreement is Agreement.DISAGREES:
        yield "inconsistency: independent evidence says otherwise"
    works = {one.target.work or one.target.document for one in evidence if one.target}
    if len(works) < 2:
        yield "risk of bias: all evidence is from one work"
    if any(one.mismatches for one in evidence):
        yield "indirectness: measured under other conditions"
    numeric = [one for one in evidence if one.backend == "table"]
    if any(one.stance is Stance.INCONCLUSIVE for one in evidence):
        yield "imprecision: the interval is too wide"
    elif numeric and not any("±" in one.target.quote for one in numeric if one.target):
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
    found = {}
    for claim, table in tables.items():
        if not isinstance(table, dict) or set(table) != {"word", "reason", "by"}:
            raise ClaimError(f"{path}: [{claim}] needs word, reason and by, and nothing else")
        if table["word"] not in WORDS:
            raise ClaimError(
                f"{path}: [{claim}]: {table['word']!r} is no word of GRADE's", hint=nearest(str(table["word"]), WORDS)
            )
        found[claim] = Override(word=table["word"], reason=str(table["reason"]), by=str(table["by"]))
    return found
