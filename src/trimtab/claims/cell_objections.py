"""What speaks against a cell as that of a value: another measure or setting, or a wrong part beside it.

A cell of another measure or setting neither supports nor refutes. A cell that has the value, but not what is said
beside it (a per cent sign, a spread, a size of the system), supports a part only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from trimtab.claims import arithmetic, settings
from trimtab.claims.header_reader import ACROSS, SIZE
from trimtab.claims.number_kinds import PHYSICAL, numbers
from trimtab.claims.result_words import plain
from trimtab.claims.setting_columns import same_value
from trimtab.claims.text_range import TextRange, covered, outside
from trimtab.claims.wording import WORD, any_case, any_of, key

if TYPE_CHECKING:
    from collections.abc import Collection

    from trimtab.claims.claim_model import Fact
    from trimtab.claims.header_reader import Measurement
    from trimtab.claims.measured_table import MeasuredTable
    from trimtab.claims.number_kinds import TextNumber

_CUTOFF: Final = re.compile(r"(?P<measure>[A-Za-z][\w-]*)?\s?@\s?(?P<k>\d+)")
_BRACKET: Final = re.compile(r"\(([^()]*[^\W\d_][^()]*)\)")
_IN_BRACKETS: Final = re.compile(r"\d\s*%?\s*[(\[]\s*[-+\u2212]?\d")
_REPEATS: Final = any_case(
    r"(?<![\w.])(?P<count>\d+|two|three|four|five|six|seven|eight|nine|ten)\s+(?:(?:random|independent|different)\s+)?"
    r"(?P<what>seed|run|trial|fold|repetition)s\b"
)
_PIECE: Final = re.compile(r"[;,]\s|\.\s")
# What is never given in per cent, whatever its number.
_NO_PERCENTAGE: Final = any_of(
    r"perplexity|ppl|loss|nll|bits|rmse|mae|mse|psnr|fid|ratio|sharpe|rank|latency|throughput|score out of"
)
_NOT_IN_PER_CENT: Final = frozenset(
    {"perplexity", "loss", "bits", "rmse", "mean_absolute_error", "psnr", "fid", "real_time_factor"}
)
_UNIT: Final = re.compile(r"\(([^()\s\d@]{1,6})\)")
_SPREAD: Final = re.compile(r"\s*%?\s*(?:\u00b1|\+/-|\\pm)\s*(\d+(?:\.\d+)?)")
_BEHIND: Final = re.compile(r"\s*\(([^()]*)\)")
# What is measured and no part of a name: "(71.3)", "(71.3 vs. 62.2)", "(+6.8)".
_MEASURED: Final = any_case(r"(?<![=\w.])\d+\.\d+(?!\s?[BMKT]\b)|^[+\u2212-]?\d+$|\bvs\b|%")
_OF_PARAMETERS: Final = any_case(r"param|weights")
_UNIT_OF_SIZE: Final = re.compile(r"\d\s?([BMKT])\b")
_FIGURE: Final = re.compile(r"(?<![\w.-])v?\d[\d,]*(?:\.\d+)?")
_OWN_SIZE: Final = re.compile(r"(?<![\w.])(?:\d+x)?(\d+(?:\.\d+)?)\s?([BM])(?![A-Za-z])|-A(\d+(?:\.\d+)?)(B)")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedValue:
    """A fact with a value, and the statement that it was read from."""

    fact: Fact
    statement: str


def measured_otherwise(claimed: StatedValue, reading: Measurement, table: MeasuredTable) -> str:
    """Return in words what else a cell is than what a fact gives: another cut-off, another number of shots."""
    objections = (
        _other_shots(claimed.fact, reading),
        _other_repeats(claimed, reading),
        _other_cutoff(claimed.fact, reading, table),
        _other_side_of_brackets(claimed.fact, reading, table),
        _other_measure(claimed.fact, reading, table),
        _no_share(claimed.fact, reading),
        other_unit(claimed.fact, reading),
    )
    return next(filter(None, objections), "")


def other_unit(fact: Fact, reading: Measurement) -> str:
    """Return in words that a fact's unit, "ms" or "tok/s", is in no header of a cell nor in its caption."""
    unit = next((unit for unit in PHYSICAL if fact.value and fact.value.unit.startswith(unit)), "")
    around = " ".join((*reading.heads, reading.cell.caption, reading.cell.text))
    return f"not said to be in {fact.value.unit}" if fact.value and unit and not re.search(rf"\b{unit}", around) else ""


def wrong_beside(claimed: StatedValue, reading: Measurement, table: MeasuredTable) -> str:
    """Return in words what a statement says beside a cell's value that the cell or its row does not bear out."""
    objections = (
        "no percentage" if _no_percentage(claimed.fact, reading, table) else "",
        _other_spread(claimed, reading),
        _not_its_own(claimed, reading, table),
    )
    return next(filter(None, objections), "")


def _other_shots(fact: Fact, reading: Measurement) -> str:
    """Return how many shots a caption gives, of the part that names the cell's headers if one does."""
    if fact.setting.shots is None or reading.setting.shots is not None:
        return ""
    pieces = _PIECE.split(reading.cell.caption)
    own = [piece for piece in pieces if any(key(head) and key(head) in key(piece) for head in reading.heads)]
    of_cell = settings.shots(" ".join(own)) or settings.shots(reading.cell.caption)
    return "" if fact.setting.shots in of_cell else ", ".join(f"{shots}-shot" for shots in sorted(of_cell))


def _other_repeats(claimed: StatedValue, reading: Measurement) -> str:
    """Return over how many seeds or runs a caption says that its values are, where a statement says another number."""
    stated = {match["what"] == "fold": match["count"] for match in _REPEATS.finditer(claimed.statement)}
    around = " ".join((reading.cell.caption, *reading.heads))
    for match in _REPEATS.finditer(around):
        of_fold = match["what"] == "fold"
        if of_fold in stated and not same_value(stated[of_fold], match["count"]):
            return match[0]
    return ""


def _other_cutoff(fact: Fact, reading: Measurement, table: MeasuredTable) -> str:
    """Return the cut-off of a cell's measure, or its own measure, where a fact names another: "nDCG@10" for nDCG@1."""
    stated = _CUTOFF.search(f"{fact.metric} {fact.benchmark}")
    if not stated or not stated["measure"]:
        return ""
    measure = key(stated["measure"])
    for text in (" ".join(reading.heads), reading.cell.caption):
        cutoffs = [match for match in _CUTOFF.finditer(text) if key(match["measure"] or measure) == measure]
        if cutoffs:
            own = {match["k"] for match in cutoffs}
            if stated["k"] not in own:
                return cutoffs[0][0].strip()
            break
    named = {key(part) for other in table.readings for part in other.heads}
    return "" if measure not in named or measure in map(key, reading.heads) else " > ".join(reading.heads)


def _other_side_of_brackets(fact: Fact, reading: Measurement, table: MeasuredTable) -> str:
    """Return what the number in a cell's brackets is, where a fact's measure is that of the other number."""
    if not fact.metric or not _IN_BRACKETS.search(reading.cell.text) or len(reading.cell.numbers) != 2:
        return ""
    if any("(+)" in head.replace(" ", "") for head in reading.heads):
        return ""  # it is the same measure on a harder version
    brackets = _BRACKET.findall(" ".join((*reading.heads, reading.cell.caption)))
    inside = next((text for text in brackets if _same_measure(fact.metric, text, table)), "")
    if bool(inside) == bool(reading.index):
        return ""
    return f"the number outside of brackets, beside {inside}" if inside else "the number in brackets"


def _other_measure(fact: Fact, reading: Measurement, table: MeasuredTable) -> str:
    """Return the measure of a cell where a fact names another: that of its header's bracket, "accuracy on CoLA (Mcc)".

    What a bracket says is a measure where another header of the table has the fact's own in its place.
    """
    claimed = table.headers.registry.id_of(fact.metric, "metrics")
    own = [text for head in reading.heads for text in _BRACKET.findall(head)]
    if not claimed or not own or claimed == reading.metric:
        return ""
    others = {text for other in table.readings for head in other.heads for text in _BRACKET.findall(head)}
    measured = reading.metric or claimed in {table.headers.read(text).metric for text in others - set(own)}
    return own[-1] if measured else ""


def _same_measure(metric: str, text: str, table: MeasuredTable) -> bool:
    """Whether a text names a measure: by its name, or by its first letter and the same cut-off."""
    registry = table.headers.registry
    known = registry.id_of(metric, "metrics")
    own, other = _CUTOFF.search(metric), _CUTOFF.search(text)
    if own and other:
        initials = [(match["measure"] or " ")[0].casefold() for match in (own, other)]
        return own["k"] == other["k"] and initials[0] == initials[1]
    return key(metric) in key(text) or bool(known and table.headers.read(text).metric == known)


def _no_share(fact: Fact, reading: Measurement) -> str:
    """Say that a cell is a number below one where less is better: a plain 7.7 is no 0.077 of it."""
    value = fact.value
    if value is None or value.unit or not reading.lower or reading.cell.unit == "%":
        return ""
    return "given as a number below one" if abs(value.value) > 1 >= abs(reading.value) else ""


def _no_percentage(fact: Fact, reading: Measurement, table: MeasuredTable) -> bool:
    """Whether a value is told in per cent, and its cell's measure is none that is."""
    value = fact.value
    if value is None or value.unit != "%" or _in_per_cent(reading):
        return False
    heads = " ".join(reading.heads)
    head_metric = table.headers.read(heads).metric
    if abs(reading.value) > 100 or head_metric in _NOT_IN_PER_CENT or _NO_PERCENTAGE.search(heads):
        return True
    line = [
        abs(other.value)
        for other in table.readings
        if other.line(ACROSS[table.axis]) == reading.line(ACROSS[table.axis]) and other.index == reading.index
    ]
    if abs(reading.value) <= 1 and arithmetic.places(reading.value) > 1:
        # A share of one in per cent is a hundred times as much.
        return value.value == reading.value and len(line) > 1 and max(line) <= 1
    elsewhere = any(_in_per_cent(other) for other in table.readings)
    return elsewhere and not any(table.headers.read(part).named for part in reading.heads)


def _in_per_cent(reading: Measurement) -> bool:
    """Whether a cell, its headers, or a caption that gives no other unit say that it is in per cent."""
    units = set(_UNIT.findall(reading.cell.caption))
    own = any("%" in text for text in (reading.cell.text, *reading.heads))
    return own or (reading.cell.unit == "%" and len(units) < 2)


def _other_spread(claimed: StatedValue, reading: Measurement) -> str:
    """Return a cell's spread where a statement gives another one behind the value."""
    stated = _SPREAD.match(claimed.statement, claimed.fact.end) if claimed.fact.end else None
    spread = reading.cell.spread
    if not stated or spread is None:
        return ""
    quantity = Decimal(stated[1])
    same = arithmetic.same(quantity, arithmetic.places(quantity), spread)
    return "" if same == "equal" else f"with a spread of {spread}"


def _not_its_own(claimed: StatedValue, reading: Measurement, table: MeasuredTable) -> str:
    """Return an amount, or a word in brackets behind a name, that a statement gives and the table does not.

    The headers of the cell, its row or the caption would have to: "(70B)", "with 40M parameters", "(strict)".
    """
    text, fact = claimed.statement, claimed.fact
    names = [
        TextRange.of(match) for name in (fact.subject, fact.benchmark) if name for match in _whole(name).finditer(text)
    ]
    mentioned = table.headers.registry.mentions(text)
    others = [name for name in mentioned if name.kind == "models" and not covered(name.start, names)]
    brackets = [TextRange.of(match, 1) for name in names if (match := _BEHIND.match(text, name.end))]
    brackets = [
        place
        for place in brackets
        if not _MEASURED.search(text, place.start, place.end)
        and settings.read(text[place.start - 1 : place.end + 1]) == settings.NOTHING
    ]
    amounts = [number for number in numbers(text, [*names, *mentioned]) if _is_amount(text, number)]
    words = (TextRange.of(word) for word in WORD.finditer(text) if not plain(word[0].casefold()) and word[0].isalpha())
    explained = (
        *mentioned,
        *(number for number in numbers(text, names) if number.kind in ("date", "year", "reference")),
    )
    beside = [place for place in (*amounts, *outside(words, explained)) if covered(place.start, brackets)]
    own = " ".join((*reading.heads, reading.cell.caption, *table.lines.rows.get(reading.cell.row, {}).values()))
    if not others:  # parameters, and other sizes where the row has one in the same unit: "5.0T tokens" of 4.0T
        units = set(_UNIT_OF_SIZE.findall(own))
        beside += [
            number
            for number in outside(amounts, brackets)
            if number.kind == "size"
            and (
                _OF_PARAMETERS.search(text, number.start, number.end)
                or units.intersection(_UNIT_OF_SIZE.findall(text[number.start : number.end]))
            )
        ]
    figures, counts = {*_FIGURE.findall(own), *_sizes(reading, table)}, set(re.findall(r"\b[a-z]+\b", own))
    spelled = {word.casefold() for word in WORD.findall(" ".join((own, *table.lines.heads.values())))}
    for place in beside:
        phrase = text[place.start : place.end]
        figure = _FIGURE.search(phrase)
        sized = _UNIT_OF_SIZE.search(phrase)  # "3T" is not told by "three runs"
        same = figure and any(same_value(figure[0], other) for other in (figures if sized else figures | counts))
        if not (same if figure else phrase.casefold() in spelled):
            return f"and says nothing of {phrase!r}"
    return ""


def _whole(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")


def _is_amount(text: str, number: TextNumber) -> bool:
    """Whether a number says how much of something a value was measured with."""
    phrase = text[number.start : number.end]
    return number.kind in ("size", "count", "version") or (number.kind == "parameter" and phrase[0] not in "\u00b1+")


def _sizes(reading: Measurement, table: MeasuredTable) -> Collection[str]:
    """Return the sizes in a row: in its name and in a cell that is only a size."""
    sizes = [
        f"{match[1] or match[3]}{match[2] or match[4]}"
        for part in reading.heads
        for match in _OWN_SIZE.finditer(part.replace("-", " "))
    ]
    texts = map(str.strip, table.lines.rows.get(reading.cell.row, {}).values())
    sizes += (text.replace(" ", "") for text in texts if SIZE.fullmatch(text))
    return tuple(dict.fromkeys(sizes))
