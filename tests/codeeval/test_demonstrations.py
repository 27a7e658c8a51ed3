"""What only shows or checks goes; whatever the function needs stays."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.codeeval import demonstrations, problems, python_scan

F = "def f(x):\n    return x + 1\n"

GOES = [
    "for bad in ['x']:\n    print(f(bad))\n",
    "exit()\n",
    "quit()\n",
    "import sys\nsys.exit(3)\n",
    "raise SystemExit\n",
    "n = int(input())\nprint(f(n))\n",
    "assert f(1) == 3\n",
    "try:\n    f('x')\nexcept ValueError:\n    raise\nelse:\n    pass\nfinally:\n    f(None)\n",
    "if True:\n    print(f('x'))\nelse:\n    f(1)\n",
    "with open('no such file') as file:\n    data = file.read()\n",
    "while f(1) < 3:\n    pass\n",
    "result = f('x')\nresult\n",
    "cases = [\n(1, 2),\n('x', 3),\n]\nfor a, b in cases:\n    assert f(a) == b\n",
    "def test():\n    assert f(1) == 3\n\ntest()\n",
    "def main():\n    f(input())\nmain()\n",
    "print(\nf(\n'x'))\n",
    "1 / 0\n",
    "print(f'''{f('x')}\n''')\n",
    "unittest.main()\n",
    "print('a' \\\n      'b', f('x'))\n",
    "import sys; sys.exit(f(1))\n",
    "import no_such_package as plt\nplt.plot(f(1))\n",
    "import no_such_package\n@no_such_package.mark(1)\ndef test_f():\n    assert f(1) == 2\n",
    "import unittest\nclass T(unittest.TestCase):\n    pass\nunittest.main()\n",
    "import no_such_package.pyplot as plt\nplt.plot([1])\nplt.show()\n",
    "import time\ntime.no_such_function(100)\n",
    "import os, sys\nos.no_such_function()\n",
]


@pytest.mark.parametrize("tail", GOES)
def test_what_only_shows_or_checks_goes(tail):
    program = demonstrations.without(F + tail, "f")
    names = {"__name__": "solution"}
    exec(program, names)  # noqa: S102 - the texts above
    assert names["f"](1) == 2


MAY_FAIL = """\
def f(x):
    return k(x)
try:
    from operator import no as k
except ImportError:
    k = lambda x: x + 1
"""
STAYS = {
    "a table": ("def f(x):\n    return TABLE[x]\nTABLE = {1: 2}\n", ()),
    "a table that a loop fills": ("def f(x):\n    return T[x]\nT = []\nfor i in range(9):\n    T.append(i + 1)\n", ()),
    "a table that a call fills": ("def f(x):\n    return T[x]\nT = {}\ndef fill():\n    T[1] = 2\nfill()\n", ()),
    "a global that a call sets": ("def f(x):\n    return x + K\ndef go():\n    global K\n    K = 1\ngo()\n", ()),
    "a wrapped function": ("import functools\n" + F + "f = functools.lru_cache(None)(f)\n", ()),
    "an attribute": ("def f(x):\n    return x + f.k\nf.k = 1\n", ()),
    "a setting": ("import sys\n" + F + "sys.setrecursionlimit(5000)\n", ("sys.setrecursionlimit",)),
    "a setting by its own name": (
        "from sys import setrecursionlimit as limit\n" + F + "limit(5000)\n",
        ("limit(5000)",),
    ),
    "a setting beside another module": ("import time, sys\n" + F + "sys.setrecursionlimit(5000)\n", ("(5000)",)),
    "an object that is handed on": (
        "def f(x):\n    return T[x]\ndef fill(into):\n    into[1] = 2\nT = {}\nfill(T)\n",
        (),
    ),
    "an object within an expression": ("def f(x):\n    return T[x]\nT = []\n[T.append(n + 1) for n in (0, 1)]\n", ()),
    "a class that is handed on": ("def f(x):\n    return C.k + x\nclass C:\n    pass\nsetattr(C, 'k', 1)\n", ()),
    "a helper of a helper": ("def f(x):\n    return g(x)\ndef g(x):\n    return x + K\nK = 1\n", ()),
    "an import that may fail": (MAY_FAIL, ()),
    "names looked up by text": ("def f(x):\n    return globals()['K'] + x\nK = 1\n", ()),
    "a tuple of names": ("def f(x):\n    return x + B\nA, B = 0, 1\n", ()),
    "chained names": ("def f(x):\n    return x + B\nA = B = 1\n", ()),
    "a class": ("def f(x):\n    return C.k + x\nclass C:\n    k = 1\n", ()),
    "a guard": (F + "if __name__ == '__main__':\n    print(f('x'))\n", ("__main__",)),
    "a package that a helper uses": (
        "import collections.abc as no\ndef g(x: no.Sized):\n    return x\ndef f(x):\n    return g(x) + 1\n",
        ("import collections.abc as no",),
    ),
    "a second definition": (F.replace("+ 1", "+ 2") + "\n" + F, ("+ 2", "+ 1")),
    "a condition": ("def f(x):\n    return x + K\nif True:\n    K = 1\nelse:\n    K = 2\n", ()),
}  # fmt: skip


@pytest.mark.parametrize("name", STAYS)
def test_what_the_function_needs_stays(name):
    text, parts = STAYS[name]
    shown = "\nresult = f('x')\nprint(f([]))\n"
    program = demonstrations.without(text + shown, "f")
    assert "print(f([]))" not in program
    assert all(part in program for part in parts)
    names = {"__name__": "solution"}
    exec(program, names)  # noqa: S102 - the texts above
    assert names["f"](1) == 2


def test_before_the_function_only_what_asks_a_user_or_calls_it_goes():
    text = "python\nn = input()\nK = 1\nprint('ready')\nf(2)\ndef f(x):\n    return x + K\n"
    assert demonstrations.without(text, "f") == "K = 1\nprint('ready')\ndef f(x):\n    return x + K\n"


def test_a_package_that_the_function_uses_stays():
    text = "import no_such_package\ndef f(x):\n    return no_such_package.one(x)\n"
    assert demonstrations.without(text, "f") == text


def test_a_program_without_the_function_is_left_alone():
    assert demonstrations.without("print(1)\nexit()\n", "f") == "print(1)\nexit()\n"


@given(st.sampled_from(problems.load("humaneval").problems))
@settings(max_examples=60, deadline=None)
def test_nothing_is_taken_from_a_published_solution(problem):
    whole = problem.prompt + problem.canonical_solution
    assert demonstrations.without(whole, problem.entry_point) == whole


def test_statements_are_whole():
    text = (
        "@a\n@b(\n1)\ndef f():\n    '''\nx = 1\n'''\n    y = (\n1,\n)\nif 1:\n  2\nelif 3:\n  4\nz = 1 + \\\n2\nlast(\n"
    )
    code = python_scan.lines(text)
    found = ["".join(code[s.first : s.after]) for s in python_scan.statements(text)]
    assert found == [text[: text.index("if 1")], "if 1:\n  2\nelif 3:\n  4\n", "z = 1 + \\\n2\n", "last(\n"]
    assert [s.head.strip() for s in python_scan.statements(text)] == ["def f():", "if 1:", "z = 1 + \\", "last("]


@given(st.text(alphabet="def f(x):\n =[]{}'\"\\#@\tifelse.,globalimport", max_size=160))
@settings(max_examples=200, deadline=None)
def test_any_text_goes_through_and_only_whole_lines_go(text):
    kept = python_scan.lines(demonstrations.without(text, "f"))
    rest = iter(python_scan.lines(text))
    assert all(line in rest for line in kept)
    assert len(python_scan.masked(text)) == len(text)


@pytest.mark.parametrize("line", ["import sys\nsys.exit(0)\n", "exit()\n", "quit(1)\n", "import os\nos._exit(0)\n"])
def test_a_program_that_ends_before_its_function_is_not_mended(line):
    program = f"{line}\ndef f(x):\n    return x\n"
    assert demonstrations.without(program, "f") == program
    asking = f"n = int(input())\n\ndef f(x):\n    return x\n\n{line.splitlines()[-1]}\n"
    assert demonstrations.without(asking, "f").strip() == "def f(x):\n    return x"
