"""Numbers of one sentence that do not add up among themselves, whatever any table says.

Read are changes and pairs ("from 62.2 to 71.3", "62.2 vs. 71.3", "62.2 → 71.3") with the difference, ratio or
percent change stated beside them, and the direction of the words around them; and counts with their share ("45 of 60
(75 %)"). Every number may be rounded, so a stated size counts as wrong only outside the whole range that its operands
leave open.
"""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import product
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

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
_TURN: Final = re.compile(
    r"\b(?:(?P<up>increas(?:es|ed|ing)|rais(?:es|ed|ing)|ris(?:es|ing)|rose|grows|grew|climbs|climbed)"
    r"|(?P<down>decreas(?:es|ed|ing)|drops|dropped|reduc(?:es|ed|ing)|falls|fell|declines|declined|lowers|shrinks|collapses))"
    rf"(?:\s+(?!as\b|rang|when\b|across\b|over\b)[^\s.;:,\d]+){{0,5}}?\s+{_CHANGE}(?!\s+[a-z])",
    re.IGNORECASE,
)
_MORE: Final = re.compile(
    rf"\b(?:(?P<up>higher|larger|greater|more)|(?P<down>lower|smaller|less|fewer))\b[^.;:()\d]{{0,60}}?\bthan\b[^.;:()\d]{{0,60}}?\(\s*{_PAIR}",
    re.IGNORECASE,
)
_DENIED: Final = re.compile(r"\b(?:not|no|never|without|instead of|rather than)\b|n['\u2019]t\b", re.IGNORECASE)


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
    corners = [
        (one, other)
        for one, other in product(
            *(
                (_value(text) - _step(text) / 2, _value(text), _value(text) + _step(text) / 2)
                for text in (first, second)
            )
        )
        if one > 0 and other > 0
    ]
    slack, stated = _step(size), _value(size)
    ways = [
        [abs(one - other) for one, other in corners],
        [100 * abs(one - other) for one, other in corners],
        [100 * abs(one - other) / one for one, other in corners],
        [100 * abs(one - other) / other for one, other in corners],
        [one / other for one, other in corners],
        [other / one for one, other in corners],
    ]
    return not corners or any(min(way) - slack < stated < max(way) + slack for way in ways)
