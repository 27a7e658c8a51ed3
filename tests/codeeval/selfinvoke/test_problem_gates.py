"""Each gate lets a sound problem through and stops the one with its own fault planted."""

import sys

import pytest

from trimtab.codeeval.problem import Problem
from trimtab.codeeval.selfinvoke import problem_gates
from trimtab.codeeval.selfinvoke.problem_gates import GateCase, ProblemGate
from trimtab.errors import BenchmarkError

SUM = "assert total_double([1, 2]) == 6\n"
RESTATED = "def double(x):\n    return 2 * x\n\ndef total_double(xs):\n    return sum(double(x) for x in xs)\n"
HEADER = "# Return the sum of the doubles, by total_double.\ndef total_double(xs):\n"
BODY = "    return sum(double(x) for x in xs)\n"
SPINS = "    while time.process_time() < 1.5: pass\n"
CLOCK = "import time\ndef double(x):\n"
FLOATS = {
    "raw_solution": "    return 2 * x\n",
    "new_solution": BODY,
    "test_code": f"assert total_double([0.1] * 10) == {sum([0.2] * 10)!r}\n" + SUM * 2,
}
HASHED = {
    "new_solution": "    kept = [c for c in {'a', 'b', 'c', 'd', 'e', 'f'}]\n    return [double(0), ''.join(kept)]\n",
    "test_code": "assert total_double([])\n" * 3,
}


def failed(problem, lab, only=ProblemGate, base=None):
    return {
        finding.gate
        for finding in problem_gates.check(GateCase(problem, base), lab, frozenset(only))
        if not finding.passed
    }


def test_a_sound_problem_goes_through_every_gate(pro, lab):
    assert failed(pro(), lab) == set()


@pytest.mark.parametrize(
    ("gate", "fields"),
    [
        (ProblemGate.NAMED, {"new_problem": "# Return the sum of doubles.\n", "new_solution": HEADER + BODY}),
        (ProblemGate.MENTIONED, {"new_solution": "    return sum(2 * x for x in xs)\n"}),
        (ProblemGate.CALLED, {"new_solution": "    return sum(2 * x for x in xs) if xs != [9] else double(0)\n"}),
        (ProblemGate.CALLED, {"new_problem": "# Write total_double.\n", "new_solution": RESTATED}),
        (ProblemGate.ASSERTS, {"test_code": SUM * 2}),
        (ProblemGate.TOLERANCE, {"test_code": SUM * 2 + "assert total_double([0.05]) == 0.1\n"}),
        (ProblemGate.LEAK, {"new_problem": f"# Write total_double:\n#{BODY}def total_double(xs):\n"}),
        (ProblemGate.LEAK, {"new_problem": f"# Such that {SUM}def total_double(xs):\n", "test_code": SUM * 3}),
        (ProblemGate.PASSES, {"test_code": SUM * 3 + "assert total_double([]) == 1\n"}),
        (ProblemGate.FAST, {"new_solution": f"{SPINS}{BODY}", "raw_problem": CLOCK}),
        (ProblemGate.STUBS, {"test_code": "assert not total_double([])\n" * 3}),
        (ProblemGate.STUBS, {"test_code": "assert total_double([]) == 0\n" * 3}),
        (ProblemGate.BASE, {"new_solution": "    double(1)\n    return sum(2 * x for x in xs)\n"}),
        (ProblemGate.MUTANTS, {"new_solution": "    return double(xs[0]) + 1\n", "test_code": f"{SUM[:-5]} > 1\n"}),
    ],
)  # fmt: skip
def test_a_planted_fault_is_stopped_by_its_gate(pro, lab, gate, fields):
    assert gate in failed(pro(**fields), lab, {gate})
    assert gate not in failed(pro(), lab, {gate})


def test_the_base_call_alone_is_a_stub(pro, lab):
    calls = {"new_solution": "    return double(xs)\n", "test_code": "assert total_double(2) == 4\n" * 3}
    assert failed(pro(**calls), lab, {ProblemGate.STUBS}) == {ProblemGate.STUBS}


def test_a_result_that_hangs_on_the_hash_seed_is_not_stable(pro, lab):
    seen = [
        lab.evaluate(pro(**HASHED).prompt + pro(**HASHED).canonical_solution, "total_double", ["[]"], hash_seed=s)
        for s in (0, 1)
    ]
    first, second = (found.rows[0].result[1] for found in seen)
    assert first != second, "the fixture must differ between the two seeds"
    fixed = HASHED | {"test_code": f"assert total_double([]) == [0, {first!r}]\n" * 3}
    assert failed(pro(**fixed), lab, {ProblemGate.PASSES, ProblemGate.STABLE}) == {ProblemGate.STABLE}


def test_a_float_sum_that_python_3_12_changed_is_found_on_any_python(pro, lab):
    assert failed(pro(**FLOATS), lab, {ProblemGate.SUMS}) == {ProblemGate.SUMS}
    tolerant = FLOATS | {"test_code": "assert abs(total_double([0.1] * 10) - 2) < 1e-6\n" + SUM * 2}
    assert failed(pro(**tolerant), lab, {ProblemGate.SUMS}) == set()
    passes = failed(pro(**FLOATS), lab, {ProblemGate.PASSES})
    assert passes == set(), f"written and read by the same Python, {sys.version_info}"


def test_mutants_of_the_base_count_only_where_its_own_tests_refute_them(pro, lab):
    base = Problem(
        task_id="base/0",
        prompt="def double(x, twice=True):\n",
        entry_point="double",
        canonical_solution="    return x + x if twice else x + 3\n",
        test="def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 6\n",
        benchmark="base",
    )
    problem = pro(raw_problem=base.prompt, raw_solution=base.canonical_solution)
    (finding,) = problem_gates.check(GateCase(problem, base), lab, {ProblemGate.MUTANTS})
    assert finding.detail == "4 of 4 mutants refuted", "two of the base: x - x, not twice; its tests see no x + 3"


def test_a_plain_problem_is_refused(pro):
    plain = Problem(task_id="a/1", prompt="", entry_point="f", canonical_solution="", test="", benchmark="a")
    with pytest.raises(BenchmarkError, match="a/1"):
        GateCase(plain)
