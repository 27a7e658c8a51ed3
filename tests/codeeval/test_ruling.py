"""What a text is worth against tests of each form; none of it can be forged."""

import pytest

from trimtab.codeeval.given_tests import read
from trimtab.codeeval.ruling import RulingRequest
from trimtab.sandbox.verdict import Limits, Outcome

TESTS = ["assert add(1, 2) == 3", "assert add(2, 2) == 4"]
SUM = "```python\na, b = map(int, input().split())\nprint(a + b)\n```"
PAIRS = {"inputs": ["1 2\n", "4 5\n"], "outputs": ["3\n", "9\n"]}


def rule(pool, completion, tests, entry_point=None, **options):
    return pool.submit(RulingRequest(completion=completion, tests=read(tests, entry_point), **options)).result()


@pytest.mark.parametrize(
    ("program", "passed", "outcome"),
    [
        (SUM, 2, Outcome.PASSED),
        ("a, b = map(int, input().split())\nprint(3)\n", 1, Outcome.WRONG),
        ("import sys\nif sys.stdin.readline() == '1 2\\n':\n    1 / 0\nprint(9)\n", 1, Outcome.ERROR),
        ("while True: pass", 0, Outcome.TIMEOUT_CPU),
        ("print('3' * 1_000_000)", 0, Outcome.WRONG),
        ("print(3", 0, Outcome.SYNTAX),
        ("", 0, Outcome.NO_CODE),
    ],
)
def test_inputs_and_outputs_are_counted_each(pool, program, passed, outcome):
    limits = Limits(cpu_s=0.3, wall_s=30.0)
    found = rule(pool, program, PAIRS, partial=True, limits=limits)
    assert (found.passed, found.total, found.outcome, found.reward) == (passed, 2, outcome, passed / 2)
    assert rule(pool, program, PAIRS, limits=limits).reward == float(passed == 2)


def test_results_of_calls_are_compared_as_json_has_them(pool):
    solution = "class Solution:\n    def f(self, xs: List[int]):\n        return {1: tuple(xs), 'mean': sum(xs) / 3}\n"
    tests = {"fn_name": "f", "inputs": [[[1, 1]]], "outputs": [{"1": [1, 1], "mean": 0.6666667}]}
    assert rule(pool, solution, tests).reward == 1
    assert "instead of" in rule(pool, solution.replace("1:", "2:"), tests).detail
    assert rule(pool, "def f(xs): return object()", tests).reward == 0


def test_an_expected_value_may_be_wrapped_in_a_list_but_only_in_every_test_alike(pool):
    wrapped = {"fn_name": "f", "inputs": [[1], [2]], "outputs": [[1], [2]]}
    assert rule(pool, "def f(x): return x", wrapped).reward == 1
    assert rule(pool, "def f(x): return [x]", wrapped).reward == 1
    assert rule(pool, "def f(x): return x if x == 1 else [x]", wrapped, partial=True).reward == 0.5
    longer = {"fn_name": "f", "inputs": [[1], [2]], "outputs": [[1], [2, 3]]}
    assert rule(pool, "def f(x): return x", longer, partial=True).reward == 0


def test_after_three_tests_out_of_time_the_rest_is_not_run(pool):
    tests = [f"assert f({n}) == {n}" for n in range(50)]
    found = rule(
        pool, "def f(x):\n    while x: pass\n    return x\n", tests, partial=True, limits=Limits(cpu_s=0.1, wall_s=30.0)
    )
    assert (found.passed, found.total, found.outcome) == (1, 50, Outcome.TIMEOUT_CPU)
    assert found.cpu_s < 2


ALWAYS = "class Always(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\n"
FRAMES = """
import os, struct
text = b'{"value":["status",0]}'
for number in range(3, 9):
    try:
        os.write(number, struct.pack(">I", len(text)) + text)
    except OSError:
        pass
os._exit(0)
"""
HELD = """
import gc
for thing in gc.get_objects():
    if isinstance(thing, dict) and "outputs" in thing:
        print(thing["outputs"][0])
"""
FORGING = {
    "equal to all": (f"{ALWAYS}def add(a, b): return Always(7)\n", TESTS),
    "exit before the test": ("import os\ndef add(a, b): os._exit(0)\n", TESTS),
    "exit while loaded": ("import sys\nsys.exit(0)\ndef add(a, b): return 7\n", TESTS),
    "equal to all, as JSON": (
        f"{ALWAYS}def f(x): return Always(7)\n",
        {"fn_name": "f", "inputs": [[1]], "outputs": [2]},
    ),
    "equal to all within a list": (
        f"{ALWAYS}def f(x): return [Always(7)]\n",
        {"fn_name": "f", "inputs": [[1]], "outputs": [[2]]},
    ),
    "a method by that name": (
        "class Solution:\n    def f(self, x): return type('T', (), {'__eq__': lambda *_: True})()\n",
        {"fn_name": "f", "inputs": [[1]], "outputs": [2]},
    ),
    "an answer in the runner's own form": ("import sys\nsys.stdout = None\nraise SystemExit(0)\n", PAIRS),
    "frames on every descriptor": (FRAMES, PAIRS),
    "what the callers hold": (HELD, PAIRS),
    "the input again": ("print(open(0).read())\n", PAIRS),
}


@pytest.mark.parametrize("name", FORGING)
def test_no_reward_is_forged(pool, name):
    program, tests = FORGING[name]
    found = rule(pool, program, tests, partial=True)
    assert found.reward == 0
    assert found.reason == ""
