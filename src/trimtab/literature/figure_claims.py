"""Published figures and their claims: each number is one, and each difference between two arms measured side by side.

Two arms stand side by side when work, place, conditions, measure, benchmark and shots agree. Their difference is
computed here, never typed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from itertools import combinations
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator

from trimtab.claims.claim_model import Claim, ClaimPlace, Fact, Kind, MeasurementSetting, Quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.claims.name_registry import Registry
    from trimtab.documents.parts import Document

EXTRACTOR = "figures/1"


def _digits(value: object) -> str:
    try:
        if isinstance(value, str) and Decimal(value).is_finite():
            return value
    except InvalidOperation:
        pass
    raise ValueError("expected digits as printed, in quotes")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFigure:
    """One published number, as a line of a corpus says it; ``cited`` is what its work is called."""

    line: int
    work: str
    place: str
    caption: str = ""
    arm: str
    conditions: str
    measure: str
    value: Annotated[str, BeforeValidator(_digits)]
    unit: str = ""
    benchmark: str = ""
    shots: int | None = None
    cited: str = ""

    @property
    def subject(self) -> str:
        """What was measured, as it stands at the head of its row."""
        return f"{self.arm} ({self.conditions})" if self.conditions else self.arm

    @property
    def column(self) -> tuple[str, ...]:
        """The head of its column."""
        shots = "" if self.shots is None else f"{self.shots}-shot"
        return tuple(filter(None, (self.benchmark, self.measure, shots)))

    @property
    def measured(self) -> str:
        """What the number is, in words."""
        on = f" on {self.benchmark}" if self.benchmark else ""
        shots = f", {self.shots}-shot" if self.shots is not None else ""
        return f"{self.measure}{on}{shots}"

    @property
    def source(self) -> str:
        """Work and place, for a reader."""
        return ", ".join(filter(None, (self.cited, self.place)))

    @property
    def sentence(self) -> str:
        """The number in words."""
        unit = self.unit if self.unit == "%" else f" {self.unit}" if self.unit else ""
        return f"{self.subject}: {self.measured} is {self.value}{unit} ({self.source})."

    def claim(self, document: Document) -> Claim:
        """Return the claim that the number is as printed in the work's document."""
        return Claim(
            id=f"{self.work}#{self.line}",
            statement=self.sentence,
            kind=Kind.NUMERIC,
            facts=(
                Fact(
                    subject=self.subject,
                    benchmark=self.benchmark,
                    metric=self.measure,
                    setting=MeasurementSetting(shots=self.shots),
                    value=Quantity(text=self.value, unit="%" if self.unit == "%" else ""),
                ),
            ),
            cites=(self.work,),
            asserted_in=ClaimPlace(document=document.path, sha256=document.sha256, location=self.place),
            extractor=EXTRACTOR,
        )


def claims(
    figures: Sequence[PublishedFigure], document: Document, registry: Registry, methods: Sequence[str]
) -> Iterator[Claim]:  # fmt: skip
    """Yield the claims that a work's figures make about some methods.

    Args:
        figures: Of one work.
        document: That work's document.
        registry: Known names.
        methods: Ids of the methods that were asked about; a figure of another arm is no claim.
    """
    about = [figure for figure in figures if _method(figure.arm, registry) in methods]
    yield from (figure.claim(document) for figure in about)
    beside: dict[tuple[object, ...], list[PublishedFigure]] = defaultdict(list)
    for figure in about:
        beside[figure.place, figure.caption, figure.conditions, figure.column].append(figure)
    for group in beside.values():
        for figure, other in combinations(group, 2):
            first, second = _method(figure.arm, registry), _method(other.arm, registry)
            if first != second:
                # The method that steers without a loss comes first, as in the question.
                yield _difference(*((figure, other) if first == "loss_free" else (other, figure)), document)


def _method(arm: str, registry: Registry) -> str:
    named = registry.find(arm, ("methods",))
    return named[0].id if named else ""


def _difference(figure: PublishedFigure, other: PublishedFigure, document: Document) -> Claim:
    by = Decimal(figure.value) - Decimal(other.value)
    word = "higher" if by > 0 else "lower" if by < 0 else "the same"
    unit = "points" if figure.unit == "%" else figure.unit
    size = f" by {abs(by)}{f' {unit}' if unit else ''}" if by else ""
    alone = figure.claim(document)
    fact = replace(
        alone.facts[0],
        relation="greater" if by > 0 else "less" if by < 0 else "same",
        value=Quantity(text=str(abs(by)), unit="points" if figure.unit == "%" else "") if by else None,
        comparator=other.subject,
    )
    return replace(
        alone,
        id=f"{alone.id}-{other.line}",
        statement=f"{figure.arm} against {other.arm} ({figure.conditions}): {figure.measured} is {word}{size},"
        f" {figure.value} against {other.value} ({figure.source}).",
        kind=Kind.COMPARISON,
        facts=(fact,),
    )
