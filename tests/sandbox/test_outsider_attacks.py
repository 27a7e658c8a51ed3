"""Forty attacks by somebody who read the documentation and none of the other attacks: no forged verdict, no effect.

The answers asked for are random, so a program can pass only by reaching what judges it. Each attack runs against tests
that are data and tests that are code, and after each an honest program must still be judged rightly.
"""

# ruff: noqa: E501 - one program a line

from __future__ import annotations

import time

import pytest

from trimtab.sandbox.verdict import Limits, Outcome

LIMITS = Limits(cpu_s=0.4, wall_s=1.0, memory_mib=300)
DATA = "def check(candidate):\n    assert candidate(3) == 734512\n    assert candidate(5) == [98123, 'kq']\n"
CODE = (
    "def check(candidate):\n    for x, y in [(3, 734512), (5, [98123, 'kq'])]:\n"
    "        found = candidate(x)\n        assert found == y, (x, found)\n"
)
HONEST = "def f(x):\n    return 734512 if x == 3 else [98123, 'kq']\n"

ATTACKS = {
    # The wire
    "writes answers of its own to every descriptor": "import os\ndef f(x):\n    for fd in range(1, 64):\n        try: os.write(fd, b'\\0\\0\\0\\x10{\"value\":734512}')\n        except OSError: pass\n    return 0",
    "answers before it is asked": "import os\nfor fd in range(3, 9):\n    try: os.write(fd, (lambda b: len(b).to_bytes(4, 'big') + b)(b'{\"value\":true}') * 9)\n    except OSError: pass\ndef f(x): return 1",
    "claims a verdict": "import os, json\ndef f(x):\n    b = json.dumps({'outcome': 'passed', 'detail': '', 'calls': 2, 'end': None}).encode()\n    for fd in range(3, 9):\n        try: os.write(fd, len(b).to_bytes(4, 'big') + b)\n        except OSError: pass\n    return 0",
    "claims that a call raised nothing": "import os\ndef f(x):\n    b = b'{\"value\":{\"handle\":[0,\"int\",true]}}'\n    for fd in (3, 4):\n        try: os.write(fd, len(b).to_bytes(4, 'big') + b)\n        except OSError: pass\n    return 0",
    "frame of no length": "import os\ndef f(x):\n    for fd in (3, 4):\n        try: os.write(fd, b'\\0\\0\\0\\0' * 100)\n        except OSError: pass\n    return 0",
    "duplicates its socket over the others": "import os\ndef f(x):\n    for fd in range(0, 3):\n        try: os.dup2(3, fd)\n        except OSError: pass\n    print('{\"value\": 734512}', flush=True)\n    return 0",
    "reads what comes next": "import os, socket\ndef f(x):\n    try:\n        s = socket.socket(fileno=os.dup(3)); s.setblocking(False)\n        seen = s.recv(1 << 16, socket.MSG_PEEK)\n    except OSError: seen = b''\n    return 734512 if b'734512' in seen else 0",
    "passes descriptors back": "import socket, os, array\ndef f(x):\n    try:\n        s = socket.socket(fileno=os.dup(3))\n        s.sendmsg([b'\\0\\0\\0\\2{}'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0, 1, 2]))])\n    except OSError: pass\n    return 0",
    # The interpreter that serves
    "replaces the encoder": "import sys\nfor name, m in list(sys.modules.items()):\n    if name.endswith('codec'):\n        m.encode = lambda value, keep=None: 734512\n        m.dumps = lambda message: b'{\"value\":734512}'\ndef f(x): return 0",
    "replaces the server's call": "import gc\nfor o in gc.get_objects():\n    if type(o).__name__ == 'Solution':\n        o._call = lambda function, request: {'value': 734512}\ndef f(x): return 0",
    "searches its memory for the answers": "import gc\ndef f(x):\n    for o in gc.get_objects():\n        try:\n            if 734512 in o: return 734512\n        except Exception: pass\n    return 0",
    "searches the frames": "import sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n        for v in list(frame.f_locals.values()):\n            if '734512' in repr(v): return 734512\n        frame = frame.f_back\n    return 0",
    "traces": "import sys\ndef trace(frame, event, arg):\n    if '_answer' in frame.f_code.co_name and event == 'return': return trace\n    return trace\nsys.settrace(trace)\ndef f(x): return 0",
    "profile hook that raises": "import sys\ndef hook(*a): raise SystemExit(0)\ndef f(x):\n    sys.setprofile(hook)\n    return 0",
    "equality that depends on who asks": "class E(int):\n    def __eq__(s, o): return True\n    def __hash__(s): return hash(734512)\n    def __index__(s): return 734512\n    def __add__(s, o): return 734512\ndef f(x): return E(1)",
    "list that changes when read": "class L(list):\n    def __iter__(s): return iter([98123, 'kq'])\n    def __len__(s): return 2\n    def __getitem__(s, i): return [98123, 'kq'][i]\n    def __eq__(s, o): return True\ndef f(x): return L([0])",
    "mapping stand-in that lies": "import collections\nclass U(collections.UserDict):\n    def __eq__(s, o): return True\n    def __iter__(s): return iter(())\ndef f(x): return U()",
    "user list that lies": "import collections\nclass U(collections.UserList):\n    def __eq__(s, o): return True\n    def __radd__(s, o): return o\ndef f(x): return U([1])",
    "user string that lies": "import collections\nclass U(collections.UserString):\n    def __eq__(s, o): return True\ndef f(x): return U('kq')",
    "array of another kind": "import array\ndef f(x):\n    a = array.array('Q', [734512])\n    return a if x == 3 else a",
    "view that grows": "class V(dict):\n    def keys(s): return s\n    def __iter__(s):\n        n = 0\n        while True:\n            yield n\n            n += 1\ndef f(x): return V().keys()",
    "property that raises on encoding": "class P:\n    __class__ = property(lambda s: int)\n    def __bool__(s): raise SystemExit(0)\ndef f(x): return P()",
    "metaclass of instance checks": "class M(type):\n    def __instancecheck__(c, o): return True\nclass A(metaclass=M): pass\ndef f(x): return A",
    # Endings
    "ends in a destructor": "import os\nclass D:\n    def __del__(s): os._exit(0)\ndef f(x): return D()",
    "ends at exit": "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): return 0",
    "raises a base exception of its own": "class B(BaseException): pass\ndef f(x): raise B('passed')",
    "raises an assertion error": "def f(x): raise AssertionError('passed')",
    "raises StopIteration": "def f(x): raise StopIteration",
    "raises what prints as a verdict": "class E(Exception):\n    def __str__(s): return '{\"outcome\": \"passed\"}'\ndef f(x): raise E",
    "exception with a name of its own": "E = type('passed', (Exception,), {'__module__': 'builtins'})\ndef f(x): raise E('passed')",
    "alarm that ends it": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\nimport os\nsignal.signal(signal.SIGALRM, lambda *a: os._exit(0))\ndef f(x):\n    while True: pass",
    "forges its progress": "import gc, mmap\nfor o in gc.get_objects():\n    if type(o).__name__ == 'Solution': o._progress[:] = memoryview(b'\\xff' * 32).cast('d')\ndef f(x):\n    while True: pass",
    "says that the call under way has just begun": "import gc, time\nb = [o for o in gc.get_objects() if type(o).__name__ == 'Solution'][0]._progress\ndef f(x):\n    while True: b[1] = time.process_time()",
    "stops itself again and again": "import os, signal\ndef f(x):\n    while True: os.kill(os.getpid(), signal.SIGSTOP)",
    "touches memory in bursts": "def f(x):\n    keep = []\n    while True: keep.append(bytearray(64 << 20))",
    "reserves and touches one page each": "import mmap\ndef f(x):\n    keep = []\n    while True:\n        m = mmap.mmap(-1, 64 << 20); m[0] = 1; keep.append(m)",
    # Outside
    "kills everybody": "import os\ndef f(x):\n    for p in (-1, 0, 1, os.getppid()):\n        try: os.kill(p, 9)\n        except OSError: pass\n    return 0",
    "looks for the broker's files": "import os\ndef f(x):\n    for p in ('/proc/1/environ', '/proc/self/environ', '/etc/passwd', '/root', '/work', '/home'):\n        try:\n            return 734512 if '734512' in open(p).read() else 1\n        except OSError: pass\n    return 0",
    "connects to whatever listens": "import socket\ndef f(x):\n    for family in (socket.AF_INET, socket.AF_UNIX, getattr(socket, 'AF_VSOCK', 40)):\n        try: socket.socket(family).connect(('127.0.0.1', 80))\n        except (OSError, TypeError): pass\n    return 0",
    "leaves notes in what is shared": "import builtins, os, sys\nbuiltins.note = 734512\nos.environ['NOTE'] = '734512'\nsys.path.insert(0, '/tmp')\ndef f(x): return 0",
    "execs another interpreter": "import os, sys\ndef f(x):\n    try: os.execv(sys.executable or '/usr/bin/python3', ['python3', '-c', ''])\n    except (OSError, ValueError): pass\n    return 0",
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_passes_tests_that_are_data_at_any_tier(box, name):
    _refused(box, name, DATA)


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_passes_tests_that_are_code(best, name):
    _refused(best, name, CODE)


def _refused(box, name, test):
    began = time.monotonic()
    verdict = box.run(program=ATTACKS[name], entry_point="f", test=test, limits=LIMITS)
    assert verdict.outcome is not Outcome.PASSED, verdict
    assert time.monotonic() - began < 60
    honest = box.run(program=HONEST, entry_point="f", test=test)
    assert honest.outcome is Outcome.PASSED, honest
    left = "import builtins, os\ndef f():\n    return hasattr(builtins, 'note') or 'NOTE' in os.environ"
    assert box.call(left, [("f", ())]).values == (False,)


def test_there_are_forty():
    assert len(ATTACKS) >= 40
