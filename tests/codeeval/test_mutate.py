"""Mutants: valid, different, of one token each, and the same every time."""

import ast

from trimtab.codeeval.mutate import misnamed, mutants

PROMPT = "def f(xs, n):\n    '''a < b'''\n"
SOLUTION = (
    "    total = 0\n    for x in xs:\n        if x < n and x != 3:\n            total += x + 1\n    return total\n"
)


def test_each_mutant_is_a_program_with_one_token_changed():
    found = mutants(PROMPT, SOLUTION, limit=100)
    assert "    total = 1\n" + SOLUTION.split("\n", 1)[1] in found
    assert any("x <= n" in text for text in found)
    assert any("x < n or x" in text for text in found)
    assert len(set(found)) == len(found)
    for text in found:
        ast.parse(PROMPT + text)
        assert text != SOLUTION
        changed = [(a, b) for a, b in zip(text.split(), SOLUTION.split(), strict=True) if a != b]
        assert len(changed) == 1


def test_the_limit_spreads_over_the_text():
    few = mutants(PROMPT, SOLUTION, limit=3)
    assert len(few) == 3
    assert few == mutants(PROMPT, SOLUTION, limit=3)
    lines = [
        next(i for i, (a, b) in enumerate(zip(text.split("\n"), SOLUTION.split("\n"), strict=True)) if a != b)
        for text in few
    ]
    assert lines[0] < lines[-1]


def test_what_cannot_be_mutated_has_no_mutants():
    assert mutants("def f(x):\n", "    return x\n") == []
    assert mutants("def f(x):\n", "    return (x <\n") == []


def test_a_variable_stands_for_another_where_it_is_read():
    text = "    return [f(row) for row in rows if row]\n"
    found = misnamed("def g(rows):\n", text, limit=100)
    assert found == [
        "    return [f(rows) for row in rows if row]\n",
        "    return [f(row) for row in row if row]\n",
        "    return [f(row) for row in rows if rows]\n",
    ]
    assert misnamed("def g(rows):\n", text, limit=1) == found[:1]
    assert misnamed("def g(rows):\n", "    return len(rows)\n") == []
