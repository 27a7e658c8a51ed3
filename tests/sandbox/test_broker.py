"""The sandbox as a user sees it: no forged verdict, the right outcome for each ending, and the next sample unharmed."""

# ruff: noqa: E501 - programs stay as somebody would write them

from __future__ import annotations

import concurrent.futures
import importlib.util
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trimtab.errors import SandboxError, SandboxUnavailable
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.verdict import Limits, Outcome

_spec = importlib.util.spec_from_file_location("hostile", Path(__file__).with_name("hostile.py"))
hostile = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hostile)


def short(expected):
    """Limits that end soon what they should end, and leave time on a busy machine for what should end otherwise."""
    return Limits(
        cpu_s=0.4 if "timeout_cpu" in expected else 5.0,
        wall_s=1.2 if "timeout_wall" in expected else 20.0,
        memory_mib=512,
        output_mib=2.0,
    )


GOOD = "def solve(xs):\n    return sum(xs)\n"
SOURCE = Path(__file__).parents[2] / "src"


def run(box, program, test=hostile.TEST, **options):
    return box.run(program=program, entry_point="solve", test=test, **options)


@pytest.mark.parametrize("test", [hostile.TEST, hostile.DRIVEN], ids=["data", "driver"])
@pytest.mark.parametrize("name", hostile.FORGING)
def test_no_forged_verdict_is_accepted(box, name, test):
    verdict = run(box, hostile.FORGING[name], test)
    assert verdict.outcome is not Outcome.PASSED
    assert run(box, GOOD, test).outcome is Outcome.PASSED


@pytest.mark.parametrize("name", hostile.ENDING)
def test_each_ending_has_its_outcome_and_the_next_sample_is_unharmed(box, name):
    program, expected = hostile.ENDING[name]
    verdict = run(box, program, limits=short(expected))
    assert verdict.outcome in expected, verdict
    assert run(box, GOOD).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "name", ["loop", "sleep", "close_fds", "sigkill_self", "reply_flood", "socket_flood", "missing", "syntax"]
)
def test_endings_under_a_driver(box, name):
    program, expected = hostile.ENDING[name]
    verdict = run(box, program, hostile.DRIVEN, limits=short(expected))
    assert verdict.outcome in expected, verdict
    assert run(box, GOOD, hostile.DRIVEN).outcome is Outcome.PASSED


LEGITIMATE = {
    "plain": GOOD,
    "print": "def solve(xs):\n    print('x' * 10000)\n    return sum(xs)",
    "getcwd": "import os\ndef solve(xs):\n    os.getcwd()\n    return sum(xs)",
    "main_block": GOOD + "if __name__ == '__main__':\n    raise SystemExit(solve([1]))",
    "dataclass": "from dataclasses import dataclass\n@dataclass\nclass S:\n    t: float = 0\n"
    "def solve(xs):\n    s = S()\n    for x in xs: s.t += x\n    return s.t",
    "recursion": "def solve(xs): return xs[0] + solve(xs[1:]) if xs else 0",
    "stdin_guard": "import sys\ndef solve(xs):\n    sys.stdin.read()\n    return sum(xs)",
    "logging": "import logging\ndef solve(xs):\n    logging.warning('x')\n    return sum(xs)",
    "lru_cache": "from functools import lru_cache\n@lru_cache\ndef f(xs): return sum(xs)\ndef solve(xs): return f(tuple(xs))",
    "random": "import random\ndef solve(xs):\n    random.shuffle(xs)\n    return sum(sorted(xs))",
    "numbers": "from decimal import Decimal\nfrom fractions import Fraction\n"
    "def solve(xs): return sum(map(Fraction, xs)) if xs else Decimal(0)",
    "subclass": "class I(int): pass\ndef solve(xs): return I(sum(xs)) if all(isinstance(x, int) for x in xs) else sum(xs)",
    "stringio": "import io\nfrom contextlib import redirect_stdout\ndef solve(xs):\n    with redirect_stdout(io.StringIO()):\n"
    "        print(1)\n    return sum(xs)",
    "enum": "import enum, typing, collections, itertools, heapq, re, hashlib, string, math\ndef solve(xs): return math.fsum(xs)",
    "caught_exit": "def solve(xs):\n    try:\n        raise SystemExit\n    except SystemExit:\n        return sum(xs)",
    "closed_stdout": "import sys\nsys.stdout.close()\n" + GOOD,
}  # fmt: skip


@pytest.mark.parametrize("test", [hostile.TEST, hostile.DRIVEN], ids=["data", "driver"])
@pytest.mark.parametrize("name", LEGITIMATE)
def test_right_programs_pass(box, name, test):
    assert run(box, LEGITIMATE[name], test).outcome is Outcome.PASSED


def test_verdict_says_which_assertion_and_what_came_back(best):
    verdict = run(best, "def solve(xs): return len(xs) * 2")
    assert verdict.outcome is Outcome.WRONG
    assert "abs(candidate([0.5, 0.25]) - 0.75) < 1e-06" in verdict.detail
    assert "got 4" in verdict.detail
    driven = run(best, "def solve(xs): return len(xs) * 2", hostile.DRIVEN)
    assert driven.detail == "assert abs(candidate([0.5, 0.25]) - 0.75) < 1e-6"


def test_first_failure_decides_although_a_later_call_would_hang(best):
    program = "def solve(xs):\n    while not xs: pass\n    return 0"
    assert run(best, program).outcome is Outcome.WRONG


def test_resources_and_output_are_recorded(best):
    program = "def solve(xs):\n    print('hello')\n    x = ' ' * (50 << 20)\n    for _ in range(10**6): pass\n    return sum(xs)"
    verdict = run(best, program)
    assert verdict.outcome is Outcome.PASSED
    assert 0.01 < verdict.cpu_s < 1
    assert 50 < verdict.memory_mib < 200
    assert verdict.output.startswith("hello\n")


def test_output_kept_is_bounded(best):
    program = "def solve(xs):\n    print('x' * 500_000)\n    return sum(xs)"
    verdict = run(best, program)
    assert verdict.outcome is Outcome.PASSED
    assert len(verdict.output) == 65536


def test_same_program_gets_the_same_answers_every_time(best):
    program = (
        "import random\nvalues = [random.random() for _ in range(3)] + [hash('a') % 97, list({'x', 'y', 'z'})]\n"
        "def solve(xs): return values"
    )
    details = {run(best, program, "def check(candidate):\n    assert candidate([]) == 0\n").detail for _ in range(4)}
    assert len(details) == 1


def test_samples_share_nothing(best):
    run(best, "import builtins, sys, os\nbuiltins.left = 1\nsys.path.append('x')\nos.environ['LEFT'] = '1'\n" + GOOD)
    program = (
        "import builtins, os, sys\ndef solve(xs):\n    assert not hasattr(builtins, 'left')\n"
        "    assert 'x' not in sys.path and 'LEFT' not in os.environ\n    return sum(xs)"
    )
    assert run(best, program).outcome is Outcome.PASSED


def test_no_secret_of_the_broker_reaches_a_sample(best, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "not for you")
    program = "import os, sys\ndef solve(xs): return [sorted(os.environ), sys.argv]"
    verdict = run(best, program, "def check(candidate):\n    assert candidate([]) == 0\n")
    assert "SECRET" not in verdict.detail
    assert str(SOURCE) not in verdict.detail


def test_a_test_may_look_at_what_a_call_did_to_its_arguments(best):
    test = "def check(candidate):\n    xs, d, s = [3, 1], {}, {1}\n    candidate(xs, d, s)\n    assert (xs, d, s) == ([1, 3], {'k': (1,)}, {2})\n"
    program = "def solve(xs, d, s):\n    xs.sort()\n    d['k'] = (1,)\n    s.clear()\n    s.add(2)"
    assert run(best, program, test).outcome is Outcome.PASSED


def test_tests_may_expect_exceptions_and_use_objects_of_the_program(best):
    test = """
def check(candidate):
    try:
        candidate(None)
        raise RuntimeError("no exception")
    except TypeError:
        pass
    root = Node(1)
    root.left = Node(2)
    assert candidate(root) == 3
    assert root.left.value == 2
"""
    program = (
        "class Node:\n    def __init__(self, v): self.value, self.left = v, None\n"
        "def solve(n):\n    if n is None: raise TypeError('x')\n    return n.value + n.left.value"
    )
    assert run(best, program, test, trusted_names=["Node"]).outcome is Outcome.PASSED
    assert run(best, program, test).outcome is Outcome.ERROR  # a name that is not trusted means nothing to the test


def test_a_test_that_swallows_everything_does_not_pass_an_ended_program(best):
    test = "def check(candidate):\n    for _ in range(3):\n        try:\n            candidate([])\n        except:\n            pass\n"
    assert run(best, "import os\ndef solve(xs): os._exit(0)", test).outcome is Outcome.EXIT
    assert run(best, "def solve(xs): raise SystemExit", test).outcome is Outcome.EXIT


def test_support_runs_beside_the_test_only(best):
    test = "def check(candidate):\n    for x in (1, 2):\n        assert twice(candidate([x])) == 2 * x\n"
    support = "def twice(x):\n    return 2 * x\n"
    assert run(best, GOOD, test, support=support).outcome is Outcome.PASSED
    assert run(best, "def twice(x): return 2\ndef solve(xs): return 0", test, support=support).outcome is Outcome.WRONG


def test_broken_test_code_is_an_error_not_a_pass(best):
    assert run(best, GOOD, "def check(candidate):\n    for x in 1: pass\n").outcome is Outcome.ERROR
    assert run(best, GOOD, "def check(candidate:\n").outcome is Outcome.ERROR
    assert run(best, GOOD, "x = 1\n").outcome is Outcome.ERROR


def test_test_code_that_never_ends_is_ended(best):
    verdict = run(best, GOOD, "def check(candidate):\n    while True: pass\n", limits=Limits(cpu_s=0.3, wall_s=2))
    assert verdict.outcome is Outcome.TIMEOUT_CPU
    assert "the test code" in verdict.detail


BUSY = "import time\nuntil = time.monotonic() + 1.6\nwhile time.monotonic() < until: pass\n"


@pytest.mark.parametrize("who", ["program", "test"])
def test_a_process_that_waits_for_the_other_does_not_idle(best, who):
    program = "def solve(xs):\n" + ("".join(f"    {line}\n" for line in BUSY.splitlines()) if who == "program" else "")
    test = "def check(candidate):\n" + "".join(f"    {line}\n" for line in BUSY.splitlines() if who == "test")
    verdict = run(
        best,
        program + "    return sum(xs)\n",
        test + "    for x in (1, ):\n        assert candidate([x]) == x\n",
        limits=Limits(cpu_s=5, wall_s=1.0),
    )
    assert verdict.outcome is Outcome.PASSED, verdict


def test_a_pair_of_which_neither_computes_is_ended_for_that(best):
    started = time.monotonic()
    program = "import os, signal\ndef solve(xs):\n    os.kill(os.getpid(), signal.SIGSTOP)\n    return sum(xs)\n"
    test = "def check(candidate):\n    for x in (1, ):\n        assert candidate([x]) == x\n"
    limits = Limits(cpu_s=1.0)
    verdict = run(best, program, test, limits=limits)
    assert verdict.outcome is Outcome.TIMEOUT_WALL, verdict
    assert time.monotonic() - started < limits.latest  # 60 s; without computing it has 5


def test_threads_may_share_a_sandbox():
    with Sandbox(workers=2) as box, concurrent.futures.ThreadPoolExecutor(6) as pool:
        programs = [GOOD, "def solve(xs): return 0"] * 20
        outcomes = list(pool.map(lambda p: run(box, p, hostile.DRIVEN).outcome, programs))
    assert outcomes == [Outcome.PASSED, Outcome.WRONG] * 20


def test_nothing_is_left_when_a_sandbox_closes():
    before = {p.name for p in Path("/proc/self/fd").iterdir()}
    with Sandbox() as box:
        run(box, GOOD, hostile.DRIVEN)
        processes = [lane._process.pid for pair in box._pairs for lane in (pair.solution, pair.driver)]
    assert {p.name for p in Path("/proc/self/fd").iterdir()} == before
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_a_zygote_that_is_killed_is_replaced(best):
    pair = best._pairs[0]
    pair.solution._process.kill()
    killed = pair.solution._process
    killed.wait()
    time.sleep(0.1)
    assert run(best, GOOD).outcome is Outcome.PASSED
    assert pair.solution._process is not killed


def test_allow_listed_packages_and_only_those_can_be_imported():
    program = "import click\ndef solve(xs):\n    try:\n        import rich\n    except (ImportError, OSError):\n        return sum(xs)"
    assert_without = "def solve(xs):\n    import click"
    with Sandbox(packages=["click"]) as box:
        assert run(box, program).outcome is Outcome.PASSED
    with Sandbox() as box:
        assert run(box, assert_without).outcome is Outcome.ERROR


def test_a_package_that_is_not_admitted_is_named_with_the_option_at_every_tier(box):
    verdict = run(box, "import click\ndef solve(xs): return sum(xs)")
    assert verdict.outcome is Outcome.ERROR
    assert "click is installed and not admitted" in verdict.detail


def test_unknown_tier_and_package_are_refused():
    with pytest.raises(SandboxError, match="'AA'"), Sandbox(tier="AA"):
        pass
    with pytest.raises(SandboxError, match="no_such_package"):
        Sandbox(packages=["no_such_package"])


def test_tier_d_is_refused_unless_allowed_and_then_recorded():
    with pytest.raises(SandboxUnavailable), Sandbox(tier="D"):
        pass
    with Sandbox(tier="D", allow_unsandboxed=True) as box:
        assert (box.attestation["tier"], box.attestation["enforced"]) == ("D", False)
        assert box.attestation["unsandboxed_allowed"] is True
        assert run(box, GOOD).outcome is Outcome.PASSED
        # Isolation is gone, the separation of verdicts is not.
        assert run(box, hostile.FORGING["always_equal_int"]).outcome is Outcome.WRONG


def test_a_sandbox_that_is_not_running_says_so():
    box = Sandbox()
    with pytest.raises(SandboxError, match="not running"):
        run(box, GOOD)
    with pytest.raises(SandboxError, match="attests"):
        _ = box.attestation


# What container runtimes do: refuse some calls, then start the program.
WRAPPER = """
import errno, json, struct, sys
sys.path.insert(0, {source!r})
from trimtab.sandbox import filters, kernel
from trimtab.errors import SandboxUnavailable
denied = {{number: filters._refuse({number}) for number in {denied!r}}}
kernel.no_new_privileges()
kernel.Filter(filters._assemble(kernel.MACHINE, denied, filters._PASS)).load()
from trimtab.sandbox.broker import Sandbox
try:
    with Sandbox() as box:
        verdict = box.run(program={program!r}, entry_point="solve", test={test!r})
        print(json.dumps([box.attestation["tier"], verdict.outcome, box.attestation["layers"]]))
except SandboxUnavailable as error:
    print(json.dumps(["none", error.message, error.hint]))
"""
NAMESPACES = {"x86_64": [272, 165, 155, 308], "aarch64": [97, 40, 41, 268]}
LANDLOCK = [444, 445, 446]
SECCOMP = {"x86_64": [317], "aarch64": [277]}


def wrapped(denied, number=1):
    text = WRAPPER.format(source=str(SOURCE), denied=denied, number=number, program=GOOD, test=hostile.DRIVEN)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True)
    return __import__("json").loads(done.stdout)


@pytest.mark.skipif(platform.machine() not in NAMESPACES, reason="numbers of two machines only")
def test_under_a_container_s_filter_tier_b_is_found_and_judges():
    tier, outcome, layers = wrapped(NAMESPACES[platform.machine()])
    assert (tier, outcome) == ("B", "passed")
    assert layers["tier A"]["active"] is False
    assert "Operation not permitted" in layers["tier A"]["why"]


@pytest.mark.skipif(platform.machine() not in NAMESPACES, reason="numbers of two machines only")
def test_without_landlock_tier_c_is_found_and_judges():
    tier, outcome, layers = wrapped(NAMESPACES[platform.machine()] + LANDLOCK, number=38)
    assert (tier, outcome) == ("C", "passed")
    assert "landlock" in layers["tier B"]["why"]


@pytest.mark.skipif(platform.machine() not in NAMESPACES, reason="numbers of two machines only")
def test_without_seccomp_no_tier_holds_and_the_message_names_layers_and_ways_out():
    machine = platform.machine()
    tier, message, hint = wrapped(NAMESPACES[machine] + LANDLOCK + SECCOMP[machine], number=38)
    assert tier == "none"
    assert all(word in message for word in ("tier A", "tier B", "tier C", "seccomp", "landlock", "ENOSYS"))
    assert "allow_unsandboxed" in hint
