"""EvalPlus' inputs become the values its assertions are written with, type by type."""

from __future__ import annotations

import ast

import pytest

from trimtab.codeeval.problem import Oracle
from trimtab.sandbox import source


def kinds(value):
    """Return a value's types all the way down."""
    if isinstance(value, dict):
        return "dict", [(kinds(k), kinds(v)) for k, v in value.items()]
    if isinstance(value, set):
        return "set", sorted(map(repr, value))
    if isinstance(value, list | tuple):
        return type(value).__name__, [kinds(item) for item in value]
    return type(value).__name__


def literal_calls(problem):
    """Return the literal arguments of each assertion's call of the function; None where they are not literals."""
    for text in problem.assertions:
        call = next(
            node
            for node in ast.walk(source.parse(text))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == problem.entry_point
        )
        try:
            yield tuple(ast.literal_eval(argument) for argument in call.args)
        except ValueError:
            yield None


# Where the data set's own inputs are not what its assertions say: 87 lacks entries, 301 has text for numbers as keys,
# 98, 104, 140, 145 and 596 have lists for tuples, 124 and 252 floats and complex numbers for integers.
DEVIATING = {f"Mbpp/{number}" for number in (87, 98, 104, 124, 140, 145, 252, 301, 596)}


def test_mbpp_plus_inputs_have_the_types_of_the_assertions(published):
    compared, other = 0, set()
    for problem in published("mbpp-plus").problems:
        calls = list(literal_calls(problem))
        assert len(calls) == len(problem.differential.base), problem.task_id
        for call, arguments in zip(calls, problem.differential.base, strict=True):
            compared += call is not None
            if call is not None and (call != arguments or kinds(call) != kinds(arguments)):
                other.add(problem.task_id)
    assert compared == 1172
    assert other == DEVIATING


@pytest.mark.parametrize(("name", "base", "plus"), [("humaneval-plus", 1570, 122683), ("mbpp-plus", 1174, 39841)])
def test_no_input_is_lost(published, name, base, plus):
    found = [p.differential for p in published(name).problems]
    assert (sum(len(d.base) for d in found), sum(len(d.plus) for d in found)) == (base, plus)


def test_the_exceptions_are_where_the_data_set_has_them(published):
    problems = [p for name in ("humaneval-plus", "mbpp-plus") for p in published(name).problems]
    special = {p.entry_point: p.differential.oracle for p in problems if p.differential.oracle is not Oracle.EQUAL}
    assert special == {
        "find_zero": Oracle.ROOT,
        "surface_Area": Oracle.PYRAMID,
        "digit_distance_nums": Oracle.DIGITS,
        "check_str": Oracle.NOT_NONE,
        "text_match_three": Oracle.NOT_NONE,
        "text_starta_endb": Oracle.NOT_NONE,
        "similar_elements": Oracle.SAME_SET,
        "find_char_long": Oracle.SAME_SET,
        "common_in_nested_lists": Oracle.SAME_SET,
        "extract_singly": Oracle.SAME_SET,
        "larg_nnum": Oracle.SAME_SET,
        "find_dissimilar": Oracle.SAME_SET,
        "Diff": Oracle.SAME_SET,
    }
    assert {p.differential.atol for p in problems} == {0.0, 1e-6, 1e-4}
