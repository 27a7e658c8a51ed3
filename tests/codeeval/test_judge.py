"""The judge on real problems: every reference solution passes, wrong ones fail for the right reason."""

from __future__ import annotations

import dataclasses

import pytest

from trimtab.codeeval import problems
from trimtab.codeeval.judge import Outcome, Sample, judge
from trimtab.errors import BenchmarkError
from trimtab.sandbox.broker import Sandbox


@pytest.fixture(scope="module")
def box():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def humaneval():
    return problems.load("humaneval").problems


def sample(problem, completion, index=0):
    return Sample(task_id=problem.task_id, sample_index=index, completion=completion)


def test_all_humaneval_references_pass(box, humaneval):
    verdicts = list(judge([sample(p, p.canonical_solution) for p in humaneval], humaneval, box))
    assert [v.task_id for v in verdicts] == [p.task_id for p in humaneval]
    assert [(v.task_id, v.outcome, v.detail) for v in verdicts if v.outcome is not Outcome.PASSED] == []


def test_wrong_missing_and_broken_solutions_are_told_apart(box, humaneval):
    problem = humaneval[2]  # truncate_number
    asked = {
        "    return number\n": Outcome.WRONG,
        "    return number + 'a'\n": Outcome.ERROR,
        "    return (\n": Outcome.SYNTAX,
        "  \n": Outcome.NO_CODE,
        "```\n\nThis function truncates.\n": Outcome.NO_CODE,
        "    return undefined\n": Outcome.ERROR,
        "    return 0\ndel truncate_number\n": Outcome.MISSING,
        "    import os; os._exit(0)\n": Outcome.EXIT,
    }
    found = list(judge([sample(problem, text, i) for i, text in enumerate(asked)], humaneval, box))
    assert [v.outcome for v in found] == list(asked.values())
    assert [v.sample_index for v in found] == list(range(len(asked)))


def test_a_helper_of_the_prompt_is_not_the_program_s(box, humaneval):
    problem = next(p for p in humaneval if p.task_id == "HumanEval/32")  # its test computes poly(xs, find_zero(xs))
    forged = "    return 0.0\n\ndef poly(xs, x):\n    return 0.0\n"
    verdict = next(judge([sample(problem, forged)], humaneval, box))
    assert verdict.outcome is Outcome.WRONG


def test_a_test_may_use_what_the_reference_imports(box, published):
    tasks = published("mbpp-pro").problems
    problem = tasks[204]  # its assertions build a Counter, which only the problem imports
    assert "Counter(" in problem.test
    verdict = next(judge([sample(problem, problem.canonical_solution)], tasks, box))
    assert verdict.outcome is Outcome.PASSED
    verdict = next(judge([sample(problem, f"    pass\ndef {problem.entry_point}(*_):\n    return 0\n")], tasks, box))
    assert verdict.outcome is Outcome.WRONG


def test_a_tail_that_does_not_parse_is_cut_and_the_cut_is_recorded(box, humaneval):
    problem = humaneval[2]
    text = problem.canonical_solution + "\n\ndef unfinished(x):\n    return [x for"
    verdict = next(judge([sample(problem, text)], humaneval, box))
    assert (verdict.outcome, verdict.steps) == (Outcome.PASSED, ("cut",))


def test_workers_give_the_same_verdicts_in_the_same_order(humaneval):
    few = humaneval[:12]
    asked = [sample(p, text) for p in few for text in (p.canonical_solution, "    return None\n")]
    found = []
    for workers in (1, 3):
        with Sandbox(workers=workers) as sandbox:
            verdicts = judge(asked, few, sandbox)
            found.append([dataclasses.replace(v, cpu_s=0.0, memory_mib=0.0) for v in verdicts])
    assert found[0] == found[1]


def test_a_sample_of_an_unknown_problem_is_refused(box, humaneval):
    with pytest.raises(BenchmarkError, match="HumanEval/999"):
        list(judge([Sample(task_id="HumanEval/999", sample_index=0, completion="x")], humaneval, box))
