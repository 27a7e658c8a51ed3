"""How a number was obtained, read from the words around it: shots, k, decoding, number of problems."""

from __future__ import annotations

import re
from typing import Final

from trimtab.claims.claim_model import MeasurementSetting

_COUNTS: Final = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "ten": 10}
_SHOTS: Final = re.compile(rf"(?<![\w.])(\d+|{'|'.join(_COUNTS)})[\s_-]*shots?(?![a-z])", re.IGNORECASE)
_PASS: Final = re.compile(r"(?<![a-z])pass(?:\s*@\s*|[\s_]?)(\d+)(?!\d|\.[a-z])", re.IGNORECASE)
_DECODING: Final = re.compile(r"\b(greedy|greedily|sampled|sampling)\b", re.IGNORECASE)
_PROBLEMS: Final = re.compile(r"(?<![\w.])(\d{2,5})\s+(?:problems|tasks)\b", re.IGNORECASE)
_SPLIT: Final = re.compile(
    r"\b(sanitized|dev(?:elopment)?(?=\s+(?:set|split))|validation|test(?=\s+(?:set|split)))\b", re.IGNORECASE
)

NOTHING: Final = MeasurementSetting()

SPANS: Final = (_SHOTS, _PASS, _PROBLEMS)
"""Expressions whose numbers describe a setting and are never results."""


def read(text: str) -> MeasurementSetting:
    """Return what ``text`` says; a field it gives two different values for stays None.

    >>> read("HumanEval Pro (0-shot), pass@1").words()
    '0-shot, k=1'
    """
    text = text.replace("_", " ")
    shots = {_COUNTS.get(one.casefold(), -1) if not one.isdigit() else int(one) for one in _SHOTS.findall(text)}
    decoding = {"greedy" if one[0] in "gG" else "sampled" for one in _DECODING.findall(text)}
    return MeasurementSetting(
        shots=_single(shots),
        k=_single({int(one) for one in _PASS.findall(text)}),
        decoding=None if len(decoding) != 1 else "greedy" if "greedy" in decoding else "sampled",
        split=next(iter({one.casefold() for one in _SPLIT.findall(text)}), None),
        problems=_single({int(one) for one in _PROBLEMS.findall(text)}),
    )


def over(first: MeasurementSetting, second: MeasurementSetting) -> MeasurementSetting:
    """Return ``first``, and ``second`` where it says nothing."""
    return MeasurementSetting(
        shots=second.shots if first.shots is None else first.shots,
        k=second.k if first.k is None else first.k,
        decoding=second.decoding if first.decoding is None else first.decoding,
        split=second.split if first.split is None else first.split,
        problems=second.problems if first.problems is None else first.problems,
    )


def conflicts(claimed: MeasurementSetting, found: MeasurementSetting) -> tuple[str, ...]:
    """Return the fields in which a table's setting is not the claimed one; a pass rate without k is pass@1."""
    if (claimed.k or 1) != (found.k or 1):
        return tuple(dict.fromkeys(("k", *claimed.conflicts(found))))
    return claimed.conflicts(found)


def unsaid(claimed: MeasurementSetting, found: MeasurementSetting) -> str:
    """Return in words what is claimed of a setting and a table does not say; a pass rate without k is pass@1."""
    return MeasurementSetting(
        shots=claimed.shots if found.shots is None else None,
        k=claimed.k if found.k is None and claimed.k != 1 else None,
        decoding=claimed.decoding if found.decoding is None else None,
        split=claimed.split if found.split is None else None,
        problems=claimed.problems if found.problems is None else None,
    ).words()


def _single(found: set[int]) -> int | None:
    return next(iter(found)) if len(found) == 1 else None
