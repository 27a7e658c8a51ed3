"""Results of an untrusted program: data in order, how it ended, and nothing that is not data."""

from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.stand_ins import Handle
from trimtab.sandbox.verdict import Limits, Outcome

PROGRAM = """
def f(a, b):
    if b == 0:
        raise ZeroDivisionError("by nothing")
    return {(a, b): [a / b, {a}]}
class Same(int):
    def __eq__(self, other): return True
def same(): return Same(3)
def thing(): return object.__new__(type("T", (), {}))
def letters(): return list({c for c in "abcdefghijklmnop"})
def large(): return "x" * (2 << 20)
def loop():
    while True: pass
"""


def test_results_come_back_in_order_until_one_fails(best):
    asked = [("f", (1, 2)), ("f", (3, 1)), ("f", (1, 0)), ("f", (1, 1))]
    found = best.call(PROGRAM, asked)
    assert found.values == ({(1, 2): [0.5, {1}]}, {(3, 1): [3.0, {3}]})
    assert (found.outcome, found.detail) == (Outcome.ERROR, "ZeroDivisionError: by nothing")
    assert best.call(PROGRAM, asked[:2]).outcome is Outcome.PASSED


def test_only_data_comes_back(best):
    same, thing = best.call(PROGRAM, [("same", ()), ("thing", ())]).values
    assert type(same) is int
    assert same != 4
    assert isinstance(thing, Handle)


def test_how_a_program_ended_is_told_apart(best):
    assert best.call("def f(:", [("f", ())]).outcome is Outcome.SYNTAX
    assert best.call("", [("f", ())]).outcome is Outcome.MISSING
    assert best.call(PROGRAM, [("large", ())]).outcome is Outcome.OUTPUT_LIMIT
    assert best.call(PROGRAM, [("loop", ())], Limits(cpu_s=0.3)).outcome is Outcome.TIMEOUT_CPU
    assert best.call("import os; os._exit(0)", [("f", ())]).outcome is Outcome.EXIT
    assert best.call(PROGRAM, [("same", ())]).values == (3,), "the next program is not troubled by the last"


def test_the_hash_seed_is_the_sandbox_s(best):
    asked = [("letters", ())]
    with Sandbox(hash_seed=1) as other:
        orders = [box.call(PROGRAM, asked).values[0] for box in (best, best, other)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2])
