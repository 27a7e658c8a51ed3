"""Many calls compared with a reference: digests decide alone only when they are equal, and nothing wrong gets through."""

# ruff: noqa: E501 - programs stay as somebody would write them

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.sandbox import batch, codec, stand_ins
from trimtab.sandbox.snapshot import freeze
from trimtab.sandbox.verdict import Limits, Outcome

REFERENCE = "def f(x):\n    return {'n': x, 's': {x, -x}, 't': (x, x / 2)}\n"
INPUTS = [[n] for n in range(-30, 30)]


@pytest.fixture
def truth(best):
    return best.truth(REFERENCE, batch.pack("f", INPUTS), Limits())


def judged(box, program, truth, **options):
    return box.compare(program, truth, lambda index, value: value == truth.value(index), **options)


def test_the_reference_agrees_with_itself_and_its_values_can_be_read(best, truth):
    assert truth.outcome is Outcome.PASSED
    assert len(truth.digests) == len(truth.frames) == len(INPUTS)
    assert truth.value(31) == {"n": 1, "s": {1, -1}, "t": (1, 0.5)}
    found = judged(best, REFERENCE, truth)
    assert (found.outcome, found.oracle) == (Outcome.PASSED, "digest")


def test_equal_values_that_are_encoded_apart_pass(best, truth):
    program = "def f(x):\n    return {'t': (float(x), x / 2), 's': {-x, x}, 'n': float(x)}\n"
    assert judged(best, program, truth).outcome is Outcome.PASSED


@pytest.mark.parametrize("number", [0, 7, 8, 59])
def test_one_wrong_answer_is_found_wherever_it_is(best, truth, number):
    program = f"{REFERENCE}g = f\ndef f(x):\n    return g(x) if x != {number - 30} else None\n"
    found = judged(best, program, truth)
    assert found.outcome is Outcome.WRONG
    assert found.detail == f"input {number + 1}: got None"


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("    return g(x) if x < 5 else 1 / 0", Outcome.ERROR),
        ("    if x > 5: import os; os._exit(0)\n    return g(x)", Outcome.EXIT),
        ("    if x > 5: raise SystemExit\n    return g(x)", Outcome.EXIT),
        ("    if x > 5:\n        while True: pass\n    return g(x)", Outcome.TIMEOUT_CPU),
        ("    if x > 5: return ' ' * (1 << 40)\n    return g(x)", Outcome.OOM),
    ],
)
def test_how_a_program_ends_on_the_way_is_told(best, truth, body, outcome):
    found = judged(best, f"{REFERENCE}g = f\ndef f(x):\n{body}\n", truth, limits=Limits(cpu_s=0.5, wall_s=20))
    assert found.outcome is outcome
    assert outcome is not Outcome.ERROR or found.detail.startswith("input ")
    assert judged(best, "def f(:", truth).outcome is Outcome.SYNTAX
    assert judged(best, "", truth).outcome is Outcome.MISSING


FORGING = {
    "digest_of_everything": "import sys\nm = sys.modules['trimtab.sandbox.codec']\nm.digest = lambda text: '-'\ndef f(x): return 0",
    "short_row": "import sys\nm = sys.modules['trimtab.sandbox.solution']\nm.Solution._row = lambda *a: ([], {'digests': []})\ndef f(x): return 0",
    "empty_rows": "import sys\nm = sys.modules['trimtab.sandbox.solution']\nm.Solution._row = lambda *a: ([], {'digests': [], 'more': True})\ndef f(x): return 0",
    "long_row": "import sys\nm = sys.modules['trimtab.sandbox.solution']\nm.Solution._row = lambda *a: ([], {'digests': ['-'] * 10**4})\ndef f(x): return 0",
    "not_text": "import sys\nm = sys.modules['trimtab.sandbox.codec']\nm.digest = lambda text: [None]\ndef f(x): return 0",
    "always_equal": "class A(int):\n    def __eq__(self, o): return True\n    __hash__ = int.__hash__\ndef f(x): return A(0)",
    "object": "def f(x): return object()",
    "pass_at_once": "import os, struct, json\ndef f(x):\n    b = json.dumps({'outcome': 'passed', 'value': 0, 'digests': []}).encode()\n"
    "    os.write(3, struct.pack('>I', len(b)) + b)\n    return 0",
    "inputs_from_frames": "import sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n"
    "        for v in list(frame.f_locals.values()):\n            if isinstance(v, dict) and 'digests' in v: return v\n        frame = frame.f_back\n    return 0",
}  # fmt: skip


@pytest.mark.parametrize("name", FORGING)
def test_no_forged_row_of_digests_is_accepted(box, name):
    truth = box.truth(REFERENCE, batch.pack("f", INPUTS), Limits())
    assert judged(box, FORGING[name], truth, limits=Limits(cpu_s=1, wall_s=3)).outcome is not Outcome.PASSED
    assert judged(box, REFERENCE, truth).outcome is Outcome.PASSED


def test_objects_have_no_digest_so_the_same_object_is_not_enough(best):
    reference = "class T: pass\ndef f(x): return T()\n"
    truth = best.truth(reference, batch.pack("f", [[1], [2]]), Limits())
    assert truth.digests == ("-", "-")
    assert judged(best, reference, truth).outcome is Outcome.WRONG
    assert (
        best.compare(reference, truth, lambda _, value: isinstance(value, stand_ins.Handle)).outcome is Outcome.PASSED
    )


@pytest.mark.parametrize(
    "value",
    ["float('nan')", "[1.0, float('nan')]", "(float('nan'),)", "{'a': float('nan')}", "{float('nan')}", "complex('nan')",
     "decimal.Decimal('NaN')", "[decimal.Decimal('-sNaN12')]", "[math.nan]", "[0.0] * 40 + [-float('nan')]",
     "map(abs, [x])", "[iter([x])]", "{x: x}.values()"],
)  # fmt: skip
def test_nothing_with_a_nan_or_an_iterator_in_it_equals_anything_not_even_what_the_same_program_returned(best, value):
    reference = f"import decimal, math\ndef f(x): return {value} if x else 0\n"
    truth = best.truth(reference, batch.pack("f", [[0], [1]]), Limits())
    assert truth.digests[0] != "-"
    found = judged(best, reference, truth)
    assert (found.outcome, found.detail[:7]) == (Outcome.WRONG, "input 2")


@pytest.mark.parametrize("value", ["float('inf')", "-float('inf')", "'nan'", "['NaN', 'snan1']", "{'nan': 1}", "-0.0"])
def test_infinities_zeros_and_the_word_are_no_nan(best, value):
    program = f"def f(x): return {value}\n"
    truth = best.truth(program, batch.pack("f", [[0]]), Limits())
    assert judged(best, program, truth).outcome is Outcome.PASSED
    zero = best.truth("def f(x): return 0.0\n", batch.pack("f", [[0]]), Limits())
    assert (judged(best, program, zero).outcome is Outcome.PASSED) == (value == "-0.0")


def test_large_results_are_compared_without_being_sent(best):
    reference = "def f(x): return [x] * 400_000\n"
    truth = best.truth(reference, batch.pack("f", [[10**6 + n] for n in range(12)]), Limits(cpu_s=20))
    assert truth.frames == (b"",) * 12
    assert judged(best, reference, truth, limits=Limits(cpu_s=20)).outcome is Outcome.PASSED
    subclass = "class L(list): pass\ndef f(x): return L([x]) * 0 or L([x] * 400_000)\n"
    assert judged(best, subclass, truth, limits=Limits(cpu_s=20)).outcome is Outcome.PASSED
    wrong = judged(best, "def f(x): return [x] * 400_001\n", truth, limits=Limits(cpu_s=20))
    assert wrong.outcome is Outcome.WRONG
    with pytest.raises(codec.CodecError):
        truth.value(0)


def test_a_result_too_large_to_be_told_costs_no_memory_to_refuse(best):
    # Written out, the rows take several times what the program may use; their bytes do not.
    rows = "def f(n): return [('x' * 40,)] * (n * 500_000)"
    limits = Limits(memory_mib=160)
    found = best.truth(rows, batch.pack("f", [(0,), (1,), (0,)]), limits)
    assert (found.outcome, len(found.digests)) == (Outcome.PASSED, 3)
    assert found.value(0) == []
    with pytest.raises(codec.CodecError, match="too large"):
        found.value(1)
    assert best.compare(rows, found, lambda *_: False, limits).outcome is Outcome.PASSED
    other = best.compare(rows.replace("40", "41"), found, lambda *_: True, limits)
    assert (other.outcome, other.detail) == (Outcome.WRONG, "input 2: a result that cannot be read here")


def test_a_reference_that_fails_says_where(best):
    truth = best.truth("def f(x): return 1 / x\n", batch.pack("f", [[1], [0]]), Limits())
    assert (truth.outcome, len(truth.digests)) == (Outcome.ERROR, 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers() | st.text(max_size=3), max_size=3), max_size=40))
def test_pieces_hold_all_inputs_in_order(inputs):
    packed = batch.pack("f", inputs)
    rows = [row for piece in packed.pieces for row in codec.loads(piece)["inputs"]]
    assert [[codec.Decoder().decode(arg) for arg in row] for row in rows] == inputs
    assert sum(packed.counts) == len(inputs)
    assert not packed.counts or packed.counts[0] <= 8


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    | st.frozensets(st.integers() | st.text(max_size=2), max_size=4),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(VALUES, VALUES)
def test_equal_digests_mean_equal_values(a, b):
    one, other = freeze(a, codec._refuse_object), freeze(b, codec._refuse_object)
    if one.digest == other.digest:
        assert a == b
    again = codec.Decoder().decode(json.loads(one.text()))
    assert freeze(again, codec._refuse_object).digest == one.digest
