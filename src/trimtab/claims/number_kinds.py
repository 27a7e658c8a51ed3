"""What each number of a sentence is: a measured value, or a date, a version, a count, a reference … that is no result.

A number that is none of these is *unread*: whoever decides about its sentence has to know that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

from trimtab.claims import settings
from trimtab.claims.citation_marks import MARKS
from trimtab.claims.claim_model import Hedge, Quantity
from trimtab.claims.text_range import TextRange
from trimtab.claims.wording import any_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
_DATE: Final = (
    rf"[\[(]?(?<![\d.]){_YEAR}[./-](?:0[1-9]|1[0-2])(?:[./-]\d{{1,2}})?(?!\d)[\])]?"
    rf"|\(?\b{_MONTH}(?:\s+\d{{1,2}}(?:st|nd|rd|th)?,?)?\s+{_YEAR}\b\)?"
    rf"|[\[(]?(?<![\d.])\d{{1,2}}[./-]\d{{1,2}}[./-]{_YEAR}(?!\d)[\])]?"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th)?\s+{_MONTH}(?:\s+{_YEAR})?(?!\w)|\bQ[1-4]\s+{_YEAR}\b"
)
_REFERENCE: Final = (
    r"(?i)(?:\b(?:see\s+|in\s+)?(?:tables?|tabs?\.|figures?|figs?\.?|sections?|sec\.|equations?|eqs?\."
    r"|appendi(?:x|ces)|chapters?|rows?|columns?|lines?|pages?|pp?\.|footnotes?|listings?|algorithms?|theorems?"
    r"|issues?)\s*|\u00a7\s*)(?:[A-Z]\.?)?\d+(?:\.\d+)*[a-z]?\b"
    r"(?:\s*(?:[-\u2013,&]|and|to)\s*\d+(?:\.\d+)*\b(?!\s*[%\d]))*"
)
_PARAMETER: Final = (
    r"(?i)(?:\b(?:at|with|using)\s+(?:a\s+)?)?\b(?:temperature|temp|top[-_ ]?[pk]|seed|beam(?:\s+size)?"
    r"|learning rate|lr|batch size|context(?:\s+(?:length|window))?|capacity factor"
    r"|max(?:imum)?[-_ ](?:new[-_ ])?tokens|alpha|beta|gamma|lambda|epsilon|tau)"
    r"\s*(?:=|of|:|is)?\s*\d+(?:\.\d+)?(?:e-?\d+)?|\b[A-Za-z]\w*\s?=\s?\d+(?:\.\d+)?"
    r"|\b(?:at|in|with|using|to|under)\s+\d+[\s-]?bits?\b(?!\s?(?:/|per\b|an?\b))"
)
_VERSION: Final = (
    r"\b[vV]\d+(?:\.\d+)*\b|\b(?:[Vv]ersions?|Python|CUDA|PyTorch|Java|GCC|Ubuntu|C\+\+)\s+v?\d+(?:\.\d+)*\b"
)
_SIZE: Final = (
    rf"{_WITH}(?<![\w.]){_NUMBER}\s?-?(?:[BMKT]|billion|million|trillion|thousand)"
    r"(?:[- ](?:parameters?|params?|tokens?|weights|words|examples?|samples?|activated|active|total"
    r"|context))*(?!\w)"
)
_COUNT: Final = (
    rf"{_WITH}(?<![\w.]){_NUMBER}[\s-]?(?:[x\u00d7]\s?)?(?:NVIDIA\s|AMD\s)?(?:[A-Z]{{1,3}}\d{{2,4}}\S*\s)?{_SUCH}"
    rf"(?:{_THINGS})(?!\w)"
)
# "At 384 px", "with 12 raters": a count of unknown things, unless the number is followed by what a value is.
_AMOUNT: Final = (
    r"(?i)\b(?:with|on|using|over|across|after|in|for|from|at)\s+(?:(?:about|only|just)\s+)?(?!(?:19|20)\d\d\b)\d[\d,]*\s+"
    r"(?!(?:points?|pts?|pp|per|percent\w*|absolute|relative|overall|times|out|more|less|fewer|higher|lower|better|worse"
    r"|ahead|behind|above|below|and|or|but|while|versus|vs|than|then|which|that|as|by|to|of|on|in|at|for|from|with|without"
    r"|under|over|across|after|before|when|where|is|are|was|were|has|have|it|we|the|an?|compared|against|respectively)\b)"
    r"[a-z]{2,}\b(?!\s*(?:points?|score|accuracy)\b)"
)
_PATTERNS: Final[tuple[tuple[NumberKind, str], ...]] = (
    ("date", _DATE),
    ("mark", r"(?:^|[;:.,]\s+|\band\s+)\(?\d{1,2}\)(?=\s+[A-Za-z])"),  # "(2) On code …" of a list
    ("parameter", r"(?:\u00b1|\+/-)\s*\d+(?:\.\d+)?\s?%?"),  # how far a value scatters
    ("parameter", r"(?i)\btop-\d+(?:\s+(?:routing|gating|experts?|selection|sampling))?\b"),
    ("rank", r"(?i)(?<!\w)(?:#|No\.\s?)\d+\b|\b\d+(?:st|nd|rd|th)\b|\btop\s+\d+\b"),
    ("reference", _REFERENCE),
    ("parameter", _PARAMETER),
    ("version", _VERSION),
    ("size", _SIZE),
    ("count", _COUNT),
    ("unread", _AMOUNT),
)
_KINDS: Final[tuple[tuple[NumberKind, re.Pattern[str]], ...]] = (
    *(("setting", pattern) for pattern in settings.SPANS),
    *(("mark", pattern) for pattern in MARKS),
    *((kind, re.compile(pattern)) for kind, pattern in _PATTERNS),
)
_BARE_YEAR: Final = re.compile(
    rf"(?<![\w.$\u20ac,])(?:(?:in|since|of|from|until)\s+)?{_YEAR}(?![\w%]|[.,]\d|\s?points?\b)"
)
_VALUE: Final = re.compile(
    r"(?<![\w.@#/])(?<![A-Za-z]-)(?P<digits>[-+\u2212]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[-+\u2212]?\d+(?:\.\d+)?)"
    r"(?:[\s-]?(?P<unit>%|percent(?:age)?[\s-]points?\b|percent\b|per cent\b|points?\b|pts?\b\.?|pp\b"
    r"|nats(?:/token| a token)?\b|bits(?:/byte| a byte)?\b|\u00d7|x\b|times\b"
    r"|ms\b|tok(?:en)?s?/s(?:ec)?\b))?(?P<tail>[-\w]?)"
)
PHYSICAL: Final = ("ms", "tok")
"""How the units begin that a head or a caption has to say, too."""
_DIGITS: Final = re.compile(r"\d+(?:[.,]\d+)*")
_HEDGE: Final = any_case(
    r"(?:(?P<about>about|around|nearly|roughly|approximately|almost|some|~|\u2248)|(?P<at_least>at least|no less than"
    r"|\u2265)|(?P<at_most>at most|no more than|\u2264)|(?P<under>under|below|less than|fewer than|lower than|<)"
    r"|(?P<over>over|above|more than|exceed(?:s|ing|ed)?|surpass(?:es|ing|ed)?|higher than|>))\s*$"
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
class TextNumber(TextRange):
    """A number of a sentence, with the words around it that belong to it.

    Attributes:
        kind: What it is.
        quantity: With its unit, of a value.
        hedge: How firmly a value is stated.
    """

    kind: NumberKind
    quantity: Quantity = _NO_VALUE
    hedge: Hedge = "exactly"


def numbers(text: str, names: Iterable[TextRange] = ()) -> list[TextNumber]:
    """Return every number of ``text`` that is no part of a name, in order.

    Args:
        text: A sentence.
        names: The names in it.

    >>> [number.quantity.text for number in numbers("In 2024 it scores 79.9 on 8 GPUs.") if number.kind == "value"]
    ['79.9']
    """
    taken, read = list(names), []
    candidates = (
        *(TextNumber(*match.span(), kind=kind) for kind, pattern in _KINDS for match in pattern.finditer(text)),
        *_measured(text),
        *(TextNumber(*match.span(), kind="unread") for match in _DIGITS.finditer(text)),
    )
    for number in candidates:
        if not any(number.overlaps(other) for other in taken):
            taken.append(number)
            read.append(number)
    return sorted(read, key=lambda number: number.start)


def _measured(text: str) -> Iterator[TextNumber]:
    """Yield what may be values, and bare years."""
    for match in _VALUE.finditer(text):
        start, end = match.start("digits"), match.end("unit") if match["unit"] else match.end("digits")
        year = _BARE_YEAR.search(text, max(0, start - 6))
        if year and not match["unit"] and year.end() == match.end("digits") and year.start() <= start:
            yield TextNumber(*year.span(), kind="year")
        elif match["unit"] or not match["tail"]:
            digits = match["digits"].replace(",", "").replace("\u2212", "-").removeprefix("+")
            unit = (match["unit"] or "").strip()
            unit = next((short for long, short in _UNITS.items() if unit.startswith(long)), unit)
            hedged = _HEDGE.search(text, max(0, start - 30), start)
            yield TextNumber(
                start,
                end,
                kind="value",
                quantity=Quantity(text=digits, unit=unit),
                hedge=cast("Hedge", str(hedged.lastgroup).replace("_", " ")) if hedged else "exactly",
            )
