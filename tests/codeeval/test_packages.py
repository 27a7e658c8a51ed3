"""Problems whose programs import something get it; the others get nothing."""

import dataclasses

from trimtab.codeeval import packages, problems
from trimtab.codeeval.judge import Sample, judge
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.verdict import Outcome


def plain():
    return problems.load("humaneval").problems[0]


def needing(module):
    """A problem whose reference imports ``module`` within its function."""
    return dataclasses.replace(
        plain(), canonical_solution=f"    import {module}.linalg\n    return {module}.array(numbers)\n"
    )


def test_humaneval_needs_none_and_what_is_not_installed_is_left_out():
    assert packages.packages(problems.load("humaneval").problems) == ()
    assert packages.packages([plain(), needing("no_such_package")]) == ()


def test_what_a_package_needs_comes_with_it():
    assert packages.packages([needing("numpy")]) == ("numpy",)
    assert set(packages.packages([needing("scipy")])) == {"numpy", "scipy"}


def test_a_program_that_uses_numpy_passes_where_its_problem_does():
    task = dataclasses.replace(
        needing("numpy"),
        prompt="import numpy\ndef f(numbers):\n",
        entry_point="f",
        canonical_solution="    return int(numpy.array(numbers).sum())\n",
        test="def check(candidate):\n    assert candidate([1, 2]) == 3\n",
    )
    sample = Sample(task_id=task.task_id, sample_index=0, completion=task.canonical_solution)
    with Sandbox(packages=packages.packages([task])) as box:
        (verdict,) = judge([sample], [task], box)
    assert verdict.outcome is Outcome.PASSED or box.attestation["tier"] == "C"
