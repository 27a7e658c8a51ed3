"""What is found about a claim, on two axes, with everything that led there.

*Fidelity* says whether the cited source says it; *agreement* whether independent evidence does: other works, other
tables of the same work, our own measurements. They are never merged: a claim can be verbatim and contested. Absence is
never refutation.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pydantic import ConfigDict

from trimtab.claims import claim_model
from trimtab.claims.claim_model import RecordLines
from trimtab.disk import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from trimtab.claims.claim_model import Claim

RULES: Final = "rules/2"
_STRICT: Final = ConfigDict(extra="forbid", strict=True)

Backend = Literal["passage", "table", "citation", "consistency", "study"]


class Fidelity(StrEnum):
    """Does the cited source say it?"""

    VERBATIM = "verbatim"
    SUPPORTED = "supported"
    PARTIAL = "partial"
    MISATTRIBUTED = "misattributed"
    CONTRADICTED = "contradicted"
    NOT_FOUND = "not found"
    NOT_AVAILABLE = "source not available"
    NOT_CHECKABLE = "not checkable"
    ERROR = "error"

    @property
    def holds(self) -> bool:
        """Whether the source says it."""
        return self in (Fidelity.VERBATIM, Fidelity.SUPPORTED)

    @property
    def fails(self) -> bool:
        """Whether the source says something else."""
        return self in (Fidelity.MISATTRIBUTED, Fidelity.CONTRADICTED)


OPEN: Final = frozenset({Fidelity.NOT_FOUND, Fidelity.PARTIAL})
"""Words after which more may be found: by a model that reads the sentence, or that points to a passage."""


class Agreement(StrEnum):
    """Does independent evidence agree?"""

    AGREES = "agrees"
    CONTESTED = "contested"
    DISAGREES = "disagrees"
    NONE = "none"

    @property
    def doubts(self) -> bool:
        """Whether some of it does not."""
        return self in (Agreement.CONTESTED, Agreement.DISAGREES)


class Stance(StrEnum):
    """What one piece of evidence does to a claim."""

    SUPPORTS = "supports"
    REFUTES = "refutes"
    EQUIVALENT = "equivalent"
    MIXED = "mixed"
    NEUTRAL = "neutral"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceTarget:
    """The exact place a piece of evidence is at.

    Attributes:
        kind: A passage, a table cell, or a study's row.
        document: File, or run folder.
        sha256: Of the file's bytes.
        work: Id of the work it is a text of.
        location: For a reader: "Table 5, row X, column Y", "line 12".
        start: First character in the document's text (passages).
        end: One past the last.
        table: Number of the table (cells).
        row: Row of the grid.
        column: Column of the grid.
        quote: The passage, the cell as printed, or the row of the answer.
        marked: The parts of the quote that match the claim, as characters [start, end) of the quote (passages).
        beside: The other cells of the row, as (column, text), for a reader; the cell itself is among them.
    """

    __pydantic_config__ = _STRICT

    kind: Literal["span", "cell", "run"]
    document: str
    sha256: str = ""
    work: str = ""
    location: str = ""
    start: int | None = None
    end: int | None = None
    table: int | None = None
    row: int | None = None
    column: int | None = None
    quote: str = ""
    marked: tuple[tuple[int, int], ...] = ()
    beside: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One piece of evidence.

    Attributes:
        backend: What found it.
        stance: What it does to the claim.
        why: In words, with the numbers.
        target: Where; None for a consistency check, which needs no document.
        fact: Index of the fact it is about; None for the whole statement.
        cited: Whether the claim's own source says it, rather than an independent one.
        score: Share of the statement's words found in order (passages); None elsewhere.
        mismatches: Conditions in which it differs from the claim.
        home: Where the value really stands, if it stands elsewhere.
    """

    __pydantic_config__ = _STRICT

    backend: Backend
    stance: Stance
    why: str
    target: EvidenceTarget | None = None
    fact: int | None = None
    cited: bool = True
    score: float | None = None
    mismatches: tuple[str, ...] = ()
    home: EvidenceTarget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Something a reader should know that decides nothing by itself."""

    __pydantic_config__ = _STRICT

    name: Literal[
        "citation year",
        "citation",
        "granularity",
        "precision",
        "setting",
        "hidden text",
        "read in part",
        "worth a look",
        "numbers do not add up",
    ]
    text: str


WORTH_A_LOOK: Final = ("worth a look", "numbers do not add up")
"""Names of the flags on what may be wrong and is not decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """How often this rule path was right on a named set, and nothing else.

    Attributes:
        calibration: Name of the set.
        items: Its size.
        bin: The rule path's items, and how many of those were right.
        right: See ``bin``.
        estimate: right / bin.
        low: Of Wilson's interval.
        high: Of Wilson's interval.
        ece: Expected calibration error over the set, each item predicted without itself.
    """

    __pydantic_config__ = _STRICT

    calibration: str
    items: int
    bin: int
    right: int
    estimate: float
    low: float
    high: float
    ece: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimVerdict:
    """What is known about one claim.

    Attributes:
        claim: Its id.
        fidelity: Does the cited source say it?
        agreement: Does independent evidence agree?
        rule_path: The rules that decided, in order.
        reasons: The same for a reader.
        evidence: Everything found, also what did not decide.
        flags: What a reader should know.
        certainty: GRADE's word for the body of evidence, with its downgrades; empty where there is none.
        confidence: None without a calibration set of at least 50 items.
        rules: Version of the rules.
    """

    __pydantic_config__ = _STRICT

    claim: str
    fidelity: Fidelity
    agreement: Agreement = Agreement.NONE
    rule_path: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    flags: tuple[Flag, ...] = ()
    certainty: str = ""
    downgrades: tuple[str, ...] = ()
    confidence: Confidence | None = None
    rules: str = RULES

    @property
    def words(self) -> str:
        """Return both axes and the flags in a few words."""
        parts = [self.fidelity.value]
        if self.agreement is not Agreement.NONE:
            parts.append(self.agreement.value)
        return ", ".join((*parts, *dict.fromkeys(flag.name for flag in self.flags)))

    @property
    def worth_a_look(self) -> tuple[Flag, ...]:
        """Return the flags on what may be wrong and is not decided."""
        return tuple(flag for flag in self.flags if flag.name in WORTH_A_LOOK)

    @property
    def homes(self) -> tuple[EvidenceTarget, ...]:
        """Return where misattributed values really stand, each place once."""
        return tuple(dict.fromkeys(item.home for item in self.evidence if item.home is not None))


def path_of(fidelity: Fidelity, rule_path: Sequence[str]) -> str:
    """Return the bin of a verdict: its fidelity and the rules that decided it."""
    return " > ".join((fidelity.value, *rule_path))


class CheckedClaim(NamedTuple):
    """A claim and what was found about it."""

    claim: Claim
    verdict: ClaimVerdict


_LINES: Final = RecordLines(ClaimVerdict, "What is known about a claim, one a line of verdicts.jsonl")
schema, dump, record, parse = _LINES.schema, _LINES.dump, _LINES.record, _LINES.read


def write(checked: Sequence[CheckedClaim], folder: Path) -> None:
    """Write ``claims.jsonl`` and ``verdicts.jsonl`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "claims.jsonl", claim_model.dump(claim for claim, _ in checked))
    write_atomic(folder / "verdicts.jsonl", dump(verdict for _, verdict in checked))
