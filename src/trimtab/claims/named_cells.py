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
from itertools import pairwise, permutations
from typing import TYPE_CHECKING, Final

from trimtab.claims import arithmetic
from trimtab.claims.citation_marks import without_citations
from trimtab.claims.header_places import MANY, numbers_outside
from trimtab.claims.header_reader import AXES
from trimtab.claims.stated_cells import UNNAMED, NamedSentence, meant, stated_outright, tied
from trimtab.claims.understanding import AVERAGED
from trimtab.claims.wording import any_case, any_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.claims.header_places import HeaderMention, HeaderPlaces, NamedCell
    from trimtab.claims.header_reader import Measurement
    from trimtab.claims.number_kinds import TextNumber
    from trimtab.claims.table_index import TableIndex

_UNREAL: Final = any_of(r"would|could|might|if|unless|never|hypothetical\w*|assuming|expected|projected")
_OPENING: Final = any_case(
    r"\s*(?:with|without|when|under|using|after|before|given|by|(across|for|at|in|on|within|during))\b[^,;:]*,"
)
_CHANGES: Final = any_case(
    r"\b(?:(?P<up>increas\w+|rais(?:es|ed|ing)|ris(?:es|ing)|rose|grows?|grew|jump\w*|climb\w*|boost\w*)"
    r"|(?P<down>decreas\w+|drop\w*|reduc\w+|falls?|fell|declin\w+|lowers|shrink\w*|collaps\w+))\b[^.;:]{0,40}?\bfrom\s+$"
)
_VERSION: Final = re.compile(r"\s*\([^()]*(?:19|20)\d\d|,\s*[\w-]+ed\b(?!\s+(?:by|in|on)\b[^,]*$)")
_VARIANT: Final = any_case(r"(?:with|without|w/o?|\+)[\s+]")
NO_ENGLISH: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Scripts of sentences of which nothing is held against a cell that no fact names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """What a sentence says of cells it names and they do not.

    Attributes:
        start: First character of a value that was meant to be a named cell and is none; -1 of a change that goes the
            other way in the cells, "rises from 71.0 to 62.2".
        reading: The named cell it is nearest to, or the cell of the change's second value.
        why: In words.
        home: The other named cell that prints the value.
    """

    start: int
    reading: Measurement
    why: str
    home: Measurement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueFit:
    """Which values of a sentence stand in cells it names.

    Attributes:
        misfits: What does not.
        settled: First characters of values that stand in a cell of the very names beside them.
    """

    misfits: tuple[Misfit, ...] = ()
    settled: frozenset[int] = frozenset()


def fit(text: str, places: HeaderPlaces) -> ValueFit:
    """Return which values of a sentence stand in the cells it names, and which do not though they were meant to."""
    text = without_citations(text)
    named = places.mentions(text)
    cells = places.cells(named)
    numbers = numbers_outside(text, named) if cells else []
    values = [number for number in numbers if number.kind == "value"]
    if len(values) > MANY:
        return ValueFit()  # a picture's or a table's numbers in a row
    allowed = {value.start: _allowed(text, value, cells, named) for value in values}
    fitting = {value.start: [cell for cell in allowed[value.start] if fits(value, cell.reading)] for value in values}
    settled = frozenset(start for start in fitting if fitting[start] and len(allowed[start]) < len(cells))
    if _UNREAL.search(text) or NO_ENGLISH.search(text):
        return ValueFit(settled=settled)  # only English accuses, and nothing hypothetical
    sentence = NamedSentence(text=text, named=named, numbers=numbers, fitting=fitting)
    stated = [value for value in values if meant(sentence, value)]
    unfit = [value for value in stated if not fitting[value.start]]
    homes = [next((cell.reading for cell in cells if fits(value, cell.reading)), None) for value in unfit]
    if len(unfit) > 1 and len(unfit) == len(stated) and not any(homes):
        return ValueFit(settled=settled)  # the sentence is about other numbers than this table's
    misfits = []
    for value, home in zip(unfit, homes, strict=True):
        cell = _intended(sentence, value, allowed[value.start], places.index, swapped=home is not None)
        if (
            cell is None
            or not stated_outright(sentence, value, cell, swapped=home is not None)
            or _other(sentence, cell)
        ):
            continue
        lines = set(map(cell.reading.line, AXES))
        beside = [item for item in places.by_table[cell.reading.table] if lines & set(map(item.line, AXES))]
        printed = any(same_as_cell(value, item) in ("equal", "truncated", "finer") for item in beside)
        if (home or not printed) and not _derived(sentence, value, cell, beside):
            row, column = (" > ".join(cell.reading.path(axis)) for axis in AXES)
            where = f"{row} under {column} has {cell.reading.cell.text}"
            why = f"{value.quantity.text} is in no cell that is named here: {where}"
            misfits.append(Misfit(start=value.start, reading=cell.reading, why=why, home=home))
    return ValueFit(misfits=(*misfits, *_turns(sentence)), settled=settled)


def _intended(
    sentence: NamedSentence, value: TextNumber, allowed: Sequence[NamedCell], index: TableIndex, *, swapped: bool
) -> NamedCell | None:
    """Return the cell that a value is most likely meant as; None where it may be meant as another number."""
    text, named = sentence.text, sentence.named
    texts = [text[mention.start : mention.end] for mention in named]
    anchors = frozenset[object]().union(*(cell.lines for _, cell in sentence.others(value)))
    near = [
        cell
        for cell in allowed
        if min(cell.row.sure, cell.column.sure)
        and not (cell.loose or cell.row.modified or cell.column.modified)
        and ((swapped and value.quantity.decimals) or alike(value, cell.reading))
        and not index.of(cell.reading).open_parts(cell.reading, texts)
    ]
    anchored = [cell for cell in near if anchors & cell.lines]
    if not anchored and UNNAMED.search(text):
        return None
    opening = _OPENING.match(text)
    scope_told = anchored and opening and opening[1]
    if opening and not scope_told and not any(name.sure == 2 and name.start < opening.end() for name in named):
        return None  # a condition at its head
    sure = anchored or [cell for cell in near if max(cell.row.sure, cell.column.sure) == 2]
    return min(sure, key=lambda cell: (cell.away(value.quantity.value), cell.distance(value)), default=None)


def _turns(sentence: NamedSentence) -> Iterator[Misfit]:
    """Yield the changes of which both ends stand in one row or column, and go the other way."""
    text, fitting = sentence.text, sentence.fitting
    for before, after in pairwise(sentence.values):
        verb = _CHANGES.search(text[: before.start])
        if not verb or not re.fullmatch(r"\s*%?\s*(?:\([^()]*\)\s*)?to\s+", text[before.end : after.start]):
            continue
        gap = after.quantity.value - before.quantity.value
        ends = [
            second.reading
            for first in fitting[before.start]
            for second in fitting[after.start]
            if first.lines & second.lines
        ]
        if ends and (gap < 0 if verb["up"] else gap > 0):
            words = text[verb.start() : after.end]
            why = f"{words!r}: both values stand in cells, and the change goes the other way"
            yield Misfit(start=-1, reading=ends[0], why=why)


def _allowed(
    text: str, value: TextNumber, cells: Sequence[NamedCell], named: Sequence[HeaderMention]
) -> Sequence[NamedCell]:  # fmt: skip
    """Return the cells a value can be: those of the names that stand right beside it, if any do."""
    # In "over Foo (86.7 vs. 33.3)" the first value is not Foo's.
    compared = text[: value.start].endswith("(") and re.match(r"\s*%?\s*(?:vs\b|versus\b)", text[value.end :])
    for mention in named:
        if mention.sure and tied(text, value, mention) and not (compared and mention.end <= value.start):
            # "With retrieval, Foo has 68.0": of Foo's row, or of the row "w/ retrieval" below it.
            cells = [
                cell
                for cell in cells
                if mention in (cell.row, cell.column)
                or any(_VARIANT.match(text, side.start, side.end) for side in (cell.row, cell.column))
            ] or cells
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
            other is not mention and mention.within(other.start, other.end) and other.sure == 2
            and other.sides & mention.sides
            for other in named
        )
    ]  # fmt: skip
    return [cell for cell in cells if cell.row not in others and cell.column not in others] or cells


def fits(value: TextNumber, reading: Measurement) -> bool:
    """Whether a value is a cell's."""
    return same_as_cell(value, reading) != "different"


def same_as_cell(value: TextNumber, reading: Measurement) -> arithmetic.Sameness:
    """Return whether a value is a cell's, as it is or as a share told in per cent."""
    quantity = value.quantity
    if quantity.decimals and not arithmetic.places(reading.value):
        return "equal" if quantity.value == reading.value else "different"
    numbers = (*arithmetic.scales(quantity, reading.value, reading.cell.unit), abs(reading.value))
    return arithmetic.nearest(quantity, numbers, value.hedge)


def _other(sentence: NamedSentence, cell: NamedCell) -> bool:
    """Whether a sentence is of another version than a cell, "Foo (2024)", or says "mean" and not of the cell alone.

    The column of means is its own, with no other.
    """
    if any(_VERSION.match(sentence.text, mention.end) for mention in (cell.row, cell.column)):
        return True
    for match in AVERAGED.finditer(sentence.text):
        axis = next((axis for axis in AXES if getattr(cell, axis).holds(match.start())), None)
        others = (mention for mention in sentence.named if axis is None or mention is not getattr(cell, axis))
        if axis is None or any((cell.reading.table, axis) in mention.sides for mention in others):
            return True
    return False


def _derived(sentence: NamedSentence, value: TextNumber, cell: NamedCell, beside: Sequence[Measurement]) -> bool:
    """Whether a value is the difference of two others of its sentence, or the mean of a cell's row or column."""
    others = [number.quantity.value for number in sentence.values if number is not value]
    sizes = [abs(first - second) for first, second in permutations(others, 2) if first != second]
    for axis in AXES:
        line = [item.value for item in beside if item.line(axis) == cell.reading.line(axis) and item.index == 0]
        sizes += [sum(line, Decimal(0)) / len(line)] if len(line) > 1 else []
    stated = value.quantity
    return any(arithmetic.same(abs(stated.value), stated.decimals, size) == "equal" for size in sizes)


def alike(value: TextNumber, reading: Measurement) -> bool:
    """Whether a value is written like a cell, with as many digits behind the point, and of about its size."""
    quantity = value.quantity
    for number in arithmetic.scales(quantity, reading.value, reading.cell.unit):
        far = abs(abs(quantity.value) - abs(number))
        near = far <= abs(number) * 35 / 100 or far <= 50 * Decimal(1).scaleb(-quantity.decimals)
        if (
            near
            and quantity.decimals >= 1
            and (quantity.decimals <= arithmetic.places(number) or number != reading.value)
        ):
            return True
    return False
