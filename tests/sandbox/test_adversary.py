"""Attacks of a third round, and right programs that were failed: what won when this was written, and what taught most.

Won: a sum of fractions, or of ones after a huge number, kept the broker busy until the whole run ended in an error;
forged sets of one hash cost it seconds; an exception without a text, or an answer that is not data, was called an exit.
Failed though right: results that are views of a dictionary, objects with an attribute ``number``, arguments by keyword
that are changed in place, what a KeyError says, a dictionary of 5000 keys in another order, half a surrogate pair printed.
"""

# ruff: noqa: E501 - programs stay as somebody would write them

from __future__ import annotations

import pytest

from trimtab.sandbox import batch
from trimtab.sandbox.verdict import Limits, Outcome

LIMITS = Limits(cpu_s=0.2, wall_s=1.0, memory_mib=256)
GOOD = "def solve(xs): return sum(xs)\n"


def check(*lines):
    return "def check(candidate):\n" + "".join(f"    {line}\n" for line in lines)


TEST = check("assert candidate([1, 2, 3]) == 6", "assert candidate([]) == 0")
DRIVEN = check(
    "for n in range(1, 4):",
    "    try:",
    "        got = candidate([n, 5])",
    "    except Exception:",
    "        got = None",
    "    assert got == n + 5",
)
SUM = check("assert sum(candidate([1])) == 1")
FORGE = "import sys\nP = 2**61 - 1\nsys.modules['trimtab.sandbox.codec'].encode = lambda *a: reply\ndef big(n): return n if n < 2**63 else {'int': hex(n)}\ndef solve(xs): return 0\nreply = "
UNTOLD = "class E(Exception):\n    def __str__(self): %s\ndef solve(xs): raise E"

# A program, tests that it fails, and outcomes that are right.
WRONG = {
    "sum_of_fractions": ("from fractions import Fraction as F\ndef solve(xs): return [F(1, d * d * d + 2) for d in range(1, 20_000)]", [SUM], "timeout_cpu wrong"),
    "sum_after_a_huge_number": ("def solve(xs): return [1 << 2_000_000] + [1] * 200_000", [SUM], "timeout_cpu wrong"),
    "digits_to_round_to": ("def solve(xs): return -10**9", [check("assert round(5, candidate([1])) == 7")], "timeout_cpu wrong oom error"),
    "forged_tuples_of_one_hash": (FORGE + "{'set': [{'tuple': [{'Fraction': [1, 2]}] * 8 + [big(k * P)]} for k in range(1, 4000)]}", [TEST], "timeout_cpu wrong"),
    "forged_members_of_one_hash": (FORGE + "[{'tuple': [1000] * 30 + [big(k * P)]} for k in range(1, 4000)]", [check("assert set(candidate([1])) == 1")], "timeout_cpu wrong"),
    "text_that_raises": (UNTOLD % "raise self", [TEST, DRIVEN], "error wrong"),
    "text_that_exits": (UNTOLD % "raise SystemExit(0)", [TEST, DRIVEN], "error wrong"),
    "text_that_is_none": (UNTOLD % "return 3", [TEST, DRIVEN], "error wrong"),
    "text_while_loading": ("class E(Exception):\n    def __str__(self): raise self\nraise E", [TEST, DRIVEN], "error"),
    "name_of_a_type_that_is_none": ("class M(type):\n    __name__ = property(lambda c: 3)\nclass O(metaclass=M): pass\ndef solve(xs): return O()", [TEST, DRIVEN], "error"),
    "date_that_is_no_text": ("import datetime\nclass D(datetime.date):\n    def isoformat(self): return object()\ndef solve(xs): return D(2020, 1, 1)", [TEST, DRIVEN], "error"),
    "lying_about_everything": ("class O:\n    __class__ = int\n    __eq__ = __bool__ = lambda *a: True\n    __hash__ = __len__ = __int__ = __index__ = lambda s: 6\n    __iter__ = lambda s: iter([6])\n    __sub__ = __abs__ = lambda *a: 0\ndef solve(xs): return O()", [TEST, DRIVEN], "wrong error"),
    "numpy_by_name_only": ("class A(int):\n    def __eq__(s, o): return True\nclass O:\n    __module__ = 'numpy'\n    def item(s): return A(0)\ndef solve(xs): return O()", [TEST, DRIVEN], "wrong"),
    "every_module_gone": ("import sys\nclass F:\n    def find_spec(s, *a): raise SystemExit(0)\nsys.meta_path[:] = [F()]\nsys.modules.clear()\ndef solve(xs): return 0", [TEST, DRIVEN], "wrong error exit"),
    "arguments_that_are_an_answer": ("class E(Exception): pass\ndef solve(xs): raise StopIteration(xs, {'value': 6})", [TEST, DRIVEN], "error wrong"),
    "exit_in_the_test_s_except": ("def solve(xs): raise BaseExceptionGroup('', [KeyboardInterrupt()])", [TEST, DRIVEN], "exit"),
}  # fmt: skip

# Those of them that the broker must not compare.
DEAR = [name for name in WRONG if name.startswith(("sum_", "digits_", "forged_"))]

# A right program, and its test.
RIGHT = {
    "length_of_values": ("def solve(d): return d.values()", check("assert len(candidate({'a': 1, 'b': 2})) == 2")),
    "values_twice": ("def solve(d): return d.values()", check("v = candidate({'a': 1, 'b': 2})", "assert sum(v) == 3 and max(v) == 2")),
    "items_that_are_lists": ("def solve(d): return d.items()", check("assert list(candidate({'a': [1]})) == [('a', [1])]")),
    "items_as_a_set": ("def solve(d): return d.items()", check("assert candidate({'a': 1}) == {('a', 1)}")),
    "attribute_called_number": ("class P:\n    def __init__(s, n): s.number, s.kind, s.truth = n, 'k', 4\ndef solve(n): return P(n)", check("p = candidate(77)", "assert (p.number, p.kind, p.truth) == (77, 'k', 4)", "p.number = 5", "assert p.number == 5")),
    "keyword_changed_in_place": ("def solve(xs, q): xs.sort(); q.append(9)", check("import collections", "xs, q = [3, 1], collections.deque()", "candidate(xs=xs, q=q)", "assert xs == [1, 3] and list(q) == [9]")),
    "what_a_key_error_says": ("def solve(d): return d['x']", check("try: candidate({})", "except KeyError as e: assert e.args == ('x',) and str(e) == \"'x'\"", "else: assert False")),
    "what_another_error_says": ("class E(ValueError):\n    def __str__(s): return 'bad ' + s.args[0]\ndef solve(n): raise E('x')", check("try: candidate(1)", "except ValueError as e: assert str(e) == 'bad x'", "else: assert False")),
    "exception_of_five_arguments": ("def solve(b): return b.decode()", check("try: candidate(b'\\xff')", "except UnicodeDecodeError as e: assert e.start == 0", "else: assert False")),
    "number_of_an_os_error": ("def solve(): raise FileNotFoundError(2, 'none')", check("try: candidate()", "except OSError as e: assert e.errno == 2", "else: assert False")),
    "half_a_surrogate_pair_printed": ("def solve(s):\n    print('\\ud800', s)\n    return s", check("assert candidate('x') == 'x'")),
    "large_dictionary": ("def solve(n): return {k: k for k in range(n)}", check("assert len(candidate(9000)) == 9000")),
    "imports_of_tests_and_tools": ("import cProfile, configparser, doctest, getopt, gzip, multiprocessing, sqlite3, tracemalloc, unittest, codecs\nclass T(unittest.TestCase): pass\ndef solve(s): return codecs.encode(s.encode('cp1252'), 'hex')", check("assert candidate('a') == b'61'")),
    "asynchronous": ("import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x\ndef solve(xs):\n    async def main(): return await asyncio.gather(*map(f, xs))\n    return asyncio.run(main())", check("assert candidate([1, 2]) == [1, 2]")),
    "builtins_of_its_own": ("def len(x): return sum(1 for _ in x)\nlist = tuple\ntype = isinstance = None\ndef solve(xs): return len(xs)", check("assert candidate([1, 2]) == 2")),
    "state_between_calls": ("n, seen = 0, []\ndef solve(x, kept=[]):\n    global n\n    n += x; kept.append(n)\n    return list(kept)", check("assert candidate(1) == [1]", "assert candidate(2) == [1, 3]")),
    "groups_as_lists": ("import itertools\ndef solve(s): return ((k, len(list(g))) for k, g in itertools.groupby(s))", check("assert dict(candidate('aab')) == {'a': 2, 'b': 1}")),
}  # fmt: skip


def run(box, program, test, limits=LIMITS):
    return box.run(program=program, entry_point="solve", test=test, limits=limits)


@pytest.mark.parametrize("name", WRONG)
def test_no_wrong_program_passes(box, name):
    program, tests, outcomes = WRONG[name]
    for test in tests:
        found = run(box, program, test)
        assert found.outcome in outcomes.split()
        assert found.oracle == "driver" or name not in DEAR  # where time is counted
    assert run(box, GOOD, DRIVEN).outcome is Outcome.PASSED


@pytest.mark.parametrize("name", RIGHT)
def test_no_right_program_fails(box, name):
    program, test = RIGHT[name]
    found = run(box, program, test, Limits())
    assert found.outcome is Outcome.PASSED, found


def test_the_order_of_many_keys_is_nobody_s_business(best):
    counted = "def solve(xs):\n    d = {}\n    for x in xs: d[x] = d.get(x, 0) + 1\n    return d\n"
    expected = best.truth(counted, batch.pack("solve", [[[i * 7919 % 10007 for i in range(5000)]]]), Limits())
    other = "def solve(xs): return dict.fromkeys(sorted(xs), 1)\n"
    holds = best.compare(other, expected, lambda index, value: value == expected.value(index))
    assert holds.outcome is Outcome.PASSED, holds
