"""Comparison with a reference as EvalPlus means it, without what it got wrong."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from trimtab.codeeval import differential, reference_budget
from trimtab.codeeval.judge import Sample, judge
from trimtab.codeeval.problem import Differential, Oracle, Problem
from trimtab.errors import BenchmarkError
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.verdict import Limits, Outcome, RunVerdict


@pytest.fixture(scope="module")
def box():
    with Sandbox() as sandbox:
        yield sandbox


def problem(solution, inputs, **options):
    return Problem(
        task_id="own/0",
        prompt="def f(x):\n",
        entry_point="f",
        canonical_solution=solution,
        test="",
        benchmark="own",
        differential=Differential(base=tuple(inputs[:1]), plus=tuple(inputs[1:]), **options),
    )


NAN_TESTS = [
    "assert candidate(1) == float('nan')",
    "assert candidate(1) != float('nan')",
    "assert not candidate(1) == candidate(1)",
    "assert [candidate(1)] == [float('nan')]",
    "assert candidate(1) in [float('nan')]",
    "assert abs(candidate(1) - float('nan')) < 1e-6",
    "assert not candidate(1) < 1",
    "import math\n    assert math.isnan(candidate(1))",
    "x = candidate(1)\n    assert x != x",
]


@pytest.mark.parametrize("test", NAN_TESTS)
def test_assertions_on_a_nan_say_what_they_say_to_python(box, test):
    text = f"def check(candidate):\n    {test}\n"
    program = "def f(x):\n    return float('nan')\n"
    task = Problem(
        task_id="own/nan", prompt="", entry_point="f", canonical_solution=program, test=text, benchmark="own"
    )
    said = subprocess.run([sys.executable, "-I", "-c", f"{program}{text}check(f)\n"], capture_output=True, check=False)
    assert (outcome(box, task, program) is Outcome.PASSED) == (said.returncode == 0)


def outcome(box, task, completion):
    (found,) = judge([Sample(task_id=task.task_id, sample_index=0, completion=completion)], [task], box)
    return found.outcome


HALF = problem("    return x / 2\n", [(3,), (5,), (7,)])


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("    return x / 2\n", Outcome.PASSED),
        ("    return x / 2 + 1e-9\n", Outcome.PASSED),
        ("    return x / 2 + 1e-3\n", Outcome.WRONG),
        ("    return x // 2\n", Outcome.WRONG),
        ("    return [x / 2]\n", Outcome.WRONG),
        ("    return float('nan')\n", Outcome.WRONG),
        ("    return x / 2 if x < 7 else 0.0\n", Outcome.WRONG),
        ("    return 10 ** 400\n", Outcome.WRONG),
        ("    return x / 0\n", Outcome.ERROR),
    ],
)
def test_floats_are_compared_within_a_millionth(box, completion, expected):
    assert outcome(box, HALF, completion) is expected


def test_a_tolerance_met_at_one_input_does_not_hold_for_the_next(box):
    """EvalPlus keeps the tolerance of the first float, so that a wrong list of integers nearby would pass after it."""
    mixed = problem("    return 0.5 if x == 0 else [10 ** 9, 1]\n", [(0,), (1,)])
    assert outcome(box, mixed, "    return 0.5 if x == 0 else [10 ** 9 + 1, 1]\n") is Outcome.WRONG


def test_integers_and_equal_floats_are_equal(box):
    assert outcome(box, problem("    return [1, 2]\n", [(0,)]), "    return [1.0, True + 1]\n") is Outcome.PASSED


@pytest.mark.parametrize(
    ("oracle", "args", "result", "expected"),
    [
        # What EvalPlus 0.3.1 said of the same results, its reference and the sample both returning them.
        (Oracle.EQUAL, (1,), "float('nan')", Outcome.WRONG),
        (Oracle.EQUAL, (1,), "[float('nan')]", Outcome.WRONG),
        (Oracle.EQUAL, (1,), "(1.0, float('nan'))", Outcome.WRONG),
        (Oracle.EQUAL, (1,), "{'a': float('nan')}", Outcome.WRONG),
        (Oracle.EQUAL, (1,), "complex('nan')", Outcome.WRONG),
        (Oracle.EQUAL, (1,), "float('inf')", Outcome.PASSED),
        (Oracle.SAME_SET, (1,), "[float('nan')]", Outcome.WRONG),
        (Oracle.NOT_NONE, (1,), "float('nan')", Outcome.PASSED),
        (Oracle.ROOT, ([1.0, 1.0],), "float('nan')", Outcome.WRONG),
        (Oracle.PYRAMID, (3, 4), "float('nan')", Outcome.WRONG),
        (Oracle.DIGITS, (1, 2), "float('nan')", Outcome.WRONG),
    ],
)
def test_a_nan_equals_no_nan_and_is_not_none(box, oracle, args, result, expected):
    solution = f"    return {result}\n"
    task = dataclasses.replace(problem(solution, [args], oracle=oracle, atol=1e-4), prompt="def f(*x):\n")
    assert outcome(box, task, solution) is expected
    assert outcome(box, task, f"    y = {result}\n    return y\n") is expected


@pytest.mark.parametrize(
    ("oracle", "got", "want", "args", "atol", "expected"),
    [
        (Oracle.EQUAL, (1.0,), [1.0], (), 0.0, False),
        (Oracle.EQUAL, [[1.00001]], [[1.0]], (), 1e-4, True),
        (Oracle.EQUAL, [1.0, 2.0], [1.0], (), 1e-4, False),
        # EvalPlus 0.3.1 passes these three: numpy stretches what is of another shape.
        (Oracle.EQUAL, [[]], [1.0], (), 0.0, False),
        (Oracle.EQUAL, [[1.0, 2.0], [1.0, 2.0]], [1.0, 2.0], (), 0.0, False),
        (Oracle.EQUAL, ([], ()), ((1.0,), (2.0,)), (), 1e-4, False),
        (Oracle.ROOT, 2.0, -2.0, ([-4.0, 0.0, 1.0],), 1e-4, True),
        (Oracle.ROOT, 2.1, 2.0, ([-4.0, 0.0, 1.0],), 1e-4, False),
        (Oracle.SAME_SET, [2, 1, 1], (1, 2), (), 0.0, True),
        (Oracle.SAME_SET, [1], (1, 2), (), 0.0, False),
        (Oracle.SAME_SET, [1.0 + 1e-9, 2.0], [1.0, 2.0], (), 0.0, True),
        (Oracle.SAME_SET, [2.0, 1.0 + 1e-9], [1.0, 2.0], (), 0.0, False),
        (Oracle.SAME_SET, [1 + 1e-3, 2.0], [1.0, 2.0], (), 0.0, False),
        (Oracle.NOT_NONE, True, object(), (), 0.0, True),
        (Oracle.NOT_NONE, object(), object(), (), 0.0, True),
        (Oracle.NOT_NONE, None, object(), (), 0.0, False),
        (Oracle.NOT_NONE, False, None, (), 0.0, True),
        (Oracle.NOT_NONE, True, None, (), 0.0, False),
        (Oracle.PYRAMID, 33, 33, (3, 4), 0.0, True),
        (Oracle.PYRAMID, 35, 33, (3, 4), 0.0, True),
        (Oracle.PYRAMID, 34, 33, (3, 4), 0.0, False),
        (Oracle.DIGITS, 6, 1, (1, 256), 0.0, False),
        (Oracle.DIGITS, 12, 1, (1, 256), 0.0, True),
        (Oracle.DIGITS, 1, 1, (1, 256), 0.0, True),
    ],
)
def test_oracles(oracle, got, want, args, atol, expected):
    assert differential._ORACLES[oracle](got, want, args, atol) is expected


@pytest.mark.parametrize(
    "result", ["filter(None, x)", "iter(x)", "reversed(x)", "(y for y in x)", "{y: 0 for y in x}.keys()"]
)
def test_where_order_does_not_count_items_that_come_one_by_one_do(box, result):
    task = problem("    return list(x)\n", [([1, 2],), ([3],)], oracle=Oracle.SAME_SET)
    assert outcome(box, task, f"    return {result}\n") is Outcome.PASSED
    assert outcome(box, task, f"    x = [*x, 4]\n    return {result}\n") is Outcome.WRONG
    ordered = dataclasses.replace(task, differential=dataclasses.replace(task.differential, oracle=Oracle.EQUAL))
    assert outcome(box, ordered, f"    return {result}\n") is Outcome.WRONG


def test_a_reference_that_fails_is_the_benchmark_s_fault(box):
    with pytest.raises(BenchmarkError, match="reference of own/0 ends on input 2"):
        outcome(box, problem("    return 1 / x\n", [(1,), (0,)]), "    return 1\n")


def test_a_problem_without_inputs_is_refused(box):
    with pytest.raises(BenchmarkError, match="no inputs"):
        differential.verdict(box, dataclasses.replace(HALF, differential=None), "")


@pytest.mark.parametrize(("took", "expected"), [(0.1, None), (0.6, None), (2.0, 15.0), (4.0, 20.0)])
def test_a_slow_reference_gives_five_times_its_time_and_is_measured_once(took, expected):
    asked = []

    def run(limits):
        asked.append(limits)
        return RunVerdict(outcome=Outcome.PASSED, cpu_s=took)

    task = dataclasses.replace(HALF, task_id=f"own/{took}")
    for _ in range(2):
        found = reference_budget.after_timeout(task, Limits(), run)
        assert (None if found is None else found.cpu_s) == expected
    assert len(asked) == 1


def test_a_sample_of_a_slow_problem_is_given_the_time_it_needs(box):
    burn = (
        "    import time as t\n    end = t.process_time() + 0.15\n"
        "    while t.process_time() < end: pass\n    return x\n"
    )
    task = Problem(
        task_id="own/slow",
        prompt="def f(x):\n",
        entry_point="f",
        canonical_solution=burn,
        test="def check(candidate):\n    assert candidate(1) == 1\n",
        benchmark="own",
    )
    with Sandbox(limits=Limits(cpu_s=0.1)) as short:
        assert outcome(short, task, burn) is Outcome.PASSED
        assert outcome(short, task, "    while True: pass\n") is Outcome.TIMEOUT_CPU


def test_values_of_a_program_never_meet_as_keys():
    """Hashes can be chosen so that each key costs its predecessors: seconds of a broker that others wait for."""
    met = []

    class Key:
        def __hash__(self):
            return hash(1)

        def __eq__(self, other):
            met.append(other)
            return False

    holds = differential._ORACLES[Oracle.SAME_SET]
    assert not holds([Key() for _ in range(5)], [1, 2], (), 0.0)
    assert not any(isinstance(other, Key) for other in met)
