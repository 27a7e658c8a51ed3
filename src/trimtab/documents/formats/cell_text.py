"""What the text of one cell is: a measurement with its unit, a name, or an empty place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trimtab.documents import numerals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

UNITS = r"%|‰|ms|µs|s|sec|seconds|min|minutes|h|hours|GPU hours|days|[KMGT]i?B|[KMBT]|[GTP]?FLOPs?|tokens/s|×|pp|points|nats|bits|dB"  # noqa: E501, RUF001
UNIT_IN_HEAD = re.compile(rf"[(\[]\s*(?:in )?(?P<unit>{UNITS})\s*[)\]]")
UNIT_IN_CELL = re.compile(rf"\d\s*(?P<unit>{UNITS})(?!\w)")
# "0.014 (paired t)" is a measurement, "13B (chat)" is none.
REMARK = re.compile(r"(?<=\.\d)\d*%?\s*\([A-Za-z][^()\d]*\)$")
# Numbers that are a part of a column's name: "R@5", "k = 10".
CUT_OFF = re.compile(r"[A-Z]{0,2}\s?@\s?\d+|[KN]\s?=\s?\d+", re.IGNORECASE)
EMPTY = {"", "-", "–", "—", "--", "---", "−", "n/a", "na", "·", "…", "/", "?", "x", "✓", "✗"}  # noqa: RUF001
ANSWERS = {"yes", "no", "true", "false", "none", "ok"}  # in a cell, never the name of a column


def values(text: str) -> tuple[tuple[Decimal, ...], Decimal | None]:
    """Return the numbers of a cell in order, and the deviation behind ± apart from them."""
    text = numerals.DECIMAL_COMMA.sub(lambda match: match[1].replace(",", "."), text.strip())
    deviation = numerals.spread(text)
    numbers = [number.value for number in numerals.read(text) if deviation is None or number.start != deviation.start]
    return tuple(numbers), None if deviation is None else deviation.value


def numeric(text: str) -> bool:
    """Whether a cell holds a measurement and not a name with digits in it."""
    text = REMARK.sub("", text)
    numbers = numerals.read(text)
    if not numbers:
        return False
    outside = text
    for number in reversed(numbers):
        outside = outside[: number.start] + " " + outside[number.end :]
    letters = re.sub(rf"\b(?:{UNITS}|e|x)(?!\w)", "", outside)
    return sum(letter.isalpha() and letter.isascii() for letter in letters) < 2


def names_a_column(text: str) -> bool:
    """Whether a text can be the name of a column: not a number, an empty place or an answer."""
    return bool(re.search(r"[\w%#$]", text)) and text.casefold() not in EMPTY | ANSWERS and not counted(text)


def counted(text: str) -> bool:
    """Whether a text is a measurement and no name with a number in it, as R@5."""
    return numeric(text) and not CUT_OFF.fullmatch(text)


def mostly_numeric(texts: Iterable[str]) -> bool:
    """Whether numbers are at least half of what is filled."""
    filled = [text for text in texts if text.casefold() not in EMPTY]
    return bool(filled) and 2 * sum(map(numeric, filled)) >= len(filled)


def unit(text: str, column_path: Sequence[str], row_path: Sequence[str], caption: str) -> str:
    """Return the unit that a cell, its heads, its row or its caption says, "" for none."""
    heads = map(UNIT_IN_HEAD.search, (*reversed(column_path), *reversed(row_path), caption))
    return next((match["unit"] for match in (UNIT_IN_CELL.search(text), *heads) if match), "")
