import pytest

from trimtab.report import numbers
from trimtab.stats import Interval
from trimtab.study.endpoints import ENDPOINTS

LOSS, PASS = ENDPOINTS["python_loss"], ENDPOINTS["micro_pass1"]


@pytest.mark.parametrize(
    ("endpoint", "value", "margin", "text"),
    [
        (LOSS, 0.0512, 0.02, "+0.051"),
        (LOSS, -0.0512, None, "\u22120.051"),
        (LOSS, 0.00123, 0.002, "+0.0012"),
        (LOSS, -0.0001, 0.02, "0.000"),
        (PASS, 0.0512, 0.05, "+5.1"),
        (PASS, -0.0001, 0.05, "0.0"),
    ],
)
def test_a_difference_is_signed_and_shows_the_margin(endpoint, value, margin, text):
    assert numbers.signed(endpoint, value, margin) == text


def test_an_interval_is_in_brackets_or_said_to_be_absent():
    assert numbers.span(PASS, Interval(low=-0.1, high=0.2, confidence=0.95)) == "[\u221210.0, +20.0]"
    assert numbers.span(PASS, None) == "no interval"


@pytest.mark.parametrize(("p", "text"), [(None, "\u2013"), (0.0004, "< 0.001"), (0.0312, "0.031"), (1.0, "1")])
def test_a_p_value_has_two_digits(p, text):
    assert numbers.p_value(p).replace("\u202f", " ") == text
