"""One run is enough for programs that differ in lines of comment alone, and for no others."""

from __future__ import annotations

import concurrent.futures
import time

import pytest

from trimtab.codeeval.problem import Problem
from trimtab.codeeval.same_program import OneRunEach, without_comment_lines
from trimtab.errors import SandboxError
from trimtab.sandbox.verdict import Outcome, RunVerdict

PROBLEM = Problem(task_id="x/0", prompt="", entry_point="f", canonical_solution="", test="", benchmark="x")
SAME = [
    ("# one\ndef f(x):\n    # two\n    return x\n", "# 1\ndef f(x):\n        # zwei, tiefer\n    return x\n"),
    ("def f(x):\n    return x\n# 0", "def f(x):\n    return x\n# 1"),
    ('def f(x):\n    """Doc."""\n    # a\n    return x\n', 'def f(x):\n    """Doc."""\n    # b\n    return x\n'),
    ("x = f'{1}'\n# a\n", "x = f'{1}'\n# b\n"),
]
APART = [
    ("x = '''\n# a\n'''\n", "x = '''\n# b\n'''\n"),
    ('x = "a\\\n# a"\n', 'x = "a\\\n# b"\n'),
    ("x = 1  # a\n", "x = 1  # b\n"),
    ("x = f'{'''\n# a\n'''}'\n", "x = f'{'''\n# b\n'''}'\n"),
    ("# a\nx = 1\n", "x = 1\n"),
    ("def f():\n    return 1\n", "def f():\n    return 2\n"),
]


@pytest.mark.parametrize(("text", "other"), SAME)
def test_other_comments_are_the_same_program(text, other):
    assert without_comment_lines(text) == without_comment_lines(other)
    assert compile(without_comment_lines(text), "", "exec").co_consts == compile(text, "", "exec").co_consts


@pytest.mark.parametrize(("text", "other"), APART)
def test_what_may_be_a_string_or_code_is_another_program(text, other):
    assert without_comment_lines(text) != without_comment_lines(other)


def test_a_program_runs_once_whoever_asks_and_again_where_the_sandbox_failed():
    ran = []

    def run(problem, program):
        ran.append(program)
        time.sleep(0.02)
        if len(ran) == 1:
            raise SandboxError("gone")
        return RunVerdict(outcome=Outcome.PASSED, detail=f"{problem.task_id} {len(ran)}")

    once = OneRunEach(run)
    with pytest.raises(SandboxError):
        once(PROBLEM, "x = 1\n# a\n")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: once(PROBLEM, f"x = 1\n# {number}\n"), range(8)))
    assert {verdict.detail for verdict in found} == {"x/0 2"}
    assert len(ran) == 2
    assert once(PROBLEM, "x = 2\n").detail == "x/0 3"
