"""Mutants of calls, filters and slices: programs, different from the original, and only in the part that is meant."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.codeeval import problems
from trimtab.codeeval.restructure import mutants


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("    return sorted(xs)\n", {"    return (xs)\n"}),
        ("    return xs.strip().upper()\n", {"    return xs.upper()\n", "    return xs.strip()\n"}),
        ("    return xs[1:]\n", {"    return xs\n"}),
        ("    return sorted(xs, key=len)\n", {"    return (xs)\n", "    return sorted(xs)\n"}),
        ("    return [x for x in xs if x]\n", {"    return [x for x in xs if True]\n"}),
        ("    return 'é' in xs\n", {"    return '' in xs\n", "    return ('é' not in xs)\n"}),
        ("    return 1 if xs else 2\n", {"    return 1 if (not (xs)) else 2\n"}),
        ("    xs.sort()\n    return xs\n", {"    pass\n    return xs\n"}),
        ("    import re\n    return re.findall(r'\\d', xs)\n", {
            "    import re\n    return (r'\\d')\n", "    import re\n    return re.findall('', xs)\n",
        }),
        ('    """Doc."""\n    return xs\n', set()),
        ("    return f(*xs)\n", set()),
    ],
)  # fmt: skip
def test_a_part_is_taken_away_and_the_rest_stays(code, expected):
    assert set(mutants("# ünïcode\ndef f(xs):\n", code)) == expected


def test_no_program_has_no_mutants():
    assert mutants("def f(:\n", "    return sorted(xs)\n") == []


@given(st.sampled_from(problems.load("humaneval").problems), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_published_solutions_give_different_programs_as_many_as_asked_for(task, limit):
    found = mutants(task.prompt, task.canonical_solution, limit=limit)
    assert len(found) <= limit
    assert len(set(found)) == len(found)
    assert task.canonical_solution not in found
    for text in found:
        ast.parse(task.prompt + text)
    assert found == mutants(task.prompt, task.canonical_solution, limit=limit)
