"""What is judged is what is shown, and sets that hold the same problems agree on the same program."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import re

import pytest

from trimtab.codeeval import shown_assertions
from trimtab.codeeval.judge import run_program
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.verdict import Outcome

# Where MBPP's own sanitized set compares with ``==`` what EvalPlus compares as sets, by what the text leaves open.
HAS_ITEMS = re.compile(r"==\s*[\[(]|set\(")
ORDER_MATTERS = {"Mbpp/579", "Mbpp/769"}
# Two base problems of MBPP Pro are other functions than in EvalPlus' set.
OTHER_IN_PRO = {"Mbpp/590", "Mbpp/626"}
OTHER_CONTAINER = (
    "\n_reference = {name}\ndef {name}(*given):\n    result = _reference(*given)\n"
    "    kind = list if isinstance(result, (tuple, set)) else tuple if isinstance(result, list) else None\n"
    "    return result if kind is None else kind(result)\n"
)


def test_the_shown_assertion_is_among_those_that_judge(published):
    for problem in published("mbpp-378").problems:
        shown = shown_assertions.shown(problem.prompt)
        assert shown in problem.assertions, problem.task_id
        assert shown in problem.test.replace("\n    ", "\n"), problem.task_id


def test_all_assertions_take_the_form_of_the_shown_one():
    prompt = '"""\nShared elements.\nassert set(f((1, 2), (2,))) == set((2,))\n"""\n'
    assertion = "assert f((1, 2), (2,)) == (2,)\nassert f((), ()) == ()\n"
    assert shown_assertions.listed(prompt, assertion) == (
        "assert set(f((1, 2), (2,))) == set((2,))",
        "assert set(f((), ())) == set(())",
    )
    prompt = '"""\nA root.\nassert f(4)==2.0\n"""\n'
    assertion = (
        "import math\nassert math.isclose(f(4), 2.0, rel_tol=0.001)\nassert math.isclose(f(9), 3, rel_tol=0.001)"
    )
    assert shown_assertions.judged(prompt, assertion) == "import math\nassert f(4)==2.0\nassert f(9) == 3"


@pytest.fixture(scope="module")
def same_problems(published):
    """The 378 problems in each set that holds them: assertions, EvalPlus' base comparison, MBPP's sanitized set."""
    sets = [{p.task_id: p for p in published(name).problems} for name in ("mbpp-378", "mbpp-plus", "mbpp-sanitized")]
    base = {
        task: dataclasses.replace(p, differential=dataclasses.replace(p.differential, plus=()))
        for task, p in sets[1].items()
    }
    return sets[0], base, sets[2]


@pytest.mark.slow
def test_sets_of_the_same_problems_agree_on_references_and_on_other_containers(same_problems, published):
    shown, base, sanitized = same_problems
    pro = {problem.pro.base_task_id: problem for problem in published("mbpp-pro").problems}

    def disagreement(task):
        problem, differ = shown[task], []
        reference = problem.prompt + problem.canonical_solution
        texts = [reference]
        if HAS_ITEMS.search(problem.test):
            texts.append(reference + OTHER_CONTAINER.format(name=problem.entry_point))
        for text in texts:
            where = [kind[task] for kind in (shown, base, sanitized) if task in kind]
            where = where[:2] if task in ORDER_MATTERS else where
            outcomes = [run_program(box, each, text).outcome is Outcome.PASSED for each in where]
            if len(set(outcomes)) > 1 or (text is reference and not outcomes[0]):
                differ.append((task, outcomes))
        halves = pro[task].pro
        text = f"{problem.canonical_solution}\n{halves.new_problem}{halves.new_solution}"
        if task not in OTHER_IN_PRO and run_program(box, pro[task], text).outcome is not Outcome.PASSED:
            differ.append((task, "pro"))
        return differ

    with Sandbox(workers=2) as box, concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = [each for differ in pool.map(disagreement, shown) for each in differ]
    assert found == []


@pytest.mark.parametrize(
    ("task", "body"),
    [
        ("Mbpp/2", "def similar_elements(a, b):\n    return set(a) & set(b)\n"),
        ("Mbpp/140", "def extract_singly(rows):\n    return sorted({x for row in rows for x in row})\n"),
        ("Mbpp/742", "def area_tetrahedron(side):\n    return side * side * 3 ** 0.5 * (1 + 1e-15)\n"),
        ("Mbpp/293", "import cmath\ndef otherside_rightangle(w, h):\n    return abs(complex(w, h)) * (1 - 2e-16)\n"),
    ],
)
def test_right_programs_pass_where_only_an_equals_sign_would_refuse_them(published, task, body):
    problem = next(p for p in published("mbpp-378").problems if p.task_id == task)
    with Sandbox() as box:
        assert run_program(box, problem, body).outcome is Outcome.PASSED
