"""Tests as columns of data sets have them."""

import json

import numpy as np
import pytest

from trimtab.codeeval.given_tests import Assertions, Calls, InputOutput, read
from trimtab.errors import BenchmarkError

LITERAL = "def check(candidate):\n    assert add(1, 2) == 3\n    assert add(2, 2) == 4\n"


@pytest.mark.parametrize(
    "tests",
    [
        ["assert add(1, 2) == 3", "assert add(2, 2) == 4"],
        "assert add(1, 2) == 3\nassert add(2, 2) == 4\n",
        '["assert add(1, 2) == 3", "assert add(2, 2) == 4"]',
        {"assert_case": ["assert add(1, 2) == 3", "assert add(2, 2) == 4"]},
        np.array(["assert add(1, 2) == 3", "assert add(2, 2) == 4"]),
    ],
    ids=["list", "text", "json", "verl", "array"],
)
def test_assertions_name_the_function_they_test(tests):
    found = read(tests)
    assert isinstance(found, Assertions)
    assert (found.entry_point, found.whole, len(found.single), found.names) == ("add", LITERAL, 2, ())


def test_what_is_no_test_stays_before_each_test_and_other_names_of_the_program_are_found():
    found = read(
        "import math\nx = 3\nassert math.isclose(area(x), 2.0)\nfor i in range(x):\n    assert area(i) == side(i)"
    )
    assert (found.entry_point, found.names) == ("area", ("side",))
    assert found.single[1] == (
        "import math\n\ndef check(candidate):\n    x = 3\n    for i in range(x):\n        assert area(i) == side(i)\n"
    )


def test_a_check_function_is_told_what_it_checks_by_its_call_or_by_a_column():
    text = "METADATA = {}\ndef check(f):\n    assert f('a\\nb') == 1\n    assert f('') == 0\n"
    for found in (read(text, "count"), read(text + "\ncheck(count)\n")):
        assert (found.entry_point, len(found.single)) == ("count", 2)
        assert found.whole == "METADATA = {}\n\n" + text.partition("\n")[2]
    with pytest.raises(BenchmarkError, match="does not say which function"):
        read(text)


PAIRS = (("1 2\n", "3"), ("4\n5", "9"))


@pytest.mark.parametrize(
    "tests",
    [
        {"inputs": ["1 2\n", "4\n5"], "outputs": ["3", "9"]},
        {"inputs": ["1 2\n", ["4", "5"]], "outputs": ["3", ["9"]]},
        {"input": ["1 2\n", "4\n5"], "output": ["3", "9"]},
        [{"input": "1 2\n", "output": "3", "testtype": "stdin"}, {"input": "4\n5", "output": "9", "testtype": "stdin"}],
        {"language": "python", "test_cases": [{"input": i, "output": o, "type": "stdin_stdout"} for i, o in PAIRS]},
        json.dumps({"inputs": ["1 2\n", "4\n5"], "outputs": ["3", "9"], "fn_name": None}),
    ],
    ids=["APPS", "lines", "CodeContests", "LiveCodeBench", "Open-R1", "text"],
)
def test_inputs_and_outputs(tests):
    assert read(tests) == InputOutput(pairs=PAIRS)


def test_calls_of_a_function():
    assert read({"fn_name": "f", "inputs": [[1, [2]]], "outputs": [["3"]]}) == Calls(
        entry_point="f", pairs=(((1, [2]), ["3"]),)
    )
    lines = [{"input": '1\n[2]\n"x"', "output": '"3"', "testtype": "functional"}]
    assert read(lines, "f") == Calls(entry_point="f", pairs=(((1, [2], "x"), "3"),))


@pytest.mark.parametrize(
    ("tests", "says"),
    [
        ([], "no known form"),
        (None, "no known form"),
        (7, "no known form"),
        ({"inputs": ["1"], "outputs": []}, "1 inputs and 0 outputs"),
        ({"inputs": [], "outputs": []}, "not none"),
        ({"inputs": [[1]], "outputs": [2]}, "is text, not list"),
        ({"inputs": [[1]], "outputs": [2], "fn_name": "a b"}, "'a b', which is no name"),
        ([{"input": "1"}], r"a test without 'input' and 'output': \['input'\]"),
        ([{"input": "1", "output": "1", "testtype": "functional"}], "do not name it"),
        (["assert f(1) =="], "not Python"),
        ("print(f(1))", "call no function|without any assertion"),
        ("f(1)", "call no function|without any assertion"),
        ("assert len([1]) == 1", "call no function"),
        ("def check(candidate):\n    pass\ncheck(f)", "without any assertion"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tests, says):
    with pytest.raises(BenchmarkError, match=says):
        read(tests)
