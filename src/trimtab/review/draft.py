"""A review as plain data, before it is a page: what the panel reads, what a page is drawn from.

No number is typed in it: each sentence names the counts and claims its numbers come from, so that a check can follow
every one of them.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from trimtab.claims import claim_verdict
from trimtab.disk import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from trimtab.claims.claim_verdict import CheckedClaim
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
    counts: Mapping[str, int] = field(default_factory=dict)
    claims: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return it as plain values, a count as a pair."""
        return {"text": self.text, "counts": list(self.counts.items()), "claims": self.claims}


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
    checked: tuple[CheckedClaim, ...]
    near: tuple[CheckedClaim, ...]
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
    def every(self) -> tuple[CheckedClaim, ...]:
        """Every claim with its verdict, those of included works first."""
        return (*self.checked, *self.near)

    @property
    def claims(self) -> Mapping[str, CheckedClaim]:
        """Every claim by its id."""
        return {checked.claim.id: checked for checked in self.every}

    def sentences(self) -> tuple[TracedSentence, ...]:
        """Every sentence that states something."""
        return (*self.abstract, *self.method, *self.conflicts, *self.limits)

    def record(self) -> dict[str, Any]:
        """Return everything but the claims as plain values."""
        return {
            "question": self.question,
            "facets": self.facets,
            "abstract": [sentence.record() for sentence in self.abstract],
            "method": [sentence.record() for sentence in self.method],
            "answers": [asdict(answer) for answer in self.answers],
            "conflicts": [sentence.record() for sentence in self.conflicts],
            "limits": [sentence.record() for sentence in self.limits],
            "included": [claim.id for claim, _ in self.checked],
            "near": [claim.id for claim, _ in self.near],
            "references": [
                {"work": cited.work.record(), "version": cited.version, "claims": cited.claims}
                for cited in self.references
            ],
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
        claim_verdict.write(self.every, folder)
        write_json(folder / "review.json", self.record() | {"checks": dict(checks)})


def untraced(sentence: TracedSentence, claims: Mapping[str, CheckedClaim]) -> tuple[str, ...]:
    """Return the numbers of a sentence that neither a count nor a claim of it holds."""
    known = set(map(str, sentence.counts.values()))
    for name in sentence.claims:
        if name in claims:
            known |= set(map(_plain, NUMBER.findall(claims[name].claim.statement)))
    quoted = re.sub(r"\"[^\"]*\"|\barXiv:?\d[\w.]*|\d{4}-\d{2}(?:-\d{2})?", " ", sentence.text)
    return tuple(number for number in NUMBER.findall(quoted) if _plain(number) not in known)


def _plain(number: str) -> str:
    return number.replace(",", "").replace("\u2212", "-").lstrip("+")
