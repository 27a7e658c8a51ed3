"""Numbers as people print them, with their digits kept: ``Decimal("54.90")`` claims two decimals, 54.9 one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

MINUS = str.maketrans({"−": "-", "–": "-", "\u2010": "-", "\u2011": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " "})  # noqa: RUF001

# A number starts where no word or decimal point runs into it: "GPT-4" and "v2.5" hold none, "-4" and "(90.2)" do;
# the dash of a range ("1-2") is no sign.
NUMERAL = re.compile(
    r"(?<![\w.])(?<![A-Za-z]-)(?P<sign>(?:(?<![\w.%)\]])[-+])?)(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?:[eE](?P<exponent>[-+]?\d{1,3}))?(?P<scale>[KMBT](?!\w))?(?![\w.]*\d)"
    r"(?:(?!-?[A-Za-z])|(?=(?:ms|s|sec|min|h|GB|GiB|MB|MiB|x|pp)(?!\w)))"
)
SPREAD = re.compile(r"(?:±|\+/-|\\pm)\s*(?P<spread>\d*\.?\d+)|(?<=[\d%])\s?(?P<low>[₀-₉]+(?:\.[₀-₉]+)?)")
# "71.3(4)" is 71.3 ± 0.4: whole digits in brackets, without a space, behind a decimal.
LAST_DIGITS = re.compile(r"\.(?P<decimals>\d+)\((?P<last>\d{1,2})\)")
DECIMAL_COMMA = re.compile(r"([-+]?(?:\d{1,3},\d{1,2}|0,\d+))(?=\s*(?:%|±|\(|$))")
_RAISED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
SCALES = {"K": 3, "M": 6, "B": 9, "T": 12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeral:
    """A number found in a text: its value with the digits printed, and its offsets."""

    value: Decimal
    start: int
    end: int

    @property
    def decimals(self) -> int:
        """How many decimals are printed; negative for a value that stands for thousands or millions."""
        exponent = self.value.as_tuple().exponent
        return -exponent if isinstance(exponent, int) else 0


def read(text: str) -> list[Numeral]:
    """Return every number of ``text``, in order, spreads included.

    >>> [str(n.value) for n in read("GPT-4 has 97.60 (90.2) and −1,234 of 1.5e3")]  # noqa: RUF002
    ['97.60', '90.2', '-1234', '1.5E+3']
    """
    numbers = []
    for match in NUMERAL.finditer(text.translate(MINUS)):
        value = Decimal(match["sign"] + match["digits"].replace(",", ""))
        shift = int(match["exponent"] or 0) + SCALES.get(match["scale"] or "", 0)
        numbers.append(Numeral(value=value.scaleb(shift) if shift else value, start=match.start(), end=match.end()))
    return numbers


def spread(text: str) -> Numeral | None:
    """Return the deviation a text gives behind ±, or in brackets as units of the last digit, or None.

    >>> spread("54.9 ± 0.3").value, spread("71.34(12)").value
    (Decimal('0.3'), Decimal('0.12'))
    """
    match = SPREAD.search(text)
    if match is None:
        if short := LAST_DIGITS.search(text):
            deviation = Decimal(short["last"]).scaleb(-len(short["decimals"]))
            return Numeral(value=deviation, start=short.start("last"), end=short.end("last"))
        return None
    name = "spread" if match["spread"] else "low"
    value = Decimal(match[name].translate(_RAISED))
    return Numeral(value=value, start=match.start(name), end=match.end(name))
