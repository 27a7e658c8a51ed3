"""Each template fits what it says, and its body computes what its sentence states: by an independent oracle."""

import ast
import json

import pytest

from trimtab.codeeval.problem import Problem
from trimtab.codeeval.selfinvoke.base_problem import Base
from trimtab.codeeval.selfinvoke.completer import answer, fill
from trimtab.codeeval.selfinvoke.program_lab import Example
from trimtab.codeeval.selfinvoke.proposal_prompt import write
from trimtab.codeeval.selfinvoke.templates import TEMPLATES, Facts

BY_NAME = {template.name: template for template in TEMPLATES}
ORACLES = {  # name: (base function, arguments of the new one, what it must return)
    "select": ("lambda x: x > 2", ([1, 3, 5, 2],), [3, 5]),
    "partition": ("lambda x: x > 2", ([1, 3, 5, 2],), [[3, 5], [1, 2]]),
    "longest_run": ("lambda x: x > 2", ([3, 1, 4, 5, 0, 9],), 2),
    "positions": ("lambda x: x > 2", ([3, 1, 4, 0],), [1, 3]),
    "total": ("lambda x: x * x", ([1, 2, 3],), 14),
    "running": ("lambda x: x * x", ([1, 2, 3],), [1, 5, 14]),
    "spread": ("lambda x: x * x", ([1, -3, 2],), 8),
    "best": ("lambda x: x * x", ([1, -3, 3],), 1),
    "ranked": ("lambda x: x * x", ([1, -3, 3, 2],), [-3, 3, 2, 1]),
    "compare": ("lambda x: x * x", (-3, 2), 1),
    "differ": ("lambda x: x * x", ([1, 2, 3], [-1, 3]), [1]),
    "changes": ("lambda x: x * x", ([1, -1, 2, 1],), 2),
    "group": ("lambda x: x * x", ([1, -1, 2],), {1: [0, 1], 4: [2]}),
    "invert": ("lambda x: x * x", ([1, -1, 2], 1), [1, -1]),
    "memoize": ("lambda x: x * x", ([1, -1, 1],), {1: (1, 2), -1: (1, 1)}),
    "collect": ("lambda x: x * x", ([1, -1, 2],), [1, 4]),
    "twice": ("lambda x: x * x", (3,), 81),
    "orbit": ("lambda x: x * x", (2, 2), [2, 4, 16]),
    "fold": ("lambda a, b: 2 * a + b", ([1, 2, 3],), 11),
    "chain": ("lambda x: [x, -x]", ([1, 2],), [1, -1, 2, -2]),
    "join": ("lambda x: x * 2", (["a", "b"], "-"), "aa-bb"),
    "longest": ("lambda x: x * 2", (["a", "bc", "de"],), "bcbc"),
    "merge": ("lambda x: {x % 2: x}", ([1, 2, 3],), {1: 3, 0: 2}),
    "most_common": ("lambda x: x * x", ([2, 1, -1],), 1),
}


def facts_of(function, *rows):
    return Facts([Example(arguments=row, result=function(*row)) for row in rows])


def call(template, source, given, *, single=True):
    single = single and template.name != "fold"
    rows = [(1,), (2,)] if single else [(1, 2), (2, 3)]
    filled = fill(template, "base", facts_of(lambda *_: 0, *rows))
    scope = {"base": eval(source)}  # noqa: S307 - the table above
    exec(filled["new_problem"] + filled["new_solution"], scope)  # noqa: S102 - our own text
    return scope[filled["entry_point"]](*given)


def test_every_template_has_an_oracle():
    assert set(ORACLES) == set(BY_NAME)


@pytest.mark.parametrize("name", ORACLES)
def test_a_body_computes_what_its_sentence_says(name):
    source, given, wanted = ORACLES[name]
    assert call(BY_NAME[name], source, given) == wanted


def test_several_arguments_come_as_tuples():
    assert call(BY_NAME["total"], "lambda a, b: a * b", ([(1, 2), (3, 4)],), single=False) == 14
    assert call(BY_NAME["compare"], "lambda a, b: a * b", ((1, 2), (3, 4)), single=False) == -1


def test_types_decide_what_fits():
    def names(facts):
        return {template.name for template in TEMPLATES if template.fits(facts)}

    positive = names(facts_of(lambda x: x > 0, (1,), (-1,)))
    assert {"select", "longest_run", "group"} <= positive
    assert not {"total", "best", "fold", "chain", "twice"} & positive
    assert {"twice", "orbit", "total"} <= names(facts_of(lambda x: x + 1, (1,), (2,)))
    assert {"fold", "total"} <= names(facts_of(lambda a, b: a + b, (1, 2), (2, 5)))
    assert "chain" in names(facts_of(lambda x: [x], (1,), (2,)))
    assert "memoize" not in names(facts_of(len, ([1],), ([],)))
    assert names(facts_of(lambda _: 7, (1,), (2,))) == {"total", "running"}


def test_the_seed_goes_through_the_fitting_templates_once():
    problem = Problem(
        task_id="a/1", prompt="", entry_point="f", canonical_solution="", test="", benchmark="a"
    )  # fmt: skip
    examples = tuple(Example(arguments=(n,), result=n * n) for n in range(5))
    base = Base(number=0, problem=problem, raw_problem="def f(x):\n", raw_solution="", examples=examples)
    answers = [answer(write(base), seed) for seed in range(30)]
    given = [json.loads(text) for text in answers if text]
    fitting = sum(template.fits(Facts(examples)) for template in TEMPLATES)
    assert len(given) == len({one["entry_point"] for one in given}) == fitting
    assert answers[fitting:] == [""] * (30 - fitting)
    assert answers == [answer(write(base), seed) for seed in range(30)]
    for one in given:
        assert all(ast.literal_eval(f"({text},)") for text in one["test_inputs"])
