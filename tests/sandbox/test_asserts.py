"""Literal tests judged as data agree with the same tests executed; everything else is left to a driver."""

# ruff: noqa: E501 - one case a place in a row

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.sandbox import asserts, codec

literals = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text("ab'\"\\\n", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=6,
)
templates = st.sampled_from(
    [
        "candidate({a!r}) == {b!r}", "candidate({a!r}) != {b!r}", "{b!r} == candidate({a!r})", "candidate({a!r})",
        "not candidate({a!r})", "candidate({a!r}) is None", "candidate({a!r}) in [{b!r}, 1]", "candidate(x={a!r}) == {b!r}",
        "abs(candidate({a!r}) - 1) < 1e-6", "len(candidate({a!r})) >= 1", "set(candidate({a!r})) == set({b!r})",
        "tuple(candidate({a!r})) == ({b!r},)", "sorted(candidate({a!r})) == [1, 2]", "[candidate({a!r})] == [{b!r}]",
        "round(candidate({a!r}), 1) == 1.0", "solve({a!r}) == {b!r}, 'message'", "-candidate({a!r}) <= 2 ** 3 + 1",
        "1 < candidate({a!r}) < 3", "{{'k': candidate({a!r})}} == {{'k': {b!r}}}", "candidate({a!r}) == 'a' * 3 + 'b'",
    ]
)  # fmt: skip


@given(templates, literals, literals, literals)
def test_agrees_with_execution(template, argument, expected, result):
    line = template.format(a=argument, b=expected)
    test = f"def check(candidate):\n    assert {line}\n"
    cases = asserts.parse(test, "solve")
    if cases is None:  # a constant of the test's own raises: that is the driver's to find
        with pytest.raises(TypeError):
            set(expected)
        return
    ((case,)) = cases
    names = {}
    calls = []

    def candidate(*args, **kwargs):
        calls.append((list(args), kwargs))
        return result

    exec(test, names)  # noqa: S102 - the oracle
    names["solve"] = candidate
    try:
        names["check"](candidate)
        executed = "passed"
    except AssertionError:
        executed = "wrong"
    except Exception:  # noqa: BLE001 - whatever comparing raises
        executed = "error"
    try:
        data = "passed" if case.holds(result) else "wrong"
    except Exception:  # noqa: BLE001
        data = "error"
    assert data == executed
    _, args, kwargs = case.call
    decode = codec.Decoder(plain=True).decode
    over = json.loads(json.dumps([args, kwargs]))
    assert ([decode(a) for a in over[0]], {k: decode(v) for k, v in over[1].items()}) == calls[0]


def test_one_case_an_assertion_in_order():
    test = '''
METADATA = {"author": "x", "dataset": "test"}

def check(candidate):
    """Doc."""
    # comment
    assert True, "This prints if this assert fails"
    assert candidate(1) == 2
    pass
    assert solve(3, y=[4]) is True
'''
    cases = asserts.parse(test, "solve")
    assert [case.call for case in cases] == [["solve", [1], {}], ["solve", [3], {"y": [4]}]]
    assert cases[0].source == "candidate(1) == 2"


NEEDS_A_DRIVER = [
    "    for i in range(3):\n        assert candidate(i) == i",
    "    x = [1]\n    assert candidate(x) == 1",
    "    assert candidate(candidate(1)) == 1",
    "    assert candidate(1) == candidate(2)",
    "    assert math.isclose(candidate(1), 2)",
    "    assert candidate(1).strip() == 'x'",
    "    assert candidate(*[1]) == 1",
    "    assert candidate(**{'a': 1}) == 1",
    "    assert candidate(lambda x: x) == 1",
    "    assert candidate(1) == 1 if candidate else 0",
    "    assert candidate([i for i in range(3)]) == 1",
    "    assert other(1) == 1",
    "    assert candidate(1) + [1] == [1, 1]",
    "    assert candidate(1) * 10 == 10",
    "    assert candidate('x' * 10**9) == 1",
    "    assert candidate(9 ** 9 ** 9) == 1",
    "    assert candidate(1 / 0) == 1",
    "    assert isinstance(candidate(1), int)",
    "    assert candidate(1)[0] == 1",
    "    assert candidate(1) == f'{1}'",
    "    assert False",
    "    pass",
    "    import os",
]


@pytest.mark.parametrize("body", NEEDS_A_DRIVER)
def test_everything_else_needs_a_driver(body):
    assert asserts.parse(f"def check(candidate):\n{body}\n", "solve") is None


@pytest.mark.parametrize(
    "test",
    ["", "x = 1", "def check(): pass", "def check(a, b): pass", "def check(candidate, n=1):\n    assert candidate(n) == 1",
     "def check(*candidate): pass", "import os\ndef check(candidate):\n    assert candidate(1) == 1", "def check(candidate:",
     "@x\ndef check(candidate):\n    assert candidate(1) == 1", "def check(candidate):\n    assert candidate(1) == 1\nabs = len",
     "(" * 10_000],
)  # fmt: skip
def test_other_shapes_of_test_need_a_driver(test):
    assert asserts.parse(test, "solve") is None


def test_expected_values_are_not_shared_between_samples():
    (case,) = asserts.parse("def check(candidate):\n    assert [candidate(1), [0]] == [[1], [0]]\n", "solve")
    assert case.holds([1])
    assert not case.holds([2])
    assert case.holds([1])
