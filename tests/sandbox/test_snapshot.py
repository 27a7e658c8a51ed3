"""Digests tell values apart as the wire's encoding does, and what is asked for later is what was returned."""

from __future__ import annotations

import collections
import json
import sys
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.sandbox import codec
from trimtab.sandbox.snapshot import freeze

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
values = st.recursive(
    scalars | st.binary(max_size=2) | st.frozensets(st.integers(0, 9), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=8,
)


def refuse(value):
    raise codec.CodecError(type(value).__name__)


@given(values)
def test_what_is_told_later_is_the_encoding_of_the_value(value):
    assert json.loads(freeze(value, refuse).text()) == json.loads(codec.text(codec.encode(value)))


@given(values)
def test_only_what_is_longer_than_asked_for_is_not_told(value):
    kept = freeze(value, refuse)
    length = len(kept.text())
    assert kept.text(longest=length + 1) is not None
    assert kept.text(longest=len(kept.data) // 5 - 1) is None


@given(values, values)
def test_digests_are_equal_exactly_when_encodings_are(one, other):
    same = codec.text(codec.encode(one)) == codec.text(codec.encode(other))
    assert (freeze(one, refuse).digest == freeze(other, refuse).digest) == same


class Row(list):
    """A subclass whose own methods have no say."""

    def __iter__(self):
        return iter([9])

    def __len__(self):
        return 0

    def __eq__(self, other):
        return True

    __hash__ = None


class Point(NamedTuple):
    """As programs return them."""

    x: int
    y: float | None


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (Row([1, 2]), [1, 2]),
        ([Row([1]), (Row([2]),)], [[1], ([2],)]),
        (Point(1, 2.5), (1, 2.5)),
        ([Point(1, None)] * 3, [(1, None)] * 3),
        (type("Whole", (int,), {})(7), 7),
        ([type("Text", (str,), {})("a")], ["a"]),
    ],
)
def test_a_subclass_has_the_digest_of_the_data_it_crosses_as(value, meant):
    assert freeze(value, refuse) == freeze(meant, refuse)
    assert freeze(value, refuse).digest != freeze([meant], refuse).digest


def test_what_holds_an_object_an_iterator_or_a_dict_is_not_taken_for_plain_data():
    kept = []

    def keep(value):
        kept.append(value)
        return {"handle": [len(kept) - 1, "object", True]}

    assert not freeze([Row([object()])], keep).plain
    assert len(kept) == 1
    assert not freeze(Row([iter([1])]), refuse).plain
    assert not freeze(Row([{}]), refuse).plain


def test_equal_values_have_equal_digests_however_they_came_about():
    letters = ["so", "lve"]
    made = "".join(letters)
    interned = sys.intern("solve")
    assert made is not interned
    assert freeze([made, made], refuse) == freeze([interned, interned], refuse)
    shared = [1, 2]
    assert freeze([shared, shared], refuse).digest == freeze([[1, 2], [1, 2]], refuse).digest
    assert freeze([10**30, -1], refuse).digest == freeze([int("1" + "0" * 30), int("-1")], refuse).digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (True, 1),
        ([1], (1,)),
        (0.0, -0.0),
        (b"ab", bytearray(b"ab")),
        ("1", 1),
        ([], ()),
        ({1: 2}, [1, 2]),
        (collections.OrderedDict(a=1), {"a": 1}),
        ("a\0b", ["a", "b"]),
    ],
)
def test_values_that_are_encoded_apart_have_digests_apart(one, other):
    assert freeze(one, refuse).digest != freeze(other, refuse).digest


def test_a_program_cannot_change_what_it_returned():
    value = [[1.5, "x"], (2, None)]
    kept = freeze(value, refuse)
    value[0].append(3)
    value.clear()
    assert kept.text() == '[[1.5,"x"],{"tuple":[2,null]}]'


def test_a_subclass_is_frozen_as_the_wire_has_it():
    class Any(int):
        def __eq__(self, other):
            return True

        __hash__ = int.__hash__

    assert freeze([Any(4)], refuse).text() == "[4]"
    assert freeze([Any(4)], refuse).digest != freeze([5], refuse).digest


def test_what_is_no_data_is_kept_or_refused():
    assert freeze([object()], lambda _: {"handle": [0, "object", True]}).text() == '[{"handle":[0,"object",true]}]'
    with pytest.raises(codec.CodecError):
        freeze(object(), refuse)
    cycle = []
    cycle.append(cycle)
    with pytest.raises(RecursionError):
        freeze(cycle, refuse)
