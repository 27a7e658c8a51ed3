"""Values that stand in none of the cells a sentence names, whatever in it belongs to whom.

A sentence names a cell when it names its row and its column. Where a value was meant to be one of them, and none of
them prints it, no way of pairing the sentence's names makes the value right, so the sentence is wrong even where its
grammar was not understood. Because a number may be something else than one of the named cells, a value is held to be
meant as one only if it is written like it, is near it, stands nowhere in that table, and nothing in its part of the
sentence denies, doubts or conditions it. A sentence of which another value stands in the same row or column talks
about that table, so a condition counts less there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from trimtab.claims import arithmetic, stated_cells
from trimtab.claims.citation_marks import without_citations
from trimtab.claims.number_kinds import TextNumber, numbers
from trimtab.claims.value_meaning import DENIES, OWNER, conditioned, inside, meant, meets, part_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trimtab.claims.header_places import HeaderLine, HeaderMention, HeaderPlaces, NamedCell
    from trimtab.claims.header_reader import Measurement
    from trimtab.claims.table_index import TableIndex

_MEANS: Final = re.compile(
    r"\b(?:averages?|averaged|averaging|avg|mean|median|normali[sz]ed|weighted|total|cumulative|relative)\b",
    re.IGNORECASE,
)
_UNREAL: Final = re.compile(
    r"\b(?:would|could|might|if|unless|never|hypothetical\w*|assuming|expected|projected)\b", re.IGNORECASE
)
_LIST: Final = re.compile(r"\s*%?\s*(?:,|,?\s*and|/)\s*")
_OPENING: Final = re.compile(
    r"\s*(?:with|without|when|under|using|after|before|given|by|(across|for|at|in|on|within|during))\b[^,;:]*,",
    re.IGNORECASE,
)
_NEXT: Final = re.compile(r"\s*%?\s+([A-Z]\w*[\w@-]*|\w+@\d+)")
_CHANGES: Final = re.compile(
    r"\b(?:(?P<up>increas\w+|rais(?:es|ed|ing)|ris(?:es|ing)|rose|grows?|grew|jump\w*|climb\w*|boost\w*)"
    r"|(?P<down>decreas\w+|drop\w*|reduc\w+|falls?|fell|declin\w+|lowers|shrink\w*|collaps\w+))\b[^.;:]{0,40}?\bfrom\s+$",
    re.IGNORECASE,
)
_TIED_BEFORE: Final = re.compile(
    r"\s*(?:[(:=]|\b(?:of|is|was|scores?|scored|reach(?:es|ed)|achiev(?:es|ed)|gets|obtains|attains|with)\b)?\s*(?:only\s+|an?\s+)?"
)
_TIED_BEHIND: Final = re.compile(r"\s*%?\s*(?:\(\s*(?:for|on|in|with)?\s*|(?:on|for|in)\s+(?:the\s+)?|)")
_UNKNOWN: Final = re.compile(r"(?<![\w.-])(?:[A-Z][\w+.-]*\w|\w*[a-z][A-Z]\w*|[A-Za-z]+-?\d[\w.-]*)")
_VERSION: Final = re.compile(r"\s*\([^()]*(?:19|20)\d\d|,\s*[\w-]+ed\b(?!\s+(?:by|in|on)\b[^,]*$)")
_BRACKET: Final = re.compile(r"[\s%]*\(([^()\d]+)\)")
NO_ENGLISH: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Scripts of sentences of which nothing is held against a cell that no fact names."""
_MANY: Final = 20
"""Values that no sentence of prose has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """A value that no cell with its names prints, the nearest of those, and the other named cell that does print it."""

    value: TextNumber
    reading: Measurement
    home: Measurement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A change such as "rises from 71.0 to 62.2", both ends in cells: its words, and the cell of the second value."""

    words: str
    reading: Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueFit:
    """Which values of a sentence stand in cells it names.

    Attributes:
        misfits: Values that were meant to be a named cell and are none.
        settled: First characters of values that stand in a cell of the very names beside them.
        turned: Changes that go the other way in the cells.
    """

    misfits: tuple[Misfit, ...] = ()
    settled: frozenset[int] = frozenset()
    turned: tuple[Turn, ...] = ()


def fit(text: str, places: HeaderPlaces) -> ValueFit:
    """Return which values of a sentence stand in the cells it names, and which do not though they were meant to."""
    text = without_citations(text)
    named = places.mentions(text)
    cells = places.cells(named)
    if not cells:
        return ValueFit()
    spans = [
        mention
        for mention in named
        if mention.sure or re.search(r"[a-z].*\d|\d.*[a-z]", text[mention.start : mention.end], re.IGNORECASE)
    ]
    values = [number for number in numbers(text, spans) if number.kind == "value"]
    if len(values) > _MANY:
        return ValueFit()  # a picture's or a table's numbers in a row
    allowed = {id(value): _allowed(text, value, cells, named) for value in values}
    fitting = {
        id(value): [candidate for candidate in allowed[id(value)] if fits(value, candidate.reading)] for value in values
    }
    stated = [value for value in values if meant(text, value, named)]
    unfit = [value for value in stated if not fitting[id(value)] and not _in_other_list(text, value, values, fitting)]
    settled = frozenset(value.start for value in values if fitting[id(value)] and len(allowed[id(value)]) < len(cells))
    if _UNREAL.search(text) or NO_ENGLISH.search(text):
        return ValueFit(settled=settled)  # only English accuses, and nothing hypothetical
    turned = tuple(_turns(text, values, fitting))
    swapped = any(fits(value, candidate.reading) for value in unfit for candidate in cells)
    if len(unfit) > 1 and len(unfit) == len(stated) and not swapped:
        return ValueFit(settled=settled)  # the sentence is about other numbers than this table's
    misfits = []
    for value in unfit:
        anchors = {
            line for other in values if other is not value for place in fitting[id(other)] for line in place.lines
        }
        home = next((candidate.reading for candidate in cells if fits(value, candidate.reading)), None)
        nearest = _intended(text, value, allowed[id(value)], named, anchors, places.index, swapped=home is not None)
        others = [(other, fitting[id(other)]) for other in values if other is not value]
        if (
            nearest is None
            or not stated_cells.stated_outright(text, value, nearest, named, others, swapped=home is not None)
            or _strange(text, value, nearest, allowed[id(value)], named)
        ):
            continue
        table, cell = places.index.of(nearest.reading).readings, nearest.reading.cell
        beside = [reading for reading in table if reading.cell.row == cell.row or reading.cell.column == cell.column]
        printed = any(same_as_cell(value, reading) in ("equal", "truncated", "finer") for reading in beside)
        if (home or not printed) and not _derived(value, cells, values, beside):
            misfits.append(Misfit(value=value, reading=nearest.reading, home=home))
    return ValueFit(misfits=tuple(misfits), settled=settled, turned=turned)


def _intended(  # noqa: PLR0913 - what is known of a value
    text: str,
    value: TextNumber,
    allowed: Sequence[NamedCell],
    named: Sequence[HeaderMention],
    anchors: set[HeaderLine],
    index: TableIndex,
    *,
    swapped: bool,
) -> NamedCell | None:
    """Return the cell that a value is most likely meant as; None where it may be meant as another number."""
    said = [text[mention.start : mention.end] for mention in named]
    near = [
        candidate
        for candidate in allowed
        if min(candidate.row.sure, candidate.column.sure)
        and not (candidate.loose or candidate.row.modified or candidate.column.modified)
        and ((swapped and value.quantity.decimals) or alike(value, candidate.reading))
        and not index.of(candidate.reading).open_parts(candidate.reading, said)
    ]
    anchored = [candidate for candidate in near if anchors & candidate.lines]
    if not anchored and conditioned(text, value, named):
        return None
    opening = _OPENING.match(text)
    scope_told = anchored and opening and opening[1]
    if opening and not scope_told and not any(mention.sure == 2 and mention.start < opening.end() for mention in named):
        return None  # a condition at its head
    sure = anchored or [candidate for candidate in near if max(candidate.row.sure, candidate.column.sure) == 2]
    return min(
        sure, key=lambda candidate: (candidate.away(value.quantity.value), candidate.distance(value)), default=None
    )


def _turns(
    text: str, values: Sequence[TextNumber], fitting: Mapping[int, Sequence[NamedCell]]
) -> Iterable[Turn]:  # fmt: skip
    """Yield the changes of which both ends stand in one row or column, and go the other way."""
    for before, after in pairwise(values):
        verb = _CHANGES.search(text[: before.start])
        if not verb or not re.fullmatch(r"\s*%?\s*(?:\([^()]*\)\s*)?to\s+", text[before.end : after.start]):
            continue
        if DENIES.search(text, verb.start(), before.start):
            continue
        gap = after.quantity.value - before.quantity.value
        ends = [
            second.reading
            for first in fitting[id(before)]
            for second in fitting[id(after)]
            if first.lines & second.lines
        ]
        if ends and (gap < 0 if verb["up"] else gap > 0):
            yield Turn(words=text[verb.start() : after.end], reading=ends[0])


def _allowed(
    text: str, value: TextNumber, cells: Sequence[NamedCell], named: Sequence[HeaderMention]
) -> Sequence[NamedCell]:  # fmt: skip
    """Return the cells a value can be: those of the names that stand right beside it, if any do."""
    for mention in named:
        if not mention.sure:
            continue
        before = mention.end <= value.start and bool(_TIED_BEFORE.fullmatch(text, mention.end, value.start))
        # In "over Foo (86.7 vs. 33.3)" the first value is not Foo's.
        before = before and not (
            text[value.start - 1] == "(" and re.match(r"\s*%?\s*(?:vs\b|versus\b)", text[value.end :])
        )
        behind = value.end <= mention.start and _TIED_BEHIND.fullmatch(text, value.end, mention.start)
        if before or behind:
            tied = [cell for cell in cells if mention in (cell.row, cell.column)]
            cells = tied or cells
    # "82.6 (Foo) to 75.1": the name in brackets is of the value before it alone.
    others = [
        mention
        for mention in named
        if mention.end <= value.start
        and re.search(r"\d\s*%?\s*\(\s*$", text[: mention.start])
        and text[mention.end : mention.end + 1] == ")"
    ]
    # A name inside a longer one that is a header, too, is not meant: "Foo" in "Foo (large)".
    others += [
        mention
        for mention in named
        if any(
            other is not mention and other.start <= mention.start and mention.end <= other.end and other.sure == 2
            and {line[:2] for line in other.lines} & {line[:2] for line in mention.lines}
            for other in named
        )
    ]  # fmt: skip
    return [cell for cell in cells if cell.row not in others and cell.column not in others] or cells


def _in_other_list(
    text: str, value: TextNumber, values: Sequence[TextNumber], fitting: Mapping[int, Sequence[NamedCell]]
) -> bool:  # fmt: skip
    """Whether a value is in a list of numbers of which none is a named cell's."""
    at = values.index(value)
    run = [at]
    while run[-1] + 1 < len(values) and _LIST.fullmatch(text, values[run[-1]].end, values[run[-1] + 1].start):
        run.append(run[-1] + 1)
    while run[0] and _LIST.fullmatch(text, values[run[0] - 1].end, values[run[0]].start):
        run.insert(0, run[0] - 1)
    return len(run) > 1 and not any(fitting[id(values[index])] for index in run)


def fits(value: TextNumber, reading: Measurement) -> bool:
    """Whether a value is a cell's."""
    return same_as_cell(value, reading) != "different"


def same_as_cell(value: TextNumber, reading: Measurement) -> arithmetic.Sameness:
    """Return whether a value is a cell's, as it is or as a share told in per cent."""
    quantity = value.quantity
    if quantity.decimals and not arithmetic.places(reading.value):
        return "equal" if quantity.value == reading.value else "different"
    ways = [
        arithmetic.same(quantity.value, quantity.decimals, found, value.hedge)
        for found in (*arithmetic.scales(quantity, reading.value, reading.cell.unit), abs(reading.value))
    ]
    return min(ways, key=("equal", "truncated", "finer", "near", "different").index)


def _strange(
    text: str, value: TextNumber, cell: NamedCell, cells: Sequence[NamedCell], named: Sequence[HeaderMention]
) -> bool:  # fmt: skip
    """Whether a value may be of something else than a cell: of another version, a mean, another row or column."""
    start, end = part_of(text, value)
    changed = (_VERSION.match(text, mention.end) for mention in (cell.row, cell.column))
    owner, behind = OWNER.match(text, value.end), _BRACKET.match(text, value.end)
    if (
        any(changed)
        or _mean(text, cell, named)
        or (owner and not any(meets(owner, mention) for mention in (cell.row, cell.column)))
        or (behind and not any(behind.start(1) <= mention.start < behind.end(1) for mention in named))
        or _unknown_nearer(text, value, cell, named)
    ):
        return True
    for axis in ("row", "column"):
        mine = getattr(cell, axis)
        for other in (getattr(candidate, axis) for candidate in cells if candidate.reading.table == cell.reading.table):
            same_side = (other.end <= value.start) == (mine.end <= value.start)
            listed = _LIST.fullmatch(text, min(mine.end, other.end), max(mine.start, other.start))
            nearer = _gap(other, value) < _gap(mine, value) and other.sure >= mine.sure
            beside = start <= other.start < end and not start <= mine.start < end
            if nearer and (same_side or beside) and not listed:
                return True
    return False


def _mean(text: str, cell: NamedCell, named: Sequence[HeaderMention]) -> bool:
    """Whether a sentence says "mean" without meaning the cell alone: the column of means is its own, with no other."""
    for match in _MEANS.finditer(text):
        axis = next((axis for axis in ("row", "column") if inside(match.start(), [getattr(cell, axis)])), None)
        table = cell.reading.table
        if axis is None or any(
            mention is not getattr(cell, axis) and any(line[:2] == (table, axis) for line in mention.lines)
            for mention in named
        ):
            return True
    return False


def _unknown_nearer(text: str, value: TextNumber, cell: NamedCell, named: Sequence[HeaderMention]) -> bool:
    """Whether a name that no header has stands nearer to a value than a cell's own, or in a list with one of them."""
    gaps = sorted((_gap(cell.row, value), _gap(cell.column, value)))
    following = _NEXT.match(text, value.end)
    if following and not inside(following.start(1), named):
        return True
    for match in _UNKNOWN.finditer(text):
        if not match.start() or any(mention.start < match.end() and match.start() < mention.end for mention in named):
            continue
        away = max(match.start() - value.end, value.start - match.end())
        listed = any(
            _LIST.fullmatch(text, min(mention.end, match.end()), max(mention.start, match.start()))
            for mention in (cell.row, cell.column)
        )
        if listed or 0 <= away < gaps[bool(re.search(r"\d", match[0]))]:
            return True
    return False


def _gap(mention: HeaderMention, value: TextNumber) -> int:
    """Return how many characters stand between a name and a value."""
    return max(mention.start - value.end, value.start - mention.end)


def _derived(
    value: TextNumber, cells: Sequence[NamedCell], values: Sequence[TextNumber], beside: Sequence[Measurement]
) -> bool:  # fmt: skip
    """Whether a value is the difference of two others of its sentence, or the mean of a row or column."""
    stated = value.quantity
    others = [number.quantity.value for number in values if number is not value]
    sizes = [abs(first - second) for first in others for second in others if first != second]
    for axis in ("row", "column"):
        line = {getattr(candidate.reading.cell, axis) for candidate in cells}
        for at in line:
            mine = [reading.value for reading in beside if getattr(reading.cell, axis) == at and reading.index == 0]
            sizes += [sum(mine, Decimal(0)) / len(mine)] if len(mine) > 1 else []
    return any(arithmetic.same(abs(stated.value), stated.decimals, size) == "equal" for size in sizes)


def alike(value: TextNumber, reading: Measurement) -> bool:
    """Whether a value is written like a cell, with as many digits behind the point, and of about its size."""
    quantity = value.quantity
    for found in arithmetic.scales(quantity, reading.value, reading.cell.unit):
        far = abs(abs(quantity.value) - abs(found))
        near = far <= abs(found) * 35 / 100 or far <= 50 * Decimal(1).scaleb(-quantity.decimals)
        if (
            near
            and quantity.decimals >= 1
            and (quantity.decimals <= arithmetic.places(found) or found != reading.value)
        ):
            return True
    return False
