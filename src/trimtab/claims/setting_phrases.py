"""What a sentence says of the columns that part a table's rows: "at an evaluation capacity of 1.25", "with 5 shots"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from trimtab.claims.claim_model import ColumnSetting
from trimtab.claims.setting_columns import EMPTY_WORDS, same_value, words
from trimtab.claims.text_range import TextRange
from trimtab.claims.wording import any_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.claims.number_kinds import TextNumber

_WORD: Final = re.compile(r"(?<![A-Za-z\d])[A-Za-z]+(?![A-Za-z\d])")
_NUMBER: Final = r"[-+\u2212]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?"
_COUNT: Final = r"zero|one|two|three|four|five|six|seven|eight|nine|ten"
_LINK: Final = any_case(
    r"[\s_]*(?:\b(?:factors?|values?|levels?|settings?|numbers?|counts?|parameters?)\s*)?(?:[=:#]|\b(?:of|is|was"
    r"|equals?|equal to|set to|fixed (?:at|to))\b)?\s*"
)
_NUMBER_BEHIND: Final = re.compile(rf"(?P<value>{_NUMBER}\s?%?)(?!\w|\.\d|\s?points?\b|\s?[-\u2013]\s?\d|\s+to\s+\d)")
_NUMBER_BEFORE: Final = any_case(rf"(?<![\w.,-])(?P<value>{_NUMBER}\s?%?|{_COUNT})[\s-]+$")
_MORE: Final = re.compile(rf"\s*(?:,|,?\s*and|,?\s*or|/|&)\s*(?P<value>{_NUMBER})(?!\w|\.\d)(?!\s*[A-Za-z-]*\s*=)")
_BEFORE: Final = any_case(
    r"(?:\b(?:at|with|using|under|for|in|on|by|and|when|where|if|given|of|from|to|while|but|after)\s+)?(?:\b(?:an?|the"
    r"|its|only)\s+)?(?:\b(?:random|sampling|decoding|lora|adapter|fixed|same)\s+)?$"
)
_OTHER_WORD: Final = re.compile(r"(?<![\w.-])[A-Za-z]+\.?[\s_-]+$")
_LONGEST: Final = 60
_EMPTY: Final = EMPTY_WORDS - {"n"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingHead:
    """A column that says how rows were measured, as something to look for in sentences: its name and its values."""

    name: tuple[str, ...]
    values: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingPhrase(TextRange):
    """The words of a sentence that say what stands in such a column."""

    setting: ColumnSetting


@dataclass(frozen=True, slots=True, kw_only=True)
class _Value(TextRange):
    """A value beside a head: its words, and the characters that head and value take together."""

    text: str


def read(text: str, heads: Sequence[SettingHead]) -> tuple[SettingPhrase, ...]:
    """Return what a sentence says of columns, in order; nothing where one is named without a value."""
    ends = {head.name[-1] for head in heads}
    tokens = [(match.start(), match.end()) for match in _WORD.finditer(text)] if ends else []
    phrases: list[SettingPhrase] = []
    at = 0
    while at < len(tokens):
        hit = next(
            (
                (phrase, size)
                for size in range(min(4, len(tokens) - at), 0, -1)
                if (phrase := _phrase(text, tokens[at : at + size], heads))
            ),
            None,
        )
        if hit and not any(hit[0].start < other.end for other in phrases):
            phrases.append(hit[0])
        at += hit[1] if hit else 1
    return tuple(phrases)


def _phrase(text: str, tokens: Sequence[tuple[int, int]], heads: Sequence[SettingHead]) -> SettingPhrase | None:
    """Return what a run of words says, if it is the name of a column or its end, and a value stands beside it."""
    start, end = tokens[0][0], tokens[-1][1]
    if not {text[slice(*tokens[0])].casefold(), text[slice(*tokens[-1])].casefold()}.isdisjoint(_EMPTY):
        return None
    if any(not re.fullmatch(r"[\s_.\-]{1,2}", text[one[1] : other[0]]) for one, other in pairwise(tokens)):
        return None
    name = words(text[start:end])
    whole = [head for head in heads if head.name == name]
    fitting = whole or [head for head in heads if head.name[-len(name) :] == name]
    values = frozenset().union(*(head.values for head in fitting))
    value = _beside(text, start, end, values) if fitting else None
    if value is None:
        return None
    before = _BEFORE.search(text[max(0, value.start - _LONGEST) : value.start])
    first = value.start - (len(before[0]) if before else 0)
    if first == value.start and _OTHER_WORD.search(text, max(0, first - _LONGEST), first):
        return None  # a "training capacity" may be another column's
    return SettingPhrase(first, value.end, setting=ColumnSetting(head=text[start:end], value=value.text))


def _beside(text: str, start: int, end: int, values: frozenset[str]) -> _Value | None:
    """Return the value beside a head: what stands in the column first, else a number behind it or a count before."""
    behind = _LINK.match(text, end)
    place = behind.end() if behind else end
    number, count = _NUMBER_BEHIND.match(text, place), _NUMBER_BEFORE.search(text, max(0, start - _LONGEST), start)
    worded = [
        *(_Value(start, place + len(value), text=value) for value in values if _stands(text, value, place)),
        *(
            _Value(before, end, text=value)
            for value in values
            if (before := len(text[:start].rstrip(" -")) - len(value)) >= 0 and _stands(text, value, before)
        ),
    ]
    if worded:
        return max(worded, key=lambda one: len(one.text))
    if number and (more := _MORE.match(text, number.end())) and _known(more["value"], values):
        return None  # "capacities of 1.25 and 2.0": not one row
    if number and (_known(number["value"], values) or not (count and _known(count["value"], values))):
        known = _known(number["value"], values) or "%" not in number["value"]
        return _Value(start, number.end(), text=number["value"].strip()) if known else None
    if count and (_known(count["value"], values) or all(value.isdigit() for value in values)):
        return _Value(count.start("value"), end, text=count["value"].strip())
    return None


def _stands(text: str, value: str, place: int) -> bool:
    """Whether a value of words stands at a place as whole words."""
    return (
        any(map(str.isalpha, value))
        and text[place : place + len(value)].casefold() == value.casefold()
        and not re.match(r"[\w-]", text[place + len(value) : place + len(value) + 1])
        and not re.match(r"[\w-]", text[max(0, place - 1) : place])
    )


def _known(value: str, values: Iterable[str]) -> bool:
    return any(same_value(value, text) for text in values)


def paired(phrases: Sequence[SettingPhrase], values: Sequence[TextNumber]) -> bool:
    """Whether a sentence tells to which value each phrase belongs: each column is said once, or once for each value."""
    heads = _by_head(phrases).values()
    return all(len(same) == 1 or _in_turn(same, values) for same in heads)


def of_value(
    phrases: Sequence[SettingPhrase], index: int, whole: Sequence[SettingPhrase]
) -> tuple[ColumnSetting, ...]:  # fmt: skip
    """Return what is said of columns for one value of a sentence.

    Args:
        phrases: Those that may be about it.
        index: Which value of the sentence it is.
        whole: All phrases of the sentence.
    """
    own = []
    for same in _by_head(whole).values():
        phrase = same[index] if len(same) > 1 else same[0]
        own += [phrase.setting] if len(same) > 1 or phrase in phrases else []
    return tuple(own)


def _by_head(phrases: Iterable[SettingPhrase]) -> dict[tuple[str, ...], list[SettingPhrase]]:
    groups: dict[tuple[str, ...], list[SettingPhrase]] = {}
    for phrase in phrases:
        groups.setdefault(words(phrase.setting.head), []).append(phrase)
    return groups


def _in_turn(phrases: Sequence[SettingPhrase], values: Sequence[TextNumber]) -> bool:
    """Whether phrases and values take turns: "50.0 at capacity 1.25 and 60.0 at capacity 2.0"."""
    order = sorted([*((one.start, "phrase") for one in phrases), *((one.start, "value") for one in values)])
    kinds = [kind for _, kind in order]
    return len(phrases) == len(values) and all(one != other for one, other in pairwise(kinds))
