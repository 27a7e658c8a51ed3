"""Twenty attacks that are on no published list, by somebody who knows how this sandbox is built and wants to win.

Each program knows the wire format, the descriptors, the modules in its interpreter and the names of everything. Under
every oracle a wrong program must not pass, and the next right program must.
"""

# ruff: noqa: E501 - programs stay as somebody would write them

from __future__ import annotations

import pytest

from trimtab.sandbox import batch
from trimtab.sandbox.verdict import Limits, Outcome

TEST = "def check(candidate):\n    assert candidate([1, 2, 3]) == 6\n    assert candidate([4]) == 4\n    assert candidate([]) == 0\n"
DRIVEN = TEST + "    for x in (5, 9):\n        assert candidate([x]) == x\n"
GOOD = "def solve(xs): return sum(xs)\n"
WIRE = """
import json, os, struct
def frame(message, fd=3):
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    os.write(fd, struct.pack('>I', len(data)) + data)
"""
MODULES = "import sys\ncodec = sys.modules['trimtab.sandbox.codec']\nsolution = sys.modules['trimtab.sandbox.solution']\nwire = sys.modules['trimtab.sandbox.wire']\n"

ATTACKS = {
    # Answers sent before they are asked for, in the hope that somebody counts frames and not what is in them.
    "answers_in_advance": WIRE + "for fd in (3, 4):\n    try:\n        for v in range(40): frame({'value': v % 7}, fd)\n    except OSError: pass\ndef solve(xs): return 0",
    # The calls are all in one message: read it off the stack, answer with the lengths of what is asked.
    "read_the_other_calls": "import sys\ndef solve(xs):\n    f = sys._getframe()\n    while f:\n        r = f.f_locals.get('request')\n        if isinstance(r, dict) and 'calls' in r: return len(r['calls']) + len(xs)\n        f = f.f_back\n    return -1",
    # A value with two tags, one harmless.
    "two_tags": MODULES + "solution.codec.encode = lambda v, *a: {'tuple': [], 'int': '0x6'}\ndef solve(xs): return 0",
    # Not-a-number in the guise of a big integer, and other texts int() or float() might like.
    "int_from_strange_text": MODULES + "codec.encode = lambda v, *a: {'int': ' 0x_6 '}\ndef solve(xs): return 0",
    "float_infinite_list": MODULES + "codec.encode = lambda v, *a: {'float': ['nan', 'inf']}\ndef solve(xs): return 0",
    # A handle with a negative number, or one beyond all objects, or whose truth is not a truth value.
    "handle_out_of_range": MODULES + "codec.encode = lambda v, *a: {'handle': [-1, 'int', True]}\ndef solve(xs): return 0",
    "handle_of_strange_truth": MODULES + "codec.encode = lambda v, *a: {'handle': [10**30, 'int', [1]]}\ndef solve(xs): return 0",
    # An exception whose name is that of an assertion, of the driver's own, or of something that ends a test as passed.
    "exception_by_another_name": MODULES + "solution._builtin_name = lambda e: 'StopIteration'\ndef solve(xs): raise ValueError",
    "sample_ended_from_inside": MODULES + "def solve(xs): raise type('SampleEndedError', (BaseException,), {})",
    # The message that says the program is ready, twice, then an end, then a value.
    "ready_end_value": WIRE + "def solve(xs):\n    for fd in (3, 4):\n        for m in ({'ready': True}, {'end': ['passed', '']}, {'value': 6}):\n            try: frame(m, fd)\n            except OSError: pass\n    return 0",
    # An end whose kind is an outcome of the broker.
    "end_as_passed": MODULES + "solution.Solution._load = lambda self, p: None\ndef solve(xs): return 0\nimport os\n" + WIRE + "for fd in (3, 4):\n    try: frame({'end': ['passed', 'all well']}, fd)\n    except OSError: pass",
    # Changes of arguments reported for arguments that were never given, or as something that is not a list.
    "mutations_of_nothing": MODULES + "real = solution.Solution._call\ndef lie(self, f, r):\n    a = real(self, f, r)\n    a['args'] = [[6]] * 50\n    return a\nsolution.Solution._call = lie\ndef solve(xs): return xs",
    "mutations_that_are_no_list": MODULES + "real = solution.Solution._call\ndef lie(self, f, r):\n    a = real(self, f, r)\n    a['args'] = {'0': 6}\n    return a\nsolution.Solution._call = lie\ndef solve(xs): return 0",
    # Half a frame, then silence: somebody might wait for ever, or take what is there.
    "half_a_frame": "import os, struct, time\ndef solve(xs):\n    for fd in (3, 4):\n        try: os.write(fd, struct.pack('>I', 20) + b'{\"value\":6')\n        except OSError: pass\n    time.sleep(100)",
    # A length of zero, and the largest there is.
    "zero_length_frames": "import os\ndef solve(xs):\n    for fd in (3, 4):\n        try: os.write(fd, bytes(4) * 1000)\n        except OSError: pass\n    return 0",
    "longest_length": "import os\ndef solve(xs):\n    for fd in (3, 4):\n        try: os.write(fd, b'\\xff' * 4 + b'{\"value\":6}')\n        except OSError: pass\n    return 0",
    # Duplicate keys in one object: parsers disagree about which counts.
    "duplicate_keys": WIRE + "def solve(xs):\n    for fd in (3, 4):\n        try: frame(b'{\"raise\":[\"E\",\"\"],\"value\":0,\"value\":6}', fd)\n        except OSError: pass\n    return 0",
    # The clock moved by an alarm, the answer given by the handler while the call is still running.
    "answer_from_a_signal_handler": WIRE + "import signal\ndef now(*a):\n    for fd in (3, 4):\n        try: frame({'value': 0}, fd)\n        except OSError: pass\nsignal.signal(signal.SIGALRM, now)\ndef solve(xs):\n    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\n    while True: pass",
    # The socket handed to itself: descriptors sent through a pair, to make the broker's end readable from here.
    "own_socket_read_back": "import os, socket\ndef solve(xs):\n    for fd in (3, 4):\n        try:\n            s = socket.socket(fileno=os.dup(fd))\n            s.setblocking(False)\n            s.recv(1 << 20, socket.MSG_PEEK); s.shutdown(socket.SHUT_RD)\n        except OSError: pass\n    return 0",
    # A finalizer that answers when the process is on its way out.
    "answer_from_a_finalizer": WIRE + "import weakref\nclass A: pass\na = A()\ndef late():\n    for fd in (3, 4):\n        try: frame({'value': 6}, fd)\n        except OSError: pass\nweakref.finalize(a, late)\ndef solve(xs):\n    global a\n    a = None\n    raise SystemExit(0)",
    # Numbers that compare in the program's favour whatever they are compared with.
    "nan_in_containers": "nan = float('nan')\ndef solve(xs): return [nan, {nan: nan}, (nan,)]",
    "huge_integer_comparison": "def solve(xs): return -(1 << (1 << 22))",
}  # fmt: skip


def test_there_are_twenty_of_them():
    assert len(ATTACKS) >= 20


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_wins_under_any_oracle_and_the_next_sample_is_judged_rightly(box, name):
    limits = Limits(cpu_s=0.5, wall_s=1.0, memory_mib=512)
    truth = box.truth(GOOD, batch.pack("solve", [([1, 2, 3],), ([4],), ([],)]), Limits())

    def by_digest(program):
        return box.compare(program, truth, lambda index, value: value == truth.value(index), limits)

    def by_test(program, test):
        return box.run(program=program, entry_point="solve", test=test, limits=limits)

    attacked = [by_test(ATTACKS[name], TEST), by_test(ATTACKS[name], DRIVEN), by_digest(ATTACKS[name])]
    assert [v.outcome for v in attacked if v.outcome is Outcome.PASSED] == []
    assert by_test(GOOD, TEST).outcome is Outcome.PASSED
    assert by_digest(GOOD).outcome is Outcome.PASSED
