"""Numbers are found where people read numbers, with the digits they printed."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.documents.numerals import read, spread


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("97.6 (90.2)", ["97.6", "90.2"]),
        ("GPT-4, v2.5, Qwen2.5-Coder-7B, 2D, 0-shot", []),
        ("54.90%", ["54.90"]),
        ("\N{MINUS SIGN}1,234.5", ["-1234.5"]),
        ("1,2 or .5", ["1", "2", ".5"]),
        ("from 65.9% to 92.7%.", ["65.9", "92.7"]),
        ("54.9±0.3", ["54.9", "0.3"]),
        ("1.5e-3 and 7B and 12M", ["0.0015", "7E+9", "12E+6"]),
        ("12/45", ["12", "45"]),
        ("2021-06", ["2021", "06"]),
        ("3.1.4", []),
        ("95.7 *", ["95.7"]),
        ("95.7*", ["95.7"]),
    ],
)
def test_read(text, values):
    assert [numeral.value for numeral in read(text)] == [Decimal(value) for value in values]


def test_spread():
    assert str(spread("54.9 ± 0.30").value) == "0.30"
    assert str(spread("54.9 +/- .3").value) == "0.3"
    assert spread("54.9 (0.3)") is None
    assert spread("97.6(90.2)") is None
    assert spread("62.2 (3)") is None
    assert str(spread("71.3(4)").value) == "0.4"
    assert str(spread("62.2 \u2080.\u2083").value) == "0.3"


@given(st.decimals(min_value=0, max_value=10**7, allow_nan=False, places=3), st.integers(0, 3))
def test_what_is_printed_is_read_with_its_digits(value, decimals):
    printed = f"{value:,.{decimals}f}"
    (numeral,) = read(f"it is {printed} here")
    assert f"{numeral.value:,}" == printed
    assert numeral.decimals == decimals
    assert f"it is {printed} here"[numeral.start : numeral.end] == printed
