"""Imports and helpers are supplied where a program uses and lacks them, and only there."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.codeeval import missing_imports

PROMPT = (
    "from typing import List\nimport numpy as np\nLIMIT = 3\n\ndef helper(x):\n    return x + 1\n\n"
    'def f(xs: List[int]) -> int:\n    """Add."""\n'
)


def supplied(program):
    whole = missing_imports.supply(program, PROMPT)
    assert whole.endswith(program)
    return [ast.unparse(node) for node in ast.parse(whole.removesuffix(program)).body]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("def f(xs):\n    return sum(xs)\n", []),
        ("def f(xs):\n    return math.fsum(xs)\n", ["import math"]),
        ("import math\ndef f(xs):\n    return math.fsum(xs)\n", []),
        ("def f(xs: List[int]):\n    return Counter(xs)\n",
         ["from typing import List", "from collections import Counter"]),
        ("def f(xs):\n    return helper(np.sum(xs)) + LIMIT\n",
         ["import numpy as np", "LIMIT = 3", "def helper(x):\n    return x + 1"]),
        ("def helper(x):\n    return 0\ndef f(xs):\n    return helper(xs)\n", []),
        ("LIMIT = 9\ndef f(xs):\n    return LIMIT\n", []),
        ("def f(re):\n    return re.x if False else reduce(max, re)\n",
         ["import re", "from functools import reduce"]),
        ("def f(xs):\n    return obj.math.x\n", []),
    ],
)  # fmt: skip
def test_what_a_program_uses_and_lacks(program, expected):
    assert supplied(program) == expected


@given(st.text(alphabet="defimportmath.Counter \n(),:=", max_size=80))
def test_the_program_itself_is_never_changed_and_nothing_is_supplied_twice(program):
    whole = missing_imports.supply(program, PROMPT)
    assert whole.endswith(program)
    lines = whole.removesuffix(program).splitlines()
    assert len(lines) == len(set(lines))


def test_a_prompt_that_is_no_python_has_nothing_to_give():
    assert missing_imports.preamble("def (") == ()


def test_a_prompt_that_ends_with_a_bare_header_gives_what_stands_before_it():
    names = [name for name, _ in missing_imports.preamble("import math\n\ndef area(r):\n")]
    assert names == ["math"]


@pytest.mark.parametrize("before", ["", '"""A module."""\n', "# A comment\n"])
def test_what_is_supplied_stands_behind_imports_of_the_future(before):
    program = f"{before}from __future__ import annotations\n\ndef f(xs: List[int]):\n    return math.floor(xs[0])\n"
    names = {}
    exec(missing_imports.supply(program, ""), names)  # noqa: S102 - the text above
    assert names["f"]([1.5]) == 1
    assert missing_imports.supply("import math\nx = math.pi\n", "") == "import math\nx = math.pi\n"
