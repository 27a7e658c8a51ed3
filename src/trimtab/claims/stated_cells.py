"""Whether a sentence says outright that a value is a cell's: in words of which nothing is left that might change it.

The ways in which a number may legitimately be another one than the cell of the row and the column beside it have no
end: another split, another checkpoint, another decoding, somebody else's harness, a target. So they are not listed.
Instead the words with which a cell's value is given are, and a value counts as a cell's only where no other word
stands in its clause. In a sentence of which another value stands in the same row or column, the rest of the sentence
and what follows in the clause are free, for then the sentence is about that table.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from trimtab.claims.number_kinds import numbers
from trimtab.claims.other_measurements import another_version, may_change, measured_elsewhere, one_of_several
from trimtab.claims.result_words import RESULT_VERB
from trimtab.claims.text_range import covered
from trimtab.claims.understanding import opens_an_aside
from trimtab.claims.wording import WORD, any_case, any_of, word_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.claims.header_places import HeaderMention, NamedCell
    from trimtab.claims.number_kinds import TextNumber

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
# Words for systems that no header names; such a number may be theirs.
_OTHERS: Final = any_of(
    r"baselines?|counterparts?|competitors?|rivals?|versions?|variants?|famil(?:y|ies)|approach(?:es)?|its|their"
    r"|latest|recent|proposed|new|average|averaged|best|top|leading|level|settings?"
)
_NEARLY: Final = any_of(
    r"who|whose|that|there|here|almost|nearly|about|close|near|past|beyond|towards?|approach\w*|just|and (?:up|more"
    r"|less|above|below)"
)
# "strongly approve", "internally measured": an adverb may make another number, but for those that only color it.
_ADVERB: Final = any_case(
    r"\b(?!(?:only|respectively|notably|already|finally|overall|clearly|significantly|substantially|slightly|remarkably)\b)[a-z-]{3,}ly\b"
)
_JOINED: Final = re.compile(r"\s*(?:,|,?\s*and|\+|/|&)\s*(?:the\s+)?")
_CONDITION: Final = any_of(
    r"with|without|when|whenever|under|using|after|before|given|via|through|for|in|on|at|across|by|during|within|if"
    r"|once|until|since|instead|rather|according|as"
)
_ELSE: Final = any_case(
    r"\b(?:with|without|when|under|using|after|before|given|if|during|within|instead|once|until)\b(?!\s+(?:an?\s+)?(?:\d|[\w-]+\s+of\b))"
)
_HEAD: Final = any_case(r"\s*(?:on|in|for|regarding|concerning)\s+(?:the\s+)?")
_SETTINGS: Final = ("parameter", "setting", "size", "count", "version", "year", "date", "unread", "rank")
_TIED_BEFORE: Final = re.compile(
    r"\s*[(:=]?\s*(?:of|is|was|at|has|with|achieves?|achieved|reach(?:es|ed)|scor(?:es|ed)|gets?|obtains?|attains?|only"
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


def stated_outright(
    text: str,
    value: TextNumber,
    cell: NamedCell,
    named: Sequence[HeaderMention],
    others: Sequence[tuple[TextNumber, Sequence[NamedCell]]],
    *,
    swapped: bool,
) -> bool:
    """Whether a sentence says outright that a value is a cell's.

    Args:
        text: The sentence.
        value: The value.
        cell: The cell it is nearest to.
        named: The headers that the sentence names.
        others: Its other values, each with the named cells that print it.
        swapped: Whether another named cell prints the value.
    """
    if any(
        another_version(text, mention.start, mention.end) or one_of_several(text, mention.start, mention.end)
        for mention in (cell.row, cell.column)
    ):
        return False
    if measured_elsewhere(text) or any(
        named_cell.reading == cell.reading for _, fitting in others for named_cell in fitting
    ):
        return False  # somebody else's, or that cell's value is stated already
    before = max((other.end for other, _ in others if other.end <= value.start), default=0)
    if before and any(
        not covered(match.start(), named) and not any(mention.start == match.end() + 1 for mention in named)
        for match in _ELSE.finditer(text, before, value.start)
    ):
        return False  # "43.8 and, without a limit, 46.9"
    if _parallel(text, value, cell, named, others):
        return True
    return _outright(
        text,
        value,
        cell,
        named,
        swapped=swapped,
        anchored=swapped or any(named_cell.lines & cell.lines for _, fitting in others for named_cell in fitting),
    )


def _parallel(
    text: str,
    value: TextNumber,
    cell: NamedCell,
    named: Sequence[HeaderMention],
    others: Sequence[tuple[TextNumber, Sequence[NamedCell]]],
) -> bool:
    """Whether a value stands at its name as one that its cell prints stands at its own: "A (1.2), B (1.3)"."""
    for axis in ("row", "column"):
        mine = getattr(cell, axis)
        if not _tied(text, value, mine):
            continue
        stop = max(value.end, mine.end)
        item = _ITEM.search(text, stop)
        if item and _unexplained(text, stop, item.start(), named):
            continue
        for other, fitting in others:
            for named_cell in fitting:
                its = getattr(named_cell, axis)
                shared = named_cell.lines & cell.lines
                if len(shared) == 1 and its is not mine and _tied(text, other, its):
                    return True
    return False


def _tied(text: str, value: TextNumber, mention: HeaderMention) -> bool:
    """Whether nothing but a verb of result or a bracket stands between a value and a name."""
    if mention.end <= value.start:
        return bool(_TIED_BEFORE.fullmatch(text, mention.end, value.start))
    return bool(value.end <= mention.start and _TIED_BEHIND.fullmatch(text, value.end, mention.start))


def _outright(
    text: str, value: TextNumber, cell: NamedCell, named: Sequence[HeaderMention], *, swapped: bool, anchored: bool
) -> bool:  # fmt: skip
    """Whether no word of a value's clause may make another number of it, nor one of the sentence if not anchored."""
    edges = [0, *(match.start() for match in _CLAUSE.finditer(text) if not covered(match.start(), named)), len(text)]
    clauses = list(pairwise(edges))
    own = next(index for index, (start, end) in enumerate(clauses) if start <= value.start < end)
    first, (start, end) = own, clauses[own]
    for mention in (cell.row, cell.column):
        at = next(index for index, edge in enumerate(clauses) if edge[0] <= mention.start < edge[1])
        head = _HEAD.match(text, clauses[at][0])
        is_head = at == 0 and head is not None and head.end() == mention.start
        if at > own or (at < own and RESULT_VERB.search(text, start, end) and not is_head):
            return False
        first = min(first, at)
        if another_version(text, mention.start, mention.end):
            return False
    begin = clauses[first][0]
    if (
        any(not _beside(match, text, named) for match in _OTHERS.finditer(text, begin, end))
        or any(not covered(match.start(), named) for match in _NEARLY.finditer(text, begin, end))
        or any(not covered(match.start(), named) for match in _ADVERB.finditer(text, begin, end))
        or _pooled(text, (begin, end), cell, named)
    ):
        return False
    settings = [number for number in numbers(text, named) if number.kind in _SETTINGS]
    if anchored:
        tail = max(value.end, cell.row.end, cell.column.end)
        stop = tail if swapped and not _CONDITION.search(text, tail, end) else end
        return not _unexplained(text, begin, stop, named) and not any(
            begin <= number.start < end for number in settings
        )
    if settings or _unexplained(text, begin, end, named):
        return False
    # "Foo (MBPP 64.1)": nothing can come between.
    bracketed = cell.row.end < value.start and re.fullmatch(
        r"\s*\([\s=:]*", text[cell.row.end : value.start].replace(text[cell.column.start : cell.column.end], "")
    )
    return all(
        first <= index <= own
        or not _unexplained(text, *edge, named)
        or (index > own and _adds_only(text, edge, bracketed=bool(bracketed)))
        for index, edge in enumerate(clauses)
    )


def _adds_only(text: str, clause: tuple[int, int], *, bracketed: bool) -> bool:
    """Whether a clause behind a value adds something and conditions nothing: ", which is 9 points higher"."""
    words = text[slice(*clause)].lstrip(" ,;:")
    free = (bracketed or _AFTER.match(words)) and not _CONDITION.search(words.partition(" ")[2])
    return bool(free) or opens_an_aside(text, *clause)


def _pooled(text: str, clause: tuple[int, int], cell: NamedCell, named: Sequence[HeaderMention]) -> bool:
    """Whether a clause joins more names of one side than it has values: "Foo and Bar reach 52.8", maybe together."""
    start, end = clause
    count = sum(number.kind == "value" and start <= number.start < end for number in numbers(text, named))
    for axis in ("row", "column"):
        side = sorted(
            (mention.start, mention.end)
            for mention in named
            if start <= mention.start < end
            and any(line[:2] == (cell.reading.table, axis) for line in mention.lines)
            and mention.sure
        )
        joined = sum(bool(_JOINED.fullmatch(text, first[1], second[0])) for first, second in pairwise(side))
        if joined and joined + 1 > count:
            return True
    return False


def _unexplained(text: str, start: int, end: int, named: Sequence[HeaderMention]) -> list[str]:
    """Return the words that are no name and none with which a value is given."""
    words = (match for match in WORD.finditer(text, start, end) if not covered(match.start(), named))
    folded = (match[0].casefold().rstrip(".") for match in words)
    return [word for word in folded if not (re.fullmatch(r"[\d.,]+", word) or word in _TELLING or not may_change(word))]


def _beside(match: re.Match[str], text: str, named: Sequence[HeaderMention]) -> bool:
    """Whether a word is a part of a name, or stands right before one of which it says what it is."""
    return any(
        mention.start <= match.start() < mention.end
        or (match.end() <= mention.start and not text[match.end() : mention.start].strip(" ("))
        for mention in named
        if mention.sure
    )
