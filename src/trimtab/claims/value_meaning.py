"""Whether a number of a sentence may be meant as a measured value: no difference, no factor, nothing doubted or denied.

And whether something that no header says is a condition of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from trimtab.claims.header_places import modified

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.claims.header_places import HeaderMention
    from trimtab.claims.number_kinds import TextNumber

_PART: Final = re.compile(
    r"[;:()\[\]]|,(?!\d)|\s[-\u2013\u2014]+\s|\u2014|\b(?:while|whereas|although|though|because|but)\b"
)
DENIES: Final = re.compile(
    r"\b(?:not|never|no|none|neither|nor|cannot|unless|except|if|would|could|might|may|should|expected|projected"
    r"|estimated|up to|as high as|at best|at worst|half|double|twice|at least|at most|over|under|below|above|within"
    r"|threshold|target|limit|around|roughly|previous(?:ly)?|originally|reported|claimed|remaining)\b"
    r"|n['\u2019]t\b|[<>\u2264\u2265\u2248~\u223c]",
    re.IGNORECASE,
)
_CONDITION: Final = re.compile(
    r"\b(?:with|without|when|whenever|under|using|after|before|given|via|through|for|in|on|at|across|by)\b\s*",
    re.IGNORECASE,
)
_HARMLESS: Final = re.compile(
    r"(?:(?:the|our|a|an|all|both|this|these|its|terms|of)\s+)*(?:tables?|figures?|benchmarks?|tasks?|results?|model|paper"
    r"|particular|contrast|addition|comparison|example|instance|accuracy|performance|average|score|respectively)\b",
    re.IGNORECASE,
)
DELTA: Final = re.compile(
    r"\b(?:by|additional|another|extra|further)\s+(?:an?\s+|about\s+|only\s+|additional\s+)*$", re.IGNORECASE
)
DELTA_BEHIND: Final = re.compile(
    r"^[\s-]*(?:%|pp|pts?|points?|percentage[\s-]points?|absolute|relative|\s|-)*"
    r"(?:higher|lower|better|worse|more|less|fewer|faster|slower"
    r"|above|below|ahead|behind|improvements?|gains?|increases?|decreases?|reductions?|drops?"
    r"|speed-?ups?|of (?:the|all|our)\b|relative)",
    re.IGNORECASE,
)
_UNNAMED: Final = re.compile(
    r"\b(?:our|proposed|this|these)\s+(?:[\w-]+\s+){0,2}?(?:method|model|approach|framework|system|architecture|variant)s?\b|\bwe\b",
    re.IGNORECASE,
)
_WHEN: Final = re.compile(r"\b(?:when|whenever|without|twice|provided)\b", re.IGNORECASE)
_OBJECT: Final = re.compile(r"(?:[\w@-]+\s*){0,3}")
OWNER: Final = re.compile(
    r"\s*(?:%|points?)?\s*(?:for|by|from|of|with|in)\s+(?:the\s+|an?\s+|our\s+)?((?:[\w-]+\s*){1,4})", re.IGNORECASE
)


def meant(text: str, value: TextNumber, named: Sequence[HeaderMention]) -> bool:
    """Whether a value may be meant as a cell: no difference, factor or parameter, and neither denied nor doubted."""
    start, end = part_of(text, value)
    before, behind = text[: value.start], text[value.end :]
    if value.hedge not in ("exactly", "about") or value.quantity.unit == "x" or text[value.start] in "+-\u2212":
        return False
    if DELTA.search(before) or DELTA_BEHIND.match(behind) or re.match(r"\s?[x\u00d7\u2013-]\s?", behind):
        return False
    if re.search(r"[\u2013\u00d7]\s?$|\d\s?-\s?$", before):
        return False
    if (re.search(r"\bfrom\s+$", before) or re.match(r"[\s%]*(?:\u2192|->)", behind)) and not re.match(
        r"[\s%]*\(", behind
    ):
        return False  # where a change began is often another system's
    owner = OWNER.match(text, value.end)
    if owner and not any(meets(owner, mention) for mention in named):
        return False  # "33.3% for the next-best baseline"
    return all(inside(match.start(), named) for match in DENIES.finditer(text, start, end))


def conditioned(text: str, value: TextNumber, named: Sequence[HeaderMention]) -> bool:
    """Whether something that no header says is a condition of a value: "with retrieval", "a normalized 71.3"."""
    if _UNNAMED.search(text) or _WHEN.search(text) or modified(text, value.start):
        return True
    start, end = part_of(text, value)
    for match in _CONDITION.finditer(text, start, end):
        words = _OBJECT.match(text, match.end())
        stop = words.end() if words else match.end()
        covered = any(match.end() <= mention.start <= stop for mention in named) or re.match(
            r"[\d$]", text[match.end() :]
        )
        if not (inside(match.start(), named) or covered or _HARMLESS.match(text, match.end())):
            return True
    return False


def part_of(text: str, value: TextNumber) -> tuple[int, int]:
    """Return the part of a sentence between commas and brackets that a value stands in."""
    edges = [0, *(match.start() for match in _PART.finditer(text)), len(text)]
    return max(at for at in edges if at <= value.start), min(at for at in edges if at >= value.end)


def meets(match: re.Match[str], mention: HeaderMention) -> bool:
    """Whether the first group of a match touches a name."""
    return match.start(1) <= mention.end and mention.start <= match.end(1)


def inside(place: int, named: Iterable[HeaderMention]) -> bool:
    """Whether a character is one of a name's."""
    return any(mention.start <= place < mention.end for mention in named)
