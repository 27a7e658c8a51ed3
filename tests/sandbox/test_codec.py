"""Values cross exactly; nothing but what was encoded can be read; nothing passes for equal by trickery."""

# ruff: noqa: E501 - one message after another

from __future__ import annotations

import array
import collections
import datetime as dt
import decimal
import fractions
import itertools
import json
import math
import time
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.sandbox import codec, stand_ins

hashable = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.dates(),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
values = st.recursive(
    hashable
    | st.complex_numbers(allow_nan=False)
    | st.fractions()
    | st.decimals(allow_nan=False)
    | st.datetimes()
    | st.times()
    | st.timedeltas()
    | st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 3)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.lists(inner, max_size=3).map(collections.deque)
        | st.sets(hashable, max_size=4)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.dictionaries(hashable, inner, max_size=4).map(collections.OrderedDict)
    ),
    max_leaves=12,
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*codec._PLAIN_READERS, *codec._RICH_READERS, "handle", "x"]), inner, max_size=2
        )
    ),
    max_leaves=10,
)


def shape(value):
    """Types all the way down, since 1 == True == 1.0."""
    if isinstance(value, dict):
        return type(value), [(shape(k), shape(v)) for k, v in value.items()]
    if isinstance(value, list | tuple | collections.deque):
        return type(value), [shape(item) for item in value]
    if isinstance(value, set | frozenset):
        return type(value), sorted(repr(shape(item)) for item in value)
    return type(value)


@given(values)
def test_round_trip_keeps_value_and_types(value):
    over = codec.Decoder().decode(codec.loads(codec.dumps({"v": codec.encode(value)}))["v"])
    assert over == value
    assert shape(over) == shape(value)


@pytest.mark.parametrize(
    "value",
    [math.inf, -math.inf, -0.0, 10**5000, -(2**63), 2**63, "\ud800", "\0", b"\xff"],
    ids=lambda v: type(v).__name__,
)
def test_awkward_scalars_cross(value):
    over = codec.Decoder(plain=True).decode(codec.loads(codec.dumps({"v": codec.encode(value)}))["v"])
    assert over == value
    assert type(over) is type(value)
    assert not isinstance(value, float) or math.copysign(1, over) == math.copysign(1, value)


def test_nan_stays_nan():
    assert math.isnan(codec.Decoder().decode(codec.encode(math.nan)))


@given(anything, st.booleans())
def test_reading_garbage_gives_plain_data_or_a_codec_error(data, plain):
    try:
        value = codec.Decoder(plain=plain).decode(data)
    except codec.CodecError:
        return
    allowed = {"builtins", "collections", "datetime", "decimal", "fractions", stand_ins.__name__}
    assert type(value).__module__ in allowed


@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_are_refused(data):
    try:
        found = codec.loads(data)
    except codec.CodecError:
        return
    assert json.loads(data) == found


NO_MESSAGES = [b"[" * 100_000, b'{"a":' * 100_000, b"[]", b"1", b'{"a": NaN}', b"1" * 5000, b"\xff", b""]


@pytest.mark.parametrize("data", NO_MESSAGES, ids=range(len(NO_MESSAGES)))
def test_hostile_messages_are_refused(data):
    with pytest.raises(codec.CodecError):
        codec.loads(data)


HOSTILE = [
    {"pickle": "x"}, {"int": 5}, {"int": "zz"}, {"float": "1e3"}, {"set": [[]]}, {"dict": [1]}, {"dict": [[], 1]},
    {"bytes": "?"}, {"range": [1, 2, 0]}, {"range": [1, "2", 3]}, {"Fraction": [1, 0]}, {"Decimal": "x"}, {"type": "open"},
    {"handle": [1]}, {"handle": ["1", "x", True]}, {"handle": [1, "x", 1]}, {"tuple": 3}, {"tuple": [1], "set": [1]}, {},
    {"date": "2020-99-01"}, {"complex": [1, 2]}, {"timedelta": [10**12, 0, 0]}, {"Fraction": [True, 1]},
]  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE, ids=repr)
def test_what_encode_does_not_write_is_refused(data):
    with pytest.raises(codec.CodecError):
        codec.Decoder().decode(data)


def test_depth_and_keys_are_bounded():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(codec.CodecError):
        codec.Decoder().decode(deep)
    colliding = [i * (2**61 - 1) for i in range(codec.PLAIN_ALIKE + 2)]
    with pytest.raises(codec.CodecError, match="too many keys of one hash"):
        codec.Decoder(plain=True).decode({"set": colliding})


def test_the_bound_on_keys_is_for_each_value():
    decoder = codec.Decoder(plain=True)
    for _ in range(3):
        assert len(decoder.decode({"set": list(range(20_000))})) == 20_000


class Liar(int):
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0

    def __add__(self, other):
        return 6


class LyingList(list):
    def __eq__(self, other):
        return True

    __hash__ = None

    def __iter__(self):
        return iter([6])


def test_a_subclass_crosses_as_the_data_it_holds():
    assert codec.encode(Liar(5)) == 5
    assert codec.encode(LyingList([1, 2])) == [1, 2]
    assert codec.Decoder().decode(codec.encode(time.gmtime(0)))[:3] == (1970, 1, 1)
    assert type(codec.Decoder().decode(codec.encode(collections.defaultdict(list, a=1)))) is dict


def test_counters_iterators_views_types_and_bytearrays_keep_their_meaning():
    def over(value):
        return codec.Decoder().decode(codec.encode(value))

    assert over(collections.Counter("aab")) == {"a": 2, "b": 1}
    assert list(over(x * x for x in range(3))) == [0, 1, 4]
    assert over(map(str, [1])) != ["1"]
    assert over({1: 2}.keys()) == {1}
    assert over(int) is int
    assert over(bytearray(b"x")) == bytearray(b"x")
    assert over(decimal.Decimal("1.10")) == decimal.Decimal("1.1")
    assert over(fractions.Fraction(1, 3)) == fractions.Fraction(1, 3)
    assert over(dt.date(2020, 1, 2)) == dt.date(2020, 1, 2)


def test_an_object_is_refused_or_kept_as_a_handle():
    with pytest.raises(codec.CodecError, match="object is not data"):
        codec.encode([object()])
    data = codec.encode([object()], lambda _: {"handle": [0, "object", True]})
    (handle,) = codec.Decoder(plain=True).decode(data)
    assert isinstance(handle, stand_ins.Handle)
    assert bool(handle) is True


def test_a_handle_equals_nothing_and_differs_from_nothing():
    handle = stand_ins.Handle(0, "Any", truth=False)
    assert not handle == 6  # noqa: SIM201 - the operator itself is meant
    assert not handle != 6  # noqa: SIM202
    assert not handle == handle  # noqa: SIM201, PLR0124
    assert not handle


ITERATORS = {
    "reversed list": lambda: reversed([2, 1, 0]),
    "reversed range": lambda: reversed(range(2, -1, -1)),
    "reversed dict": lambda: reversed({2: 0, 1: 0, 0: 0}),
    "list": lambda: iter([0, 1, 2]),
    "tuple": lambda: iter((0, 1, 2)),
    "set": lambda: iter({0, 1, 2}),
    "dict": lambda: iter({0: 0, 1: 0, 2: 0}),
    "bytes": lambda: iter(b"\0\1\2"),
    "range": lambda: iter(range(3)),
    "deque": lambda: iter(collections.deque([0, 1, 2])),
    "chain": lambda: itertools.chain([0], [1, 2]),
    "islice": lambda: itertools.islice(itertools.count(), 3),
    "accumulate": lambda: itertools.accumulate([0, 1, 1]),
    "tee": lambda: itertools.tee([0, 1, 2])[0],
}


@pytest.mark.parametrize("name", ITERATORS)
@pytest.mark.parametrize("plain", [False, True])
def test_whatever_gives_its_items_once_crosses_as_them(name, plain):
    found = codec.Decoder(plain=plain).decode(codec.encode(ITERATORS[name]()))
    assert (found == [0, 1, 2]) is False
    assert (list(found), list(found)) == ([0, 1, 2], [])


@pytest.mark.parametrize("plain", [False, True])
def test_views_of_a_dictionary_cross_as_such(plain):
    given = {"a": [1], "b": 2}
    values, items = (codec.Decoder(plain=plain).decode(codec.encode(view)) for view in (given.values(), given.items()))
    assert (len(values), list(values), list(values)) == (2, [[1], 2], [[1], 2])
    assert (len(items), list(items), items == given.items()) == (2, [("a", [1]), ("b", 2)], True)
    assert (values == given.values()) is False


def test_an_iterator_is_shown_by_its_items():
    assert stand_ins.show(codec.Decoder(plain=True).decode(codec.encode(iter([1])))) == "<iterator of [1]>"


def test_an_endless_iterator_is_refused():
    def forever():
        while True:
            yield 1

    with pytest.raises(codec.CodecError, match="iterator"):
        codec.encode(forever())


@given(anything)
def test_pair_reads_anything(data):
    first, second = codec.pair(data)
    assert isinstance(first, str)
    assert isinstance(second, str)


STAND_INS = [
    (collections.UserDict({"a": 1}), {"a": 1}),
    (collections.ChainMap({"a": 1}, {"a": 2, "b": 3}), {"a": 1, "b": 3}),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    (collections.UserList([1, [2]]), [1, [2]]),
    (collections.UserString("ab"), "ab"),
    (collections.UserDict({"a": 1}).keys(), {"a"}),
    (collections.UserDict({"a": 1}).items(), {("a", 1)}),
    (collections.OrderedDict({"a": 1}).keys(), {"a"}),
    (memoryview(b"ab"), b"ab"),
    (array.array("d", [1.5, 2.0]), array.array("d", [1.5, 2.0])),
    (array.array("d", [1.5]), [1.5]),
    (collections.deque([1], maxlen=3), collections.deque([1])),
    (collections.deque([1]), [1]),
    ({"a": 1}.values(), [1]),
    (collections.UserList([1]), (1,)),
]


@pytest.mark.parametrize(("value", "other"), STAND_INS)
def test_classes_that_stand_for_data_compare_over_here_as_python_compares_them(value, other):
    data = codec.loads(codec.dumps({"value": codec.encode(value)}))["value"]
    for decoder in (codec.Decoder(plain=True), codec.Decoder()):
        found = decoder.decode(data)
        assert (found == other, other == found) == (value == other, other == value)
