"""What counts as the same output."""

import pytest

from trimtab.codeeval.printed_output import difference

SAME = [
    ("3", "3\n"),
    ("1 2 \r\n3\n\n", "1  2\n3"),
    ("0.3333333", "0.33333333333"),
    ("1e-7", "0.0"),
    ("1000000.5", "1000000.1"),  # within a millionth of the value
    ("2", "2.0"),
    ("", "\n \n"),
    ("NaN", "NaN"),
    ("12345678901234567890123", "12345678901234567890123"),
    ("-0.0", "0.0"),
]
OTHER = [
    ("3", "4"),
    ("3.0", "3"),  # an integer is text
    ("03", "3"),
    ("1 2", "1\n2"),
    ("1\n2", "1"),
    ("yes", "YES"),
    ("0.334", "0.333"),
    ("nan", "0.5"),
    ("inf", "1e308"),
    ("1_0.0", "10.0"),
    ("12345678901234567890124", "12345678901234567890123"),
    ("٣.0", "3.0"),
]


@pytest.mark.parametrize(("printed", "expected"), SAME)
def test_what_is_not_seen_and_a_millionth_do_not_count(printed, expected):
    assert difference(printed, expected) == ""


@pytest.mark.parametrize(("printed", "expected"), OTHER)
def test_what_differs_is_quoted(printed, expected):
    assert difference(printed, expected)


def test_without_a_tolerance_all_is_text():
    assert difference("0.50", "0.5", tolerance=0) == "line 1: '0.50' instead of '0.5'"
    assert difference("a\nb", "a\nc") == "line 2: 'b' instead of 'c'"
    assert difference("a", "a\nb") == "1 lines instead of 2"
