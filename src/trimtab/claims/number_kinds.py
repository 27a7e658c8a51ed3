"""What each number of a sentence is: a measured value, or a date, a version, a count, a reference … that is no result.

A number that is none of these is *unread*: whoever decides about its sentence has to know that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from trimtab.claims import settings
from trimtab.claims.claim_model import Hedge, Quantity
from trimtab.claims.mentions import MARKS

if TYPE_CHECKING:
    from collections.abc import Iterable

NumberKind = Literal[
    "value", "date", "year", "version", "count", "size", "reference", "parameter", "rank", "setting", "mark", "unread"
]

_MONTH: Final = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_YEAR: Final = r"(?:19|20)\d\d"
_THINGS_WORDS: Final = """
GPUs? TPUs? CPUs? H[12]00s? A100s? V100s? cores? nodes? machines? layers? experts? epochs? steps? iterations? hours?
days? weeks? months? years? minutes? seconds? seeds? runs? trials? samples? examples? questions? instances? tokens?
languages? papers? authors? images? heads? params parameters? benchmarks? datasets? tasks? models? categories problems?
people users? participants? annotators? characters words pages? files? lines repositories repos GB TB MB GiB contexts?
attempts? tries candidates? generations? prompts? rounds? turns? domains? subjects? stages? blocks? workers? threads?
"""
_THINGS: Final = "|".join(_THINGS_WORDS.split())
_SUCH: Final = (
    r"(?:(?:popular|different|diverse|public|standard|challenging|common|major|well-known|downstream|various|other)\s)?"
)
_NUMBER: Final = r"\d[\d,]*(?:\.\d+)?"
_WITH: Final = (
    r"(?:\b(?:with|on|using|over|across|after|in|for|from|by|of)\s+(?:the\s+)?(?:about\s+|only\s+|just\s+)?)?"
)
_KINDS: Final[tuple[tuple[NumberKind, re.Pattern[str]], ...]] = (
    (
        "date",
        re.compile(
            rf"[\[(]?(?<![\d.]){_YEAR}[./-](?:0[1-9]|1[0-2])(?:[./-]\d{{1,2}})?(?!\d)[\])]?"
            rf"|\(?\b{_MONTH}(?:\s+\d{{1,2}}(?:st|nd|rd|th)?,?)?\s+{_YEAR}\b\)?"
            rf"|[\[(]?(?<![\d.])\d{{1,2}}[./-]\d{{1,2}}[./-]{_YEAR}(?!\d)[\])]?"
            rf"|\b\d{{1,2}}(?:st|nd|rd|th)?\s+{_MONTH}(?:\s+{_YEAR})?(?!\w)|\bQ[1-4]\s+{_YEAR}\b"
        ),
    ),
    ("mark", re.compile(r"(?:^|[;:.,]\s+|\band\s+)\(?\d{1,2}\)(?=\s+[A-Za-z])")),  # "(2) On code …" of a list
    ("parameter", re.compile(r"(?:\u00b1|\+/-)\s*\d+(?:\.\d+)?\s?%?")),  # how far a value scatters
    ("parameter", re.compile(r"\btop-\d+(?:\s+(?:routing|gating|experts?|selection|sampling))?\b", re.IGNORECASE)),
    ("rank", re.compile(r"(?<!\w)(?:#|No\.\s?)\d+\b|\b\d+(?:st|nd|rd|th)\b|\btop\s+\d+\b", re.IGNORECASE)),
    (
        "reference",
        re.compile(
            r"(?:\b(?:see\s+|in\s+)?(?:tables?|tabs?\.|figures?|figs?\.?|sections?|sec\.|equations?|eqs?\.|appendi(?:x|ces)"
            r"|chapters?|rows?|columns?|lines?|pages?|pp?\.|footnotes?|listings?|algorithms?|theorems?|issues?)\s*|\u00a7\s*)"
            r"(?:[A-Z]\.?)?\d+(?:\.\d+)*[a-z]?\b(?:\s*(?:[-\u2013,&]|and|to)\s*\d+(?:\.\d+)*\b(?!\s*[%\d]))*",
            re.IGNORECASE,
        ),
    ),
    (
        "parameter",
        re.compile(
            r"(?:\b(?:at|with|using)\s+(?:a\s+)?)?\b(?:temperature|temp|top[-_ ]?[pk]|seed|beam(?:\s+size)?"
            r"|learning rate|lr"
            r"|batch size|context(?:\s+(?:length|window))?|capacity factor|max(?:imum)?[-_ ](?:new[-_ ])?tokens"
            r"|alpha|beta"
            r"|gamma|lambda|epsilon|tau)\s*(?:=|of|:|is)?\s*\d+(?:\.\d+)?(?:e-?\d+)?|\b[A-Za-z]\w*\s?=\s?\d+(?:\.\d+)?",
            re.IGNORECASE,
        ),
    ),
    (
        "version",
        re.compile(
            r"\b[vV]\d+(?:\.\d+)*\b|\b(?:[Vv]ersions?|Python|CUDA|PyTorch|Java|GCC|Ubuntu|C\+\+)\s+v?\d+(?:\.\d+)*\b"
        ),
    ),
    (
        "size",
        re.compile(
            rf"{_WITH}(?<![\w.]){_NUMBER}\s?-?(?:[BMKT]|billion|million|trillion|thousand)"
            r"(?:[- ](?:parameters?|params?|tokens?|weights|words|examples?|samples?|activated|active|total"
            r"|context))*(?!\w)"
        ),
    ),
    (
        "count",
        re.compile(
            rf"{_WITH}(?<![\w.]){_NUMBER}[\s-]?(?:[x\u00d7]\s?)?(?:NVIDIA\s|AMD\s)?(?:[A-Z]{{1,3}}\d{{2,4}}\S*\s)?{_SUCH}(?:{_THINGS})(?!\w)"
        ),
    ),
)
_BARE_YEAR: Final = re.compile(
    rf"(?<![\w.$\u20ac,])(?:(?:in|since|of|from|until)\s+)?{_YEAR}(?![\w%]|[.,]\d|\s?points?\b)"
)
_VALUE: Final = re.compile(
    r"(?<![\w.@#/])(?<![A-Za-z]-)(?P<digits>[-+\u2212]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[-+\u2212]?\d+(?:\.\d+)?)"
    r"(?:[\s-]?(?P<unit>%|percent(?:age)?[\s-]points?\b|percent\b|per cent\b|points?\b|pts?\b\.?|pp\b"
    r"|nats(?:/token| a token)?\b|bits(?:/byte| a byte)?\b|\u00d7|x\b|times\b))?(?P<tail>[-\w]?)"
)
_DIGITS: Final = re.compile(r"\d+(?:[.,]\d+)*")
_HEDGES: Final[tuple[tuple[Hedge, re.Pattern[str]], ...]] = (
    ("about", re.compile(r"(?:about|around|nearly|roughly|approximately|almost|some|~|\u2248)\s*$", re.IGNORECASE)),
    ("at least", re.compile(r"(?:at least|no less than|\u2265)\s*$", re.IGNORECASE)),
    ("at most", re.compile(r"(?:at most|no more than|\u2264)\s*$", re.IGNORECASE)),
    (
        "over",
        re.compile(
            r"(?:over|above|more than|exceed(?:s|ing|ed)?|surpass(?:es|ing|ed)?|higher than|>)\s*$", re.IGNORECASE
        ),
    ),
    ("under", re.compile(r"(?:under|below|less than|fewer than|lower than|<)\s*$", re.IGNORECASE)),
)
_UNITS: Final = {
    "percentage": "points",
    "percent": "%",
    "per cent": "%",
    "point": "points",
    "pp": "points",
    "pt": "points",
    "\u00d7": "x",
    "times": "x",
}


_NO_VALUE: Final = Quantity(text="0")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextNumber:
    """A number of a sentence, at characters [start, end), its words included.

    Attributes:
        kind: What it is.
        quantity: With its unit, of a value.
        hedge: How firmly a value is stated.
        start: First character.
        end: One past the last.
    """

    kind: NumberKind
    quantity: Quantity = _NO_VALUE
    hedge: Hedge = "exactly"
    start: int
    end: int


def numbers(text: str, names: Iterable[tuple[int, int]] = ()) -> list[TextNumber]:
    """Return every number of ``text`` that is no part of a name, in order.

    Args:
        text: A sentence.
        names: Characters [start, end) of the names in it.

    >>> [(one.kind, one.quantity.text) for one in numbers("In 2024 it scores 79.9 on 8 GPUs.") if one.kind == "value"]
    [('value', '79.9')]
    """
    taken = list(names)
    found: list[TextNumber] = []

    def take(kind: NumberKind, start: int, end: int) -> None:
        if not any(start < other_end and other_start < end for other_start, other_end in taken):
            taken.append((start, end))
            found.append(TextNumber(kind=kind, start=start, end=end))

    for pattern in settings.SPANS:
        for match in pattern.finditer(text):
            take("setting", match.start(), match.end())
    for pattern in MARKS:
        for match in pattern.finditer(text):
            take("mark", match.start(), match.end())
    for kind, pattern in _KINDS:
        for match in pattern.finditer(text):
            take(kind, match.start(), match.end())
    found += _measured(text, taken)
    for match in _DIGITS.finditer(text):
        take("unread", match.start(), match.end())
    return sorted(found, key=lambda one: one.start)


def _measured(text: str, taken: list[tuple[int, int]]) -> list[TextNumber]:
    """Return values and bare years, and add them to what is taken."""
    found = []
    for match in _VALUE.finditer(text):
        start, end = match.start("digits"), match.end("unit") if match["unit"] else match.end("digits")
        if any(start < other_end and other_start < end for other_start, other_end in taken):
            continue
        year = _BARE_YEAR.search(text, max(0, start - 6))
        if year and not match["unit"] and year.end() == match.end("digits") and year.start() <= start:
            taken.append(year.span())
            found.append(TextNumber(kind="year", start=year.start(), end=year.end()))
            continue
        if match["tail"] and not match["unit"]:
            continue
        digits = match["digits"].replace(",", "").replace("\u2212", "-").removeprefix("+")
        unit = (match["unit"] or "").strip()
        unit = next((short for long, short in _UNITS.items() if unit.startswith(long)), unit)
        hedge: Hedge = next((name for name, pattern in _HEDGES if pattern.search(text[:start])), "exactly")
        taken.append((start, end))
        quantity = Quantity(text=digits, unit=unit)
        found.append(TextNumber(kind="value", quantity=quantity, hedge=hedge, start=start, end=end))
    return found
