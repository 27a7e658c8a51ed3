"""What of an open sentence is worth a reader's look: numbers that fit no cell the sentence leads to.

A sentence leads to the lines of a table whose headers it names, or of which it has a word that tells them from others;
what it does not say may stand in the sentence before it or in its heading. A flag accuses nobody and costs a reader ten
seconds, so what a number is need not be certain, only likely.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from operator import ne
from typing import TYPE_CHECKING, Final

from trimtab.claims import arithmetic
from trimtab.claims.citation_marks import without_citations
from trimtab.claims.claim_model import Quantity
from trimtab.claims.claim_verdict import Flag, Stance
from trimtab.claims.header_places import MANY, numbers_outside
from trimtab.claims.header_reader import ACROSS, AXES
from trimtab.claims.named_cells import NO_ENGLISH, alike, fits
from trimtab.claims.number_kinds import TextNumber
from trimtab.claims.stated_cells import in_a_range, is_a_difference
from trimtab.claims.wording import any_case, stems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trimtab.claims.claim_model import Claim
    from trimtab.claims.claim_verdict import Evidence
    from trimtab.claims.header_places import HeaderMention, HeaderPlaces
    from trimtab.claims.header_reader import HeaderLine, Measurement
    from trimtab.claims.vocabulary import Axis

_STRANGERS: Final = 2
"""Numbers of a sentence that may fit nothing where none of its numbers fits; with more it is about other tables."""
_SMALL: Final = 20
"""A whole number below it stands in a cell by chance."""
_NEAR: Final = 35
"""Per cent of a whole number by which another one is still near it."""
_SETTING: Final = re.compile(r"[A-Za-z]\w*\s?=\s?(\d+\.\d+)")
_INTERVAL: Final = re.compile(r"\[\s*-?[\d.]+,\s*$"), re.compile(r",\s*-?[\d.]+\s*\]")
_NUMBERED: Final = re.compile(r"\b(?!In\b|At\b|With\b|Only\b|From\b|To\b)[A-Z][a-z]+ \d+(?:\.\d+)+(?!\d|\s?%)")
_SIZE_OF: Final = any_case(
    r"\b(?:improve\w*|reduc\w+|gains?|increase\w*|decrease\w*|drop(?:s|ped)?|gap|differences?|margins?|speed-?ups?|leads?)"
    r"\s+(?:of|by|is|was)?\s*(?:about|only|up to|an?)?\s*$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A number that may be wrong, the cell it is held against, and what is wrong with it, in words."""

    value: TextNumber
    reading: Measurement
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A value, the only name of a sentence under which a table has it, and where."""

    value: TextNumber
    name: HeaderMention
    reading: Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """What a sentence leads to in one table: the cells where its lines meet, and all cells of those lines."""

    cells: tuple[Measurement, ...]
    lines: tuple[Measurement, ...]


def flags(claim: Claim, places: HeaderPlaces, cells: Sequence[Evidence]) -> Iterator[Flag]:
    """Yield what is worth a look in a claim that is not decided.

    Args:
        claim: The claim.
        places: The headers of the sources' tables.
        cells: What cells say of its facts.
    """
    for words in arithmetic.contradictions(claim.statement):
        yield Flag(name="numbers do not add up", text=words)
    open_words = f"not understood was {', '.join(map(repr, claim.unread[:3]))}" if claim.unread else ""
    for suspect in _suspects(claim, places):
        cell = places.index.target(suspect.reading)
        yield Flag(
            name="worth a look",
            text=f"{suspect.value.quantity.text} {suspect.why}: {cell.quote} [{cell.document}: {cell.location}];"
            f" {open_words or 'nothing says outright that it is meant'}",
        )
    for index, fact in enumerate(claim.facts):
        refuting = [item for item in cells if item.fact == index and item.target is not None]
        if fact.value is None and fact.benchmark and {item.stance for item in refuting} == {Stance.REFUTES}:
            yield Flag(name="worth a look", text=f"{refuting[0].why}; {open_words}")


def _suspects(claim: Claim, places: HeaderPlaces) -> Iterator[Suspect]:
    """Yield the numbers of a claim that fit no cell it leads to, and those that stand at another's name."""
    text = without_citations(claim.statement)
    named = places.mentions(text)
    values = _values(text, named)
    if not values or len(values) > MANY:
        return
    before = [mention for words in claim.context for mention in places.mentions(words) if mention.sure]
    own = places.cells(named)
    if not own and not any(fact.subject in text and re.search(r"[A-Z\d]", fact.subject) for fact in claim.facts):
        own = [cell for cell in places.cells([*named, *before]) if (cell.row in named) != (cell.column in named)]
    # Words lead only where they can be told from each other; names do in every script.
    leads = [] if NO_ENGLISH.search(text) else _leads(text, places, named, before)
    led = [reading for lead in leads for reading in (*lead.lines, *lead.cells)] + [cell.reading for cell in own]
    heads = " ".join({head for reading in led for head in reading.heads})
    fitting = {value.start: [reading for reading in led if fits(value, reading)] for value in values}
    telling = [value for value in values if value.quantity.decimals or abs(value.quantity.value) >= _SMALL]
    anchors = {reading.table for value in telling for reading in fitting[value.start]}
    strange = [
        value
        for value in values
        if not fitting[value.start]
        and _digits(value) > 1
        and value.quantity.text not in heads  # "Selective (at 0.15)"
        and _may_be_a_result(text, value, anchored=bool(anchors))
    ]
    sizes = [value for value in strange if is_a_difference(text, value) or _SIZE_OF.search(text[: value.start])]
    unfit = [value for value in strange if value not in sizes]
    for value in strange if anchors or len(unfit) <= _STRANGERS else ():
        near = [reading for reading in led if _slip(value, reading)]
        if value in unfit and not near:
            named_cells = [cell.reading for cell in own if cell.row.sure and cell.column.sure]
            near = [reading for reading in named_cells if _near(value, reading)] or [
                reading
                for lead in leads
                for reading in lead.cells
                if reading.table in anchors and _near(value, reading)
            ]
        if near:
            nearest = min(near, key=lambda reading: abs(reading.value - value.quantity.value))
            yield Suspect(value=value, reading=nearest, why="is in no cell that is named here, the nearest has")
    yield from _exchanged(values, named, places)


def _values(text: str, named: Iterable[HeaderMention]) -> list[TextNumber]:
    """Return the numbers of a sentence that may be results: values, and what stands behind a sign of equality."""
    values = []
    for number in numbers_outside(text, named):
        setting = _SETTING.fullmatch(text, number.start, number.end)
        if number.kind == "value":
            values.append(number)
        elif number.kind == "parameter" and setting:
            quantity = Quantity(text=setting[1])
            values.append(TextNumber(kind="value", quantity=quantity, start=setting.start(1), end=setting.end(1)))
    return values


def _leads(
    text: str, places: HeaderPlaces, named: Sequence[HeaderMention], before: Sequence[HeaderMention]
) -> list[Lead]:
    """Return what a sentence leads to, table by table, by its own names and words and by the names before it."""
    lines = {line for mention in named if mention.sure for line in mention.lines} | places.sharing(stems(text))
    around = {line for mention in before for line in mention.lines}
    leads = []
    for table in sorted({line.table for line in lines}):
        readings = places.by_table[table]
        # Of an axis on which the sentence names no line, those named before it count.
        at = {
            axis: {line for line in lines if line.side == (table, axis)}
            or {line for line in around if line.side == (table, axis)}
            for axis in AXES
        }
        cells = [
            reading for reading in readings if all(not at[axis] or reading.line(axis) in at[axis] for axis in AXES)
        ]
        on_lines = [reading for reading in readings if not lines.isdisjoint(map(reading.line, AXES))]
        leads.append(Lead(cells=tuple(cells), lines=tuple(on_lines)))
    return leads


def _exchanged(
    values: Sequence[TextNumber], named: Sequence[HeaderMention], places: HeaderPlaces
) -> Iterator[Suspect]:  # fmt: skip
    """Yield the first of some values of one line that stand at each other's names, once a table.

    Names come before their values, behind them, or in a list in the same order. Where none of the three is kept, but
    for one value of three or more, the values have changed places, or the names.
    """
    telling = [value for value in values if value.quantity.decimals and _digits(value) > 1]
    sure = [mention for mention in named if mention.sure]
    for table, axis in sorted(set().union(*(mention.sides for mention in sure))):
        names = [mention for mention in sure if (table, axis) in mention.sides]
        names = [
            mention
            for mention in names
            if not any(other is not mention and mention.within(other.start, other.end) for other in names)
        ]
        beside: dict[HeaderLine, list[Measurement]] = defaultdict(list)
        for reading in places.by_table[table] if len(telling) > 1 and len(names) > 1 else ():
            beside[reading.line(ACROSS[axis])].append(reading)
        for readings in beside.values():
            owned = [owner for value in telling if (owner := _owner(value, names, axis, readings))]
            if len({owner.name.lines for owner in owned}) > 1 and not _in_an_order(owned, names):
                why = "and others stand at each other's names, it is of"
                yield Suspect(value=owned[0].value, reading=owned[0].reading, why=why)
                break


def _owner(
    value: TextNumber, names: Sequence[HeaderMention], axis: Axis, readings: Sequence[Measurement]
) -> Owner | None:  # fmt: skip
    """Return the only one of some names under which a line has a value."""
    owners = [
        Owner(value=value, name=name, reading=reading)
        for reading in readings
        if fits(value, reading)
        for name in names
        if reading.line(axis) in name.lines
    ]
    return owners[0] if len({owner.name.lines for owner in owners}) == 1 else None


def _in_an_order(owned: Sequence[Owner], names: Sequence[HeaderMention]) -> bool:
    """Whether the names of values come all before them, or all behind, or in a list in the order of the values."""
    owners = [owner.name.lines for owner in owned]
    starts = [owner.value.start for owner in owned]
    orders = (
        [next((name.lines for name in reversed(names) if name.end <= start), None) for start in starts],
        [next((name.lines for name in names if name.start > start), None) for start in starts],
        [name.lines for name in names],
        # "X and Y are fast; X beats Y (71.3 vs. 69.8)": the names right before the values.
        [name.lines for name in names if name.end <= starts[0]][-len(owners) :] if starts else [],
    )
    spare = len(owners) > 2
    return any(len(order) == len(owners) and sum(map(ne, order, owners)) <= spare for order in orders)


def _digits(value: TextNumber) -> int:
    """Return how many digits of a number count: one of "0.05", three of "0.290"."""
    return len(value.quantity.text.replace(".", "").lstrip("-0"))


def _near(value: TextNumber, reading: Measurement) -> bool:
    """Whether a number is written like a cell and is of about its size."""
    quantity = value.quantity
    if (quantity.value < 0) != (reading.value < 0) or reading.cell.text.startswith("["):
        return False  # of the other sign, or an interval
    if quantity.decimals or arithmetic.places(reading.value):
        return alike(value, reading)
    return abs(quantity.value - reading.value) * 100 <= abs(reading.value) * _NEAR


def _slip(value: TextNumber, reading: Measurement) -> bool:
    """Whether a number is a cell's with two of its digits exchanged, the most common error of copying."""
    mine = str(value.quantity.value)
    for number in arithmetic.scales(value.quantity, reading.value, reading.cell.unit):
        its = format(round(number, value.quantity.decimals), "f")
        if _digits(value) == 2 and (number != reading.value or arithmetic.places(number) != value.quantity.decimals):
            continue  # too short to be told from a rounded number
        if len(mine) == len(its) and [mine[at] != its[at] for at in range(len(mine))].count(True) == 2:
            return sorted(mine) == sorted(its)
    return False


def _may_be_a_result(text: str, value: TextNumber, *, anchored: bool) -> bool:
    """Whether a number may be a result: no bound, end of an interval or number of a theorem or version.

    Of a range an end may be one where another number of the sentence is (``anchored``).
    """
    before, behind = text[: value.start], text[value.end :]
    return not (
        value.hedge not in ("exactly", "about")
        or _INTERVAL[0].search(before)
        or _INTERVAL[1].match(behind)
        or re.match(r"\s?/\s?\d", behind)  # "55/61" is a share, which arithmetic reads
        or (not anchored and in_a_range(text, value))
        or any(match.start() < value.start < match.end() for match in _NUMBERED.finditer(text))
    )
