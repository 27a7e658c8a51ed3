"""A review as plain data, before it is a page: what the panel reads, what a page is drawn from.

No number is typed in it: each sentence names the counts and claims its numbers come from, so that a check can follow
every one of them.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from trimtab.claims import claim_model, claim_verdict
from trimtab.disk import write_atomic, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from trimtab.claims.claim_model import Claim
    from trimtab.claims.claim_verdict import ClaimVerdict
    from trimtab.documents.work import Work
    from trimtab.literature.prisma import Flow
    from trimtab.review.answer_matrix import MatrixCell

NUMBER: Final = re.compile(r"(?<![\w.])[-\u2212+]?\d+(?:,\d{3})*(?:\.\d+)?(?![\w]*-shot)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedSentence:
    """A sentence and where its numbers come from.

    Attributes:
        text: The sentence.
        counts: Name and value of each count in it.
        claims: Ids of the claims it tells.
    """

    text: str
    counts: tuple[tuple[str, int], ...] = ()
    claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixAnswer:
    """One cell of the answer, with what comes nearest to it.

    Attributes:
        cell: Literature, study, both.
        near: Claims about the same method and benchmark without the stress.
        elsewhere: Claims about the same method under the stress, not on the benchmark.
    """

    cell: MatrixCell
    near: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedWork:
    """A work the review rests on, the version that was read, and the claims read in it."""

    work: Work
    version: str
    claims: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A review.

    Attributes:
        question: As asked.
        facets: What a work had to use.
        abstract: What was done and found.
        answers: One for each combination asked about.
        checked: Claims of works that are included, with their verdicts.
        near: Claims of works that were read and are not about all of the question.
        conflicts: What contradicts what.
        limits: What this review cannot tell.
        references: Works.
        flow: The counts.
        method: How it was searched, in sentences.
        hidden: Documents in which text was hidden, with what it was.
        possible: Works that may be the same.
        study: The study that was joined; empty without one.
        spoken: Id of a method, stressor or benchmark → its usual name.
        unkept: Requests without a kept answer.
    """

    question: str
    facets: tuple[str, ...]
    abstract: tuple[TracedSentence, ...]
    answers: tuple[MatrixAnswer, ...]
    checked: tuple[tuple[Claim, ClaimVerdict], ...]
    near: tuple[tuple[Claim, ClaimVerdict], ...]
    conflicts: tuple[TracedSentence, ...]
    limits: tuple[TracedSentence, ...]
    references: tuple[CitedWork, ...]
    flow: Flow
    method: tuple[TracedSentence, ...]
    hidden: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()
    study: str = ""
    spoken: Mapping[str, str] = field(default_factory=dict)
    unkept: tuple[str, ...] = ()

    @property
    def claims(self) -> Mapping[str, tuple[Claim, ClaimVerdict]]:
        """Every claim by its id."""
        return {claim.id: (claim, verdict) for claim, verdict in (*self.checked, *self.near)}

    def sentences(self) -> tuple[TracedSentence, ...]:
        """Every sentence that states something."""
        return (*self.abstract, *self.method, *self.conflicts, *self.limits)

    def record(self) -> dict[str, Any]:
        """Return everything but the claims as plain values."""
        listed = {
            name: [asdict(one) for one in getattr(self, name)]
            for name in ("abstract", "method", "answers", "conflicts", "limits")
        }
        references = [
            {"work": one.work.record(), "version": one.version, "claims": one.claims} for one in self.references
        ]
        return {
            "question": self.question,
            "facets": self.facets,
            **listed,
            "included": [claim.id for claim, _ in self.checked],
            "near": [claim.id for claim, _ in self.near],
            "references": references,
            "flow": self.flow.record(),
            "hidden": self.hidden,
            "possible": self.possible,
            "study": self.study,
        }

    def write(self, folder: Path, checks: Mapping[str, Sequence[str]]) -> None:
        """Write ``claims.jsonl``, ``verdicts.jsonl`` and ``review.json``, for programs that read no pages.

        Args:
            folder: Of the search.
            checks: What was checked of the review → where it fails.
        """
        every = (*self.checked, *self.near)
        write_atomic(folder / "claims.jsonl", claim_model.dump(claim for claim, _ in every))
        write_atomic(folder / "verdicts.jsonl", claim_verdict.dump(verdict for _, verdict in every))
        write_json(folder / "review.json", self.record() | {"checks": dict(checks)})


def untraced(said: TracedSentence, claims: Mapping[str, tuple[Claim, ClaimVerdict]]) -> tuple[str, ...]:
    """Return the numbers of a sentence that neither a count nor a claim of it holds."""
    known = {str(value) for _, value in said.counts}
    for name in said.claims:
        if name in claims:
            known |= set(map(_plain, NUMBER.findall(claims[name][0].statement)))
    quoted = re.sub(r"\"[^\"]*\"|\barXiv:?\d[\w.]*|\d{4}-\d{2}(?:-\d{2})?", " ", said.text)
    return tuple(number for number in NUMBER.findall(quoted) if _plain(number) not in known)


def _plain(number: str) -> str:
    return number.replace(",", "").replace("\u2212", "-").lstrip("+")
