"""Plain data survives being written, and assertions written from it hold for it and for nothing near it."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.codeeval.selfinvoke.plain_literals import arguments, assertion, join, literal, same

KEYS = st.one_of(st.integers(), st.text(max_size=4), st.booleans(), st.none())
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)
PLAIN = st.recursive(
    st.one_of(KEYS, NUMBERS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(KEYS, inner, max_size=3),
        st.sets(KEYS, max_size=3),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(PLAIN)
def test_what_is_written_is_read_back(value):
    assert ast.literal_eval(literal(value)) == value
    assert ast.literal_eval(f"({arguments((value, 1))},)") == (value, 1)
    assert same(value, ast.literal_eval(literal(value)))


@settings(max_examples=100, deadline=None)
@given(PLAIN)
def test_an_assertion_holds_for_its_own_result_and_not_for_another(value):
    def passes(result):
        try:
            exec(join([assertion("f", (1,), value)]), {"f": lambda _: result})  # noqa: S102 - our own text
        except (AssertionError, TypeError):  # a list is no distance away from a number: it fails all the same
            return False
        return True

    assert passes(value)
    assert not passes([value])
    if type(value) is float:
        assert passes(value * (1 + 1e-9))
        assert not passes(value + 1e-3 * max(1, abs(value)))


def test_sets_are_written_in_one_order():
    assert literal({"b", "a", "c"}) == "{'a', 'b', 'c'}"
    assert literal([frozenset({2, 1}), frozenset(), set()]) == "[frozenset({1, 2}), frozenset(), set()]"


@pytest.mark.parametrize(("a", "b"), [(1, True), (1, 1.0), ([1], (1,)), ({1: 0.1}, {1: 0.2}), ([0.1], [0.1, 0.2])])
def test_what_differs_is_not_the_same(a, b):
    assert not same(a, b)
