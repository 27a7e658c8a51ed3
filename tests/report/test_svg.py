import xml.etree.ElementTree as ET  # our own output, from a test

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.report import svg


@given(st.floats(-1e3, 1e3), st.floats(1e-4, 1e6), st.integers(2, 8))
def test_ticks_are_round_inside_and_not_too_many(low, span, count):
    found = svg.Scale(low=low, high=low + span, start=0, end=100).ticks(count)
    assert len(found) <= count + 1
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in found)


@given(st.floats(1e-4, 1e3), st.floats(1.05, 1e4))
def test_a_log_axis_always_has_marks_inside(low, factor):
    scale = svg.Scale(low=low, high=low * factor, start=100, end=0, log=True)
    found = scale.ticks(4)
    assert found
    assert all(low * 0.999 <= tick <= low * factor * 1.001 for tick in found)
    assert [scale(tick) for tick in found] == sorted((scale(tick) for tick in found), reverse=True)


@pytest.mark.parametrize("log", [False, True])
def test_a_scale_ends_where_it_should_and_holds_outliers_inside(log):
    scale = svg.Scale(low=1, high=100, start=10, end=20, log=log)
    assert (scale(1), scale(100), scale(0.5), scale(1e9)) == (10, 20, 10, 20)
    assert scale(10) == pytest.approx(15 if log else 10 + 10 * 9 / 99)


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"])))
def test_whatever_the_text_it_comes_back_from_a_parser(text):
    element = ET.fromstring(svg.tag("g", svg.title(text), data_name=text))  # noqa: S314 - our own output
    assert (element[0].text or "") == text
    assert element.attrib["data-name"] == text


def test_an_extent_of_nothing_or_of_one_value_is_still_a_range():
    for values, log in (([], False), ([3.0], False), ([0.0], False), ([], True), ([0.0, -1.0], True), ([5.0], True)):
        low, high = svg.extent(values, log=log)
        assert low < high
        assert low > 0 or not log
