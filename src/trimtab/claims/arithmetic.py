"""Whether two printed numbers are the same at the precision of the coarser one, and which values a score can have.

A benchmark has several published sizes, and a value is flagged only when none of them fits, so that test is weak where
one of them is large: at one decimal, of 974 problems almost every value can be had. It never refutes.

Numbers of one sentence may not add up among themselves, whatever any table says. Read are changes and pairs ("from 62.2
to 71.3", "62.2 vs. 71.3", "62.2 → 71.3") with the difference, ratio or percent change stated beside them, and the
direction of the words around them; and counts with their share ("45 of 60 (75 %)"). Every number may be rounded, so a
stated size counts as wrong only outside the whole range that its operands leave open.
"""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from itertools import product
from typing import TYPE_CHECKING, Final, Literal, get_args

from trimtab.claims.name_registry import Registry
from trimtab.claims.wording import any_case, key
from trimtab.codeeval.benchmark_registry import counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trimtab.claims.claim_model import Fact, Hedge, Quantity

Sameness = Literal["equal", "truncated", "finer", "near", "different"]
_EXACT: Final = 10_000
_NEVER_REPORTED: Final = ("prompt", "train", "validation")
_REGISTRY: Final = Registry.load()
_NUMBER: Final = r"[$\u20ac]?(?<![\w.,])(?P<{}>\d+(?:,\d{{3}})*(?:\.\d+)?)(?![\w.,]*\d)"
_UNIT: Final = r"\s?(?:%|percent|points?|pp|s|ms|GB|x|\u00d7)?(?![\w])"
_NOTE: Final = r"(?:\s*\([^()]*\)|\s(?:at|with|in|for|on)\s[^,;:()]{1,30}?)?"
_SIZE: Final = (
    _NUMBER.format("size")
    + r"[\s-]?(?P<unit>%|percent(?:age)?[\s-]points?|percent|points?|pts?|pp|x\b|\u00d7|times|fold)"
)
_CHANGE: Final = (
    rf"\bfrom\s+(?:about\s+)?{_NUMBER.format('first')}{_UNIT}{_NOTE}\s+to\s+(?:about\s+|only\s+)?"
    rf"{_NUMBER.format('second')}{_UNIT}"
)
_PAIR: Final = (
    rf"(?:{_CHANGE}|{_NUMBER.format('left')}{_UNIT}{_NOTE}\s*"
    r"(?:(?:vs\.?|versus|compared (?:to|with)|against)\s+|(?:\u2192|->)\s*)"
    rf"{_NUMBER.format('right')}{_UNIT})"
)
_SIGN: Final = r"(?:[+\u2212-]|\u0394\s*=?\s*[+\u2212-]?|~|\u2248)?"
_BEHIND: Final = re.compile(
    rf"{_PAIR}{_NOTE}\s*(?:[,;:(\u2013\u2014-]+\s*(?:i\.e\.,?\s*|that is,?\s*)?(?:an?\s+|by\s+)?"
    rf"(?:absolute\s+|relative\s+)?{_SIGN}|\s+by\s+(?:an?\s+)?){_SIZE}"
)
_BEFORE: Final = re.compile(rf"\bby\s+(?:an?\s+)?{_SIZE}(?!\s+(?:as|when)\b)[^.;:\d()]{{0,40}}?\(?\s*{_PAIR}")
_SHARE: Final = re.compile(
    rf"{_NUMBER.format('part')}\s*(?:of|out of|/)\s*(?:the\s+|all\s+)?{_NUMBER.format('whole')}"
    rf"(?:\s+[a-z][\w-]*){{0,3}}\s*[(,=]+\s*(?:or\s+|i\.e\.,?\s*)?{_NUMBER.format('size')}\s?%"
)
_TURN: Final = any_case(
    r"\b(?:(?P<up>increas(?:es|ed|ing)|rais(?:es|ed|ing)|ris(?:es|ing)|rose|grows|grew|climbs|climbed)"
    r"|(?P<down>decreas(?:es|ed|ing)|drops|dropped|reduc(?:es|ed|ing)|falls|fell|declines|declined|lowers|shrinks|collapses))"
    rf"(?:\s+(?!as\b|rang|when\b|across\b|over\b)[^\s.;:,\d]+){{0,5}}?\s+{_CHANGE}(?!\s+[a-z])"
)
_MORE: Final = any_case(
    rf"\b(?:(?P<up>higher|larger|greater|more)|(?P<down>lower|smaller|less|fewer))\b[^.;:()\d]{{0,60}}?\bthan\b[^.;:()\d]{{0,60}}?\(\s*{_PAIR}"
)
_DENIED: Final = any_case(r"\b(?:not|no|never|without|instead of|rather than)\b|n['\u2019]t\b")


def places(value: Decimal) -> int:
    """Return the digits after the point."""
    return max(0, -int(value.as_tuple().exponent))


def rounded(value: Decimal, decimals: int) -> set[Decimal]:
    """Return ``value`` at ``decimals`` digits, rounded either way when it lies halfway."""
    unit = Decimal(1).scaleb(-decimals)
    return {value.quantize(unit, ROUND_HALF_UP), value.quantize(unit, ROUND_HALF_EVEN)}


def same(  # noqa: PLR0911 - one return a word
    claimed: Decimal, decimals: int, printed: Decimal, hedge: Hedge = "exactly"
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
        return "equal" if (printed > claimed if hedge == "over" else printed < claimed) else "different"
    if hedge in ("at least", "at most") and printed != claimed:
        beyond = printed > claimed if hedge == "at least" else printed < claimed
        return "equal" if beyond else "near" if claimed in rounded(printed, decimals) else "different"
    if claimed == printed or claimed in rounded(printed, decimals):
        return "equal"
    if hedge == "about" and abs(claimed - printed) <= Decimal(1).scaleb(-decimals):
        return "equal"
    if hedge == "about" and abs(claimed - printed) * 10 <= abs(printed):
        return "near"
    if places(printed) > decimals and printed.quantize(Decimal(1).scaleb(-decimals), ROUND_DOWN) == claimed:
        return "truncated"
    if places(printed) < decimals and printed in rounded(claimed, places(printed)):
        return "finer"
    return "different"


def nearest(quantity: Quantity, numbers: Iterable[Decimal], hedge: Hedge) -> Sameness:
    """Return how a quantity agrees with that of some numbers with which it agrees most."""
    ways = (same(quantity.value, quantity.decimals, number, hedge) for number in numbers)
    return min(ways, key=get_args(Sameness).index)


def scales(quantity: Quantity, printed: Decimal, unit: str) -> tuple[Decimal, ...]:
    """Return a cell's number as it may be meant: a share of one can be told in per cent, and the other way round.

    >>> from trimtab.claims.claim_model import Quantity
    >>> scales(Quantity(text="72.0"), Decimal("0.72"), ""), scales(Quantity(text="0.72"), Decimal("72.0"), "")
    ((Decimal('72.00'), Decimal('0.72')), (Decimal('0.72'), Decimal('72.0')))
    """
    large = quantity.unit in ("%", "points") or quantity.value.copy_abs() > 1
    if large and quantity.unit != "x" and unit != "%" and printed.copy_abs() <= 1 and places(printed) >= 2:
        return printed * 100, printed
    if not quantity.unit and quantity.value.copy_abs() <= 1 < printed.copy_abs() <= 100 and quantity.decimals >= 2:
        return printed / 100, printed
    return (printed,)


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


def _counts() -> dict[str, tuple[int, ...]]:
    """Return the sizes of the sets that scores are reported on, by id of the registry of names."""
    sizes: dict[str, set[int]] = {}
    for (family, split), count in counts().items():
        benchmark = _REGISTRY.id_of(family, "benchmarks")
        if benchmark and not split.endswith(_NEVER_REPORTED):
            sizes.setdefault(benchmark, set()).add(count)
    return {benchmark: tuple(sorted(of_it)) for benchmark, of_it in sizes.items()}


COUNTS: Final = _counts()


def unattainable(fact: Fact) -> str:
    """Return why no known number of problems gives the value of a fact; empty if one does, or none is known."""
    setting, value = fact.setting, fact.value
    benchmark = _REGISTRY.id_of(fact.benchmark, "benchmarks")
    scored = (
        setting.k in (None, 1)
        and setting.decoding != "sampled"
        and fact.relation == "equals"
        and fact.hedge == "exactly"
    )
    if value is None or not scored or benchmark not in COUNTS or not value.decimals or not 0 <= value.value <= 100:
        return ""
    if fact.metric and not key(fact.metric).startswith("pass"):
        return ""
    known = (setting.problems,) if setting.problems else COUNTS[benchmark]
    if any(attainable(value.value, value.decimals, known).values()):
        return ""
    sizes = " or ".join(f"k/{count}" for count in known)
    return (
        f"{value.text} on {fact.benchmark} is not {sizes} for any whole k, so it is no greedy pass@1 of that benchmark"
    )


def contradictions(text: str) -> Iterator[str]:
    """Yield in words what does not add up in a sentence."""
    for match in (*_BEHIND.finditer(text), *_BEFORE.finditer(text)):
        first, second = _pair(match)
        if not _explains(first, second, match["size"]):
            gap = abs(_value(second) - _value(first))
            yield f"{match[0]!r}: between {first} and {second} lie {gap}, not {match['size']}"
    for match in _SHARE.finditer(text):
        part, whole, size = match["part"], match["whole"], match["size"]
        if _value(whole) and part.isdigit() and whole.isdigit() and _value(part) <= _value(whole):
            share = 100 * _value(part) / _value(whole)
            if abs(share - _value(size)) >= _step(size):
                yield f"{match[0]!r}: {part} of {whole} are {share:.2f} %, not {size}"
    for match in (*_TURN.finditer(text), *_MORE.finditer(text)):
        start, end = map(_value, _pair(match))
        rises = end > start if match.re is _TURN else start > end
        if start != end and rises != bool(match["up"]) and not _DENIED.search(text[: match.end()]):
            yield f"{match[0]!r}: the numbers go the other way"


def _pair(match: re.Match[str]) -> tuple[str, str]:
    names = match.groupdict()
    return (names["first"], names["second"]) if names["first"] else (names["left"], names["right"])


def _value(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def _step(text: str) -> Decimal:
    """Return one unit of a number's last digit."""
    return Decimal(1).scaleb(int(_value(text).as_tuple().exponent))


def _explains(first: str, second: str, size: str) -> bool:
    """Whether a size is the difference, the ratio or the percent change of two numbers, all of them rounded."""
    ranges = (
        (_value(text) - _step(text) / 2, _value(text), _value(text) + _step(text) / 2) for text in (first, second)
    )
    corners = [(start, end) for start, end in product(*ranges) if start > 0 and end > 0]
    slack, stated = _step(size), _value(size)
    ways = [
        [abs(start - end) for start, end in corners],
        [100 * abs(start - end) for start, end in corners],
        [100 * abs(start - end) / start for start, end in corners],
        [100 * abs(start - end) / end for start, end in corners],
        [start / end for start, end in corners],
        [end / start for start, end in corners],
    ]
    return not corners or any(min(way) - slack < stated < max(way) + slack for way in ways)
