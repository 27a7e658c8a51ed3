"""How a number was obtained, read from the words around it: shots, k, decoding, number of problems."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from trimtab.claims.claim_model import MeasurementSetting
from trimtab.claims.wording import any_case

if TYPE_CHECKING:
    from collections.abc import Iterable

_Value = TypeVar("_Value")

_COUNTS: Final = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "ten": 10}
_COUNT: Final = rf"(?:\d+|{'|'.join(_COUNTS)})"
_SHOTS: Final = any_case(rf"(?<![\w.])({_COUNT})[\s_-]*shots?(?![a-z])")
_SHOT_LIST: Final = any_case(
    rf"(?<![\w.])(?:(?:{_COUNT}\s*,\s*)*{_COUNT}\s*,?\s*(?:and|or|/|&)\s*(?={_COUNT}\s+shots\b)"
    rf"|{_COUNT}-\s*(?:and|or|/|&)\s*(?={_COUNT}-shots?\b))"
)
_PASS: Final = any_case(r"(?<![a-z])pass(?:\s*@\s*|[\s_]?)(\d+)(?!\d|\.[a-z])")
_DECODING: Final = any_case(r"\b(greedy|greedily|sampled|sampling(?!\s+temperature))\b")
_PROBLEMS: Final = any_case(r"(?<![\w.])(\d{2,5})\s+(?:problems|tasks)\b")
_SPLIT: Final = any_case(
    r"\b(?:sanitized|dev(?:elopment)?(?=\s+(?:set|split))|validation|test(?=\s+(?:set|split)))\b"
    r"|(?<=\()(?:dev|val|test)(?=\))|(?<=[\w)]\s)(?-i:dev|val|test)(?=\s*(?:[.,;:)]|$))"
)
_SAME_SPLIT: Final = {"dev": "validation", "development": "validation", "val": "validation"}

NOTHING: Final = MeasurementSetting()

SPANS: Final = (_SHOT_LIST, _SHOTS, _PASS, _PROBLEMS)
"""Expressions whose numbers describe a setting and are never results."""


def read(text: str) -> MeasurementSetting:
    """Return what ``text`` says; a field it gives two different values for stays None.

    >>> read("HumanEval Pro (0-shot), pass@1").words()
    '0-shot, k=1'
    """
    text = text.replace("_", " ")
    decoding: Iterable[Literal["greedy", "sampled"]] = (
        "greedy" if word[0] in "gG" else "sampled" for word in _DECODING.findall(text)
    )
    return MeasurementSetting(
        shots=_single(shots(text)),
        k=_single(map(int, _PASS.findall(text))),
        decoding=_single(decoding),
        split=_single(_SAME_SPLIT.get(word, word) for word in (match[0].casefold() for match in _SPLIT.finditer(text))),
        problems=_single(map(int, _PROBLEMS.findall(text))),
    )


def shots(text: str) -> frozenset[int]:
    """Return the numbers of shots that ``text`` gives.

    >>> sorted(shots("MATH is 4-shot, MMLU zero-shot")), sorted(shots("with 0, 4 and 16 shots"))
    ([0, 4], [0, 4, 16])
    """
    text = text.replace("_", " ")
    listed = (word for head in _SHOT_LIST.findall(text) for word in re.findall(r"\w+", head))
    words = [word.casefold() for word in (*listed, *_SHOTS.findall(text)) if word.casefold() not in ("and", "or")]
    return frozenset(int(word) if word.isdigit() else _COUNTS[word] for word in words)


def over(first: MeasurementSetting, second: MeasurementSetting) -> MeasurementSetting:
    """Return ``first``, and ``second`` where it says nothing."""
    return replace(second, **_told(first))


def conflicts(claimed: MeasurementSetting, printed: MeasurementSetting) -> tuple[str, ...]:
    """Return the fields in which a table's setting is not the claimed one; a pass rate without k is pass@1."""
    of_k = ("k",) if (claimed.k or 1) != (printed.k or 1) else ()
    texts = {column.head: column.value for column in printed.columns}
    of_columns = (column.head for column in claimed.columns if texts.get(column.head, column.value) != column.value)
    return tuple(dict.fromkeys((*of_k, *claimed.conflicts(printed), *of_columns)))


def unsaid(claimed: MeasurementSetting, printed: MeasurementSetting) -> str:
    """Return in words what is claimed of a setting and a table does not say; a pass rate without k is pass@1."""
    left = {field: value for field, value in _told(claimed).items() if getattr(printed, field) is None}
    heads = {column.head for column in printed.columns}
    left["columns"] = tuple(column for column in claimed.columns if column.head not in heads)
    return MeasurementSetting(**left if claimed.k != 1 else left | {"k": None}).words()


def _told(setting: MeasurementSetting) -> dict[str, Any]:
    """Return the fields that say something."""
    values = {field.name: getattr(setting, field.name) for field in fields(setting)} if setting != NOTHING else {}
    return {name: value for name, value in values.items() if value not in (None, ())}


def _single(values: Iterable[_Value]) -> _Value | None:
    """Return the value that is given, if just one is."""
    different = set(values)
    return different.pop() if len(different) == 1 else None
