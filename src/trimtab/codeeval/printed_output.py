"""Whether what a program printed is the output that a test expects, as programming contests mean it.

Decisions: what is not seen does not count: line ends of other systems, blanks at the end of a line and between words,
empty lines. The words of a line are compared as text; only where the expected word is written as a decimal fraction
(``0.5``, ``1e-3``) is a number compared, within a tolerance that is absolute up to 1 and relative beyond. An integer is
text: ``3.0`` and ``03`` are not 3, and no digit of a long one is lost. A NaN is only ever equal as text.
"""

from __future__ import annotations

import math
import re
from typing import Final

TOLERANCE: Final = 1e-6
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_FRACTION: Final = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d+)?", re.ASCII)
_SHOWN: Final = 80  # characters of a line that are quoted
_LONGEST: Final = 400  # characters of a number


def difference(printed: str, expected: str, tolerance: float = TOLERANCE) -> str:
    """Return where two outputs differ, in words, or an empty text where they do not.

    Args:
        printed: What the program printed.
        expected: What the test expects.
        tolerance: For decimal fractions: absolute for values up to 1, relative beyond; 0 compares them as text.
    """
    if printed == expected:
        return ""
    lines, wanted = _lines(printed), _lines(expected)
    for number, (line, other) in enumerate(zip(lines, wanted, strict=False), 1):
        if line != other and not _same(line.split(), other.split(), tolerance):
            return f"line {number}: {_quote(line)} instead of {_quote(other)}"
    if len(lines) != len(wanted):
        return f"{len(lines)} lines instead of {len(wanted)}"
    return ""


def _lines(text: str) -> list[str]:
    return [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]


def _same(words: list[str], wanted: list[str], tolerance: float) -> bool:
    return len(words) == len(wanted) and all(
        word == other or (tolerance > 0 and _near(word, other, tolerance))
        for word, other in zip(words, wanted, strict=True)
    )


def _near(word: str, wanted: str, tolerance: float) -> bool:
    if max(len(word), len(wanted)) > _LONGEST or not (_FRACTION.fullmatch(wanted) and _NUMBER.fullmatch(word)):
        return False
    value, target = float(word), float(wanted)
    return math.isfinite(value) and abs(value - target) <= tolerance * max(1.0, abs(target))


def _quote(line: str) -> str:
    return repr(line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…")
