"""From figures to claims: each published number is one, and each difference between two arms measured side by side.

Two arms stand side by side when work, place, conditions, measure, benchmark and shots agree. Their difference is
computed here, never typed.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from itertools import combinations
from typing import TYPE_CHECKING

from trimtab.claims.claim_model import Claim, ClaimPlace, Fact, Kind, MeasurementSetting, Quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trimtab.claims.name_registry import Registry
    from trimtab.documents.parts import Document
    from trimtab.literature.published_figures import PublishedFigure

EXTRACTOR = "figures/1"


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
    about = [one for one in figures if _method(one.arm, registry) in methods]
    for one in about:
        place = ClaimPlace(document=document.path, sha256=document.sha256, location=one.place)
        yield Claim(
            id=f"{one.work}#{one.line}",
            statement=one.sentence,
            kind=Kind.NUMERIC,
            facts=(_fact(one, one.value),),
            cites=(one.work,),
            asserted_in=place,
            extractor=EXTRACTOR,
        )
    for one, other in _pairs(about, registry):
        yield _difference(one, other, document)


def _method(arm: str, registry: Registry) -> str:
    found = registry.find(arm, ("methods",))
    return found[0].id if found else ""


def _fact(one: PublishedFigure, value: str) -> Fact:
    unit = "%" if one.unit == "%" else ""
    return Fact(
        subject=one.subject,
        benchmark=one.benchmark,
        metric=one.measure,
        setting=MeasurementSetting(shots=one.shots),
        value=Quantity(text=value, unit=unit),
    )


def _pairs(figures: Sequence[PublishedFigure], registry: Registry) -> Iterator[tuple[PublishedFigure, PublishedFigure]]:
    """Yield arms of different methods that were measured side by side."""
    beside: Mapping[tuple[object, ...], list[PublishedFigure]] = defaultdict(list)
    for one in figures:
        beside[one.place, one.caption, one.conditions, one.column].append(one)
    for held in beside.values():
        for one, other in combinations(held, 2):
            first, second = _method(one.arm, registry), _method(other.arm, registry)
            if first != second:
                # The method that steers without a loss comes first, as in the question.
                yield (one, other) if first == "loss_free" else (other, one)


def _difference(one: PublishedFigure, other: PublishedFigure, document: Document) -> Claim:
    by = Decimal(one.value) - Decimal(other.value)
    relation = "greater" if by > 0 else "less" if by < 0 else "same"
    word = {"greater": "higher", "less": "lower", "same": "the same"}[relation]
    unit = "points" if one.unit == "%" else one.unit
    size = f" by {abs(by)}{f' {unit}' if unit else ''}" if by else ""
    on = f" on {one.benchmark}" if one.benchmark else ""
    shots = f", {one.shots}-shot" if one.shots is not None else ""
    statement = (
        f"{one.arm} against {other.arm} ({one.conditions}): {one.measure}{on}{shots} is {word}{size},"
        f" {one.value} against {other.value} ({one.source})."
    )
    fact = Fact(
        subject=one.subject,
        relation="greater" if by > 0 else "less" if by < 0 else "same",
        benchmark=one.benchmark,
        metric=one.measure,
        setting=MeasurementSetting(shots=one.shots),
        value=Quantity(text=str(abs(by)), unit="points" if one.unit == "%" else "") if by else None,
        comparator=other.subject,
    )
    return Claim(
        id=f"{one.work}#{one.line}-{other.line}",
        statement=statement,
        kind=Kind.COMPARISON,
        facts=(fact,),
        cites=(one.work,),
        asserted_in=ClaimPlace(document=document.path, sha256=document.sha256, location=one.place),
        extractor=EXTRACTOR,
    )
