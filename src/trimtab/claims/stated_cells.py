"""Whether a number of a sentence is meant as a measured value, and whether it is said outright to be a cell's.

The ways in which a number may legitimately be another one than the cell of the row and the column beside it have no
end: another split, another checkpoint, another decoding, somebody else's harness, a target. So they are not listed.
Instead the words with which a cell's value is given are, and a value counts as a cell's only where no other word
stands in its clause. In a sentence of which another value stands in the same row or column, the rest of the sentence
and what follows in the clause are free, for then the sentence is about that table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from trimtab.claims.other_measurements import another_version, may_change, measured_elsewhere, one_of_several
from trimtab.claims.result_words import RESULT_VERB
from trimtab.claims.text_range import TextRange, covered
from trimtab.claims.understanding import opens_an_aside
from trimtab.claims.wording import LISTED, WORD, any_case, any_of, word_set

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trimtab.claims.header_places import HeaderMention, NamedCell
    from trimtab.claims.number_kinds import TextNumber

_PART: Final = re.compile(
    r"[;:()\[\]]|,(?!\d)|\s[-\u2013\u2014]+\s|\u2014|\b(?:while|whereas|although|though|because|but)\b"
)
_DENIES: Final = any_case(
    r"\b(?:not|never|no|none|neither|nor|cannot|unless|except|if|would|could|might|may|should|expected|projected"
    r"|estimated|up to|as high as|at best|at worst|half|double|twice|at least|at most|over|under|below|above|within"
    r"|threshold|target|limit|around|roughly|previous(?:ly)?|originally|reported|claimed|remaining)\b"
    r"|n['\u2019]t\b|[<>\u2264\u2265\u2248~\u223c]"
)
_DELTA: Final = any_case(r"\b(?:by|additional|another|extra|further)\s+(?:an?\s+|about\s+|only\s+|additional\s+)*$")
_DELTA_BEHIND: Final = any_case(
    r"^[\s-]*(?:%|pp|pts?|points?|percentage[\s-]points?|absolute|relative|\s|-)*"
    r"(?:higher|lower|better|worse|more|less|fewer|faster|slower"
    r"|above|below|ahead|behind|improvements?|gains?|increases?|decreases?|reductions?|drops?"
    r"|speed-?ups?|of (?:the|all|our)\b|relative)"
)
_RANGE_BEFORE: Final = re.compile(r"[\u2013\u00d7]\s?$|\d\s?-\s?$|[\u0370-\u03ff]\s*[=\u2248]\s*$")
_RANGE_BEHIND: Final = re.compile(r"\s?[x\u00d7\u2013-]\s?")
UNNAMED: Final = any_of(
    r"(?:our|proposed|this|these)\s+(?:[\w-]+\s+){0,2}?(?:method|model|approach|framework|system|architecture|variant)s?|we"
)
"""A system without a name; a value may be its own."""
_CLAUSE: Final = any_case(
    r"[;:]|,(?!\d)|\s[-\u2013\u2014]+\s|\u2014|\b(?:while|whereas|although|though|because|since|but|which|where|as|once|until)\b"
)
_TELLING: Final = word_set("""
drops dropped falls fell rises rose climbs climbed collapses collapsed goes went keeps kept has solves solved lowers
lowered raises raised reduces reduced increases increased comparing gap versus vs between among against better worse
higher lower than more less fewer best worst highest lowest lead leads ms s gb mb gib mib tok/s seconds points score
only ones problems benchmark problem rate
outperforms outperform beats surpasses exceeds trails outperforming surpassing
""")
# Words that make a value another one, or a bound. Of adverbs only a few just color it: "strongly approve" does not.
_NEARLY: Final = any_of(
    r"who|whose|that|there|here|almost|nearly|about|close|near|past|beyond|towards?|approach\w*|just|and (?:up|more"
    r"|less|above|below)|records? of|(?!(?:only|respectively|notably|already|finally|overall|clearly|significantly"
    r"|substantially|slightly|remarkably)\b)[a-z-]{3,}ly"
)
_CONDITION: Final = any_of(
    r"with|without|when|whenever|under|using|after|before|given|via|through|for|in|on|at|across|by|during|within|if"
    r"|once|until|since|instead|rather|according|as"
)
_ELSE: Final = any_case(
    r"\b(?:with|without|when|under|using|after|before|given|if|during|within|instead|once|until)\b(?!\s+(?:an?\s+)?(?:\d|[\w-]+\s+of\b))"
)
_HEAD: Final = any_case(r"\s*(?:on|in|for|regarding|concerning)\s+(?:the\s+)?")
_SHARE_OF: Final = any_case(r"\s*of\s+(?:[\w'\u2019-]+\s+){0,4}")
_CHANGES: Final = any_of(
    r"falls?|fell|drops?|dropped|rises?|rose|climb\w*|collaps\w+|declin\w+|sinks?|sank|jump\w*|goes|went|grows?|grew"
    r"|lowered|raised|reduced|increased"
)
_SETTINGS: Final = ("parameter", "setting", "size", "count", "version", "year", "date", "unread", "rank")
_TIED_BEFORE: Final = re.compile(
    r"\s*[(:=]?\s*(?:of|is|was|at|has|with|achieves?|achieved|reach(?:es|ed)|scor(?:es?|ed)|gets?|obtains?|attains?|only"
    r"|(?:falls?|fell|drops?|dropped|rises?|rose|climbs?|collapses?) to|stays? at|remains? at|\s)*\s*"
)
_TIED_BEHIND: Final = re.compile(r"\s*%?\s*\(?\s*(?:(?:for|on|in|with|at|vs\.?)\s+)?(?:the\s+)?")
# Behind "A (1.2) and B (1.3)" a verb about both may follow.
_ITEM: Final = re.compile(
    r"[,;.](?!\d)|\)(?=\s+(?:differ|agree|disagree|share|behave|diverge)\b)|\b(?:and|vs|versus|while|but|whereas)\b|$"
)
_AFTER: Final = any_case(
    r"(?:which(?!\s+(?:is|was|are|were)\b)|so(?!\s+far)|and|thus|hence|as(?!\s+(?:an?|the|\w+ed|\w+n)\b))\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSentence:
    """A sentence that names headers.

    Attributes:
        text: The sentence.
        named: The headers that it names.
        numbers: Its numbers.
        fitting: First character of a value → the named cells that print it.
    """

    text: str
    named: Sequence[HeaderMention]
    numbers: Sequence[TextNumber]
    fitting: Mapping[int, Sequence[NamedCell]]

    @property
    def values(self) -> list[TextNumber]:
        """Its values."""
        return [number for number in self.numbers if number.kind == "value"]

    def others(self, value: TextNumber) -> Iterator[tuple[TextNumber, NamedCell]]:
        """Yield its other values, each with a named cell that prints it."""
        for other in self.values:
            if other is not value:
                yield from ((other, cell) for cell in self.fitting[other.start])

    def beside_names(self, pattern: re.Pattern[str], start: int, end: int) -> Iterator[re.Match[str]]:
        """Yield what an expression finds in [start, end) that is no part of a name."""
        return (match for match in pattern.finditer(self.text, start, end) if not covered(match.start(), self.named))

    def unexplained(self, start: int, end: int) -> list[str]:
        """Return the words that are no name and none with which a value is given."""
        words = (match[0].casefold().rstrip(".") for match in self.beside_names(WORD, start, end))
        return [
            word for word in words if not (re.fullmatch(r"[\d.,]+", word) or word in _TELLING or not may_change(word))
        ]


def is_a_difference(text: str, value: TextNumber) -> bool:
    """Whether a value says how large a difference or a ratio is."""
    return bool(
        value.quantity.unit == "x"
        or text[value.start] in "+-\u2212"
        or _DELTA.search(text[: value.start])
        or _DELTA_BEHIND.match(text[value.end :])
    )


def in_a_range(text: str, value: TextNumber) -> bool:
    """Whether a value is an end of a range, a side of "3 x 4" or a parameter: "1.2-1.4"."""
    return bool(_RANGE_BEFORE.search(text[: value.start]) or _RANGE_BEHIND.match(text, value.end))


def meant(sentence: NamedSentence, value: TextNumber) -> bool:
    """Whether a value may be meant as a cell: no difference, factor or parameter, and neither denied nor doubted."""
    text = sentence.text
    before, behind = text[: value.start], text[value.end :]
    if value.hedge not in ("exactly", "about") or is_a_difference(text, value) or in_a_range(text, value):
        return False
    begins = re.search(r"\bfrom\s+$", before) or re.match(r"[\s%]*(?:\u2192|->)", behind)
    if begins and not re.match(r"[\s%]*\(", behind):
        return False  # where a change began is often another system's
    edges = [0, *(match.start() for match in _PART.finditer(text)), len(text)]
    start, end = max(at for at in edges if at <= value.start), min(at for at in edges if at >= value.end)
    return not any(sentence.beside_names(_DENIES, start, end))


def stated_outright(sentence: NamedSentence, value: TextNumber, cell: NamedCell, *, swapped: bool) -> bool:
    """Whether a sentence says outright that a value is a cell's.

    Args:
        sentence: The sentence.
        value: The value.
        cell: The cell it is nearest to.
        swapped: Whether another named cell prints the value.
    """
    text = sentence.text
    if measured_elsewhere(text) or any(
        another_version(text, mention.start, mention.end) or one_of_several(text, mention.start, mention.end)
        for mention in (cell.row, cell.column)
    ):
        return False
    if _share_of_another(sentence, value) or any(other.reading == cell.reading for _, other in sentence.others(value)):
        return False  # that cell's value is stated already
    before = max((other.end for other in sentence.values if other.end <= value.start), default=0)
    if before and any(
        not any(mention.start == match.end() + 1 for mention in sentence.named)
        for match in sentence.beside_names(_ELSE, before, value.start)
    ):
        return False  # "43.8 and, without a limit, 46.9"
    return _parallel(sentence, value, cell) or _outright(sentence, value, cell, swapped=swapped)


def _share_of_another(sentence: NamedSentence, value: TextNumber) -> bool:
    """Whether a value is a share of what another name has: "Foo reaches 96.2 % of Bar on A"."""
    if value.quantity.unit != "%":
        return False
    whole = next(
        (mention for mention in sentence.named if _SHARE_OF.fullmatch(sentence.text, value.end, mention.start)), None
    )
    sides = {line[:2] for line in whole.lines} if whole else set()
    return any(sides & {line[:2] for line in other.lines} for other in sentence.named if other is not whole)


def _parallel(sentence: NamedSentence, value: TextNumber, cell: NamedCell) -> bool:
    """Whether a value stands at its name as one that its cell prints stands at its own: "A (1.2), B (1.3)"."""
    for axis in ("row", "column"):
        mine = getattr(cell, axis)
        stop = max(value.end, mine.end)
        item = _ITEM.search(sentence.text, stop)
        if not tied(sentence.text, value, mine) or (item and sentence.unexplained(stop, item.start())):
            continue
        for other, its_cell in sentence.others(value):
            its = getattr(its_cell, axis)
            if its is not mine and len(its_cell.lines & cell.lines) == 1 and tied(sentence.text, other, its):
                return True
    return False


def tied(text: str, value: TextNumber, mention: HeaderMention) -> bool:
    """Whether nothing but a verb of result or a bracket stands between a value and a name."""
    if mention.end <= value.start:
        return bool(_TIED_BEFORE.fullmatch(text, mention.end, value.start))
    return bool(value.end <= mention.start and _TIED_BEHIND.fullmatch(text, value.end, mention.start))


def _outright(sentence: NamedSentence, value: TextNumber, cell: NamedCell, *, swapped: bool) -> bool:
    """Whether no word of a value's clause may make another number of it, nor one of the sentence if not anchored."""
    text = sentence.text
    edges = [0, *(match.start() for match in sentence.beside_names(_CLAUSE, 0, len(text))), len(text)]
    clauses = [TextRange(start, end) for start, end in pairwise(edges)]
    own = next(index for index, clause in enumerate(clauses) if clause.holds(value.start))
    first, end = own, clauses[own].end
    for mention in (cell.row, cell.column):
        at = next(index for index, clause in enumerate(clauses) if clause.holds(mention.start))
        head = _HEAD.match(text, clauses[at].start)
        is_head = at == 0 and head is not None and head.end() == mention.start
        if at > own or (at < own and RESULT_VERB.search(text, clauses[own].start, end) and not is_head):
            return False
        first = min(first, at)
    begin = clauses[first].start
    if any(sentence.beside_names(_NEARLY, begin, end)) or _pooled(sentence, TextRange(begin, end), cell):
        return False
    settings = [number for number in sentence.numbers if number.kind in _SETTINGS]
    if swapped or any(other.lines & cell.lines for _, other in sentence.others(value)):
        tail = max(value.end, cell.row.end, cell.column.end)
        stop = tail if swapped and not _CONDITION.search(text, tail, end) else end
        return not sentence.unexplained(begin, stop) and not any(begin <= number.start < end for number in settings)
    foreign = any(
        name.sure == 2 and all(line[0] != cell.reading.table for line in name.lines) for name in sentence.named
    )
    changed = any(sentence.beside_names(_CHANGES, 0, len(text)))
    if settings or changed or foreign or sentence.unexplained(begin, end):
        return False  # "falls to 70.1": after something was changed
    # "Foo (MBPP 64.1)": nothing can come between.
    bracketed = cell.row.end < value.start and re.fullmatch(
        r"\s*\([\s=:]*", text[cell.row.end : value.start].replace(text[cell.column.start : cell.column.end], "")
    )
    return all(
        first <= index <= own
        or not sentence.unexplained(clause.start, clause.end)
        or (index > own and _adds_only(text, clause, bracketed=bool(bracketed)))
        for index, clause in enumerate(clauses)
    )


def _adds_only(text: str, clause: TextRange, *, bracketed: bool) -> bool:
    """Whether a clause behind a value adds something and conditions nothing: ", which is 9 points higher"."""
    words = text[clause.start : clause.end].lstrip(" ,;:")
    free = (bracketed or _AFTER.match(words)) and not _CONDITION.search(words.partition(" ")[2])
    return bool(free) or opens_an_aside(text, clause.start, clause.end)


def _pooled(sentence: NamedSentence, clause: TextRange, cell: NamedCell) -> bool:
    """Whether a clause joins more names of one side than it has values: "Foo and Bar reach 52.8", maybe together."""
    count = sum(clause.holds(value.start) for value in sentence.values)
    for axis in ("row", "column"):
        side = [
            mention
            for mention in sorted(sentence.named, key=lambda mention: (mention.start, mention.end))
            if clause.holds(mention.start) and (cell.reading.table, axis) in mention.sides and mention.sure
        ]
        joined = sum(bool(LISTED.fullmatch(sentence.text, name.end, other.start)) for name, other in pairwise(side))
        if joined and joined + 1 > count:
            return True
    return False
