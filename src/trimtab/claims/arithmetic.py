"""Whether two printed numbers are the same at the precision of the coarser one, and which values a score can have."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trimtab.claims.claim_model import Hedge, Quantity

Sameness = Literal["equal", "truncated", "finer", "near", "different"]
_EXACT = 10_000


def places(value: Decimal) -> int:
    """Return the digits after the point."""
    return max(0, -int(value.as_tuple().exponent))


def rounded(value: Decimal, decimals: int) -> set[Decimal]:
    """Return ``value`` at ``decimals`` digits, rounded either way when it lies halfway."""
    unit = Decimal(1).scaleb(-decimals)
    return {value.quantize(unit, ROUND_HALF_UP), value.quantize(unit, ROUND_HALF_EVEN)}


def same(  # noqa: PLR0911 - one return a word
    claimed: Decimal, decimals: int, found: Decimal, hedge: Hedge = "exactly"
) -> Sameness:
    """Compare a claim with a cell at the claim's own precision.

    Returns:
        "equal"; "truncated": the claim cut digits off instead of rounding; "finer": the claim has digits the cell has
        not, and they agree as far as the cell goes; "near": the claim says "about" and the cell is within a tenth of
        it, or it says "at least" and the cell is that only when rounded; "different".

    >>> same(Decimal("96"), 0, Decimal("96.2")), same(Decimal("96.23"), 2, Decimal("96.2"))
    ('equal', 'finer')
    """
    if hedge in ("over", "under"):
        return "equal" if (found > claimed if hedge == "over" else found < claimed) else "different"
    if hedge in ("at least", "at most") and found != claimed:
        beyond = found > claimed if hedge == "at least" else found < claimed
        return "equal" if beyond else "near" if claimed in rounded(found, decimals) else "different"
    if claimed == found or claimed in rounded(found, decimals):
        return "equal"
    if hedge == "about" and abs(claimed - found) <= Decimal(1).scaleb(-decimals):
        return "equal"
    if hedge == "about" and abs(claimed - found) * 10 <= abs(found):
        return "near"
    if places(found) > decimals and found.quantize(Decimal(1).scaleb(-decimals), ROUND_DOWN) == claimed:
        return "truncated"
    if places(found) < decimals and found in rounded(claimed, places(found)):
        return "finer"
    return "different"


def scales(quantity: Quantity, found: Decimal, unit: str) -> tuple[Decimal, ...]:
    """Return a cell's number as it may be meant: a share of one can be told in per cent, and the other way round.

    >>> from trimtab.claims.claim_model import Quantity
    >>> scales(Quantity(text="72.0"), Decimal("0.72"), ""), scales(Quantity(text="0.72"), Decimal("72.0"), "")
    ((Decimal('72.00'), Decimal('0.72')), (Decimal('0.72'), Decimal('72.0')))
    """
    large = quantity.unit in ("%", "points") or quantity.value.copy_abs() > 1
    if large and quantity.unit != "x" and unit != "%" and found.copy_abs() <= 1 and places(found) >= 2:
        return found * 100, found
    if not quantity.unit and quantity.value.copy_abs() <= 1 < found.copy_abs() <= 100 and quantity.decimals >= 2:
        return found / 100, found
    return (found,)


def attainable(score: Decimal, decimals: int, counts: Iterable[int]) -> dict[int, bool]:
    """Return N → whether ``score`` per cent is k / N for a whole k, rounded or cut off to ``decimals`` digits.

    The granularity test of Brown & Heathers (GRIM, 2016) for greedy pass@1.

    >>> attainable(Decimal("96.2"), 1, (164,)), attainable(Decimal("76.2"), 1, (164,))
    ({164: False}, {164: True})
    """
    return {count: _whole(score, decimals, count) for count in counts}


def _whole(score: Decimal, decimals: int, count: int) -> bool:
    if count >= _EXACT or count >= 100 * 10**decimals:
        return True
    near = int(score * count / 100)
    for k in range(max(0, near - 1), min(count, near + 2) + 1):
        exact = Decimal(100 * k) / count
        cut = exact.quantize(Decimal(1).scaleb(-decimals), ROUND_DOWN)
        if score in rounded(exact, decimals) | {cut}:
            return True
    return False
