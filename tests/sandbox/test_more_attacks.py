"""Ten more attacks: on the comparison, on the broker's time, on those who come after, and on what a sample may use.

Five ways won when this was written: StopIteration forged a verdict, colliding numbers took seconds of the broker's
processor, the flags of stdin were a note for the next sample, clocks told how long others had computed, and, among the
tests of the comparison with a reference, ``[[]]`` was taken for ``[1.0]``.
"""

# ruff: noqa: E501 - programs stay as somebody would write them

from __future__ import annotations

import pytest

from trimtab.sandbox.verdict import Limits, Outcome

LIMITS = Limits(cpu_s=0.5, memory_mib=256)
SHORT = Limits(cpu_s=0.5, wall_s=0.5, memory_mib=256)  # for what idles: a busy machine must not time out the others
GOOD = "def solve(xs): return sum(xs)\n"
TEST = "def check(candidate):\n    assert candidate([1, 2, 3]) == 6\n    assert candidate([4]) == 4\n"
MAPPED = """
def check(candidate):
    assert all(map(lambda n: candidate([n]) == n, range(1, 9)))
    assert not list(iter(lambda: candidate([1, 2]), 3))
"""
MEMBERS = "def check(candidate):\n    assert set(candidate([1, 2])) == {1, 2}\n    assert frozenset(candidate([])) == frozenset()\n"
SUMMED = "def check(candidate):\n    assert sum(candidate([1, 2]), []) == [1, 2]\n"
COLLIDING = "def solve(xs): return [k * (2**61 - 1) for k in range(1, 30_000)]\n"

# A test, a program that fails it, and outcomes that are right.
WRONG = {
    # An exception that, inside map() or iter() of a test, means that there is nothing more to look at.
    "stop_iteration_ends_the_test": (MAPPED, "def solve(xs): raise StopIteration", {"error"}),
    "subclass_of_stop_iteration": (MAPPED, "class E(StopIteration): pass\ndef solve(xs): raise E(3)", {"error"}),
    # Numbers of one hash, made a set by the assertion: each costs as many comparisons as came before it.
    "colliding_members_for_the_broker": (MEMBERS, COLLIDING, {"timeout_cpu", "wrong"}),
    # Lists that an assertion adds up, copying all that came before.
    "lists_that_are_added_up": (SUMMED, "def solve(xs): return [[0] * 40 for _ in range(6000)]", {"timeout_cpu", "wrong"}),
    # Computing a little in every stretch of time, so as to be neither idle nor expensive, and keep a worker busy.
    "hardly_busy": (TEST, "import time\ndef solve(xs):\n    while True:\n        until = time.process_time() + 0.002\n        while time.process_time() < until: pass\n        time.sleep(0.02)", {"timeout_wall", "timeout_cpu"}),
}  # fmt: skip

# What a program may try, and the most it may report of it: a number, or "same" for what no sample may change for the next.
REACHED = {
    # The flags of an open file belong to all who share it: a note in two bits for whoever comes next.
    "note_in_the_flags_of_stdin": ("import fcntl, os\ndef solve(xs):\n    found = fcntl.fcntl(0, fcntl.F_GETFL)\n    fcntl.fcntl(0, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)\n    return found", "same"),
    "note_in_the_flags_of_sockets": ("import fcntl, os\ndef solve(xs):\n    found = [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in (1, 2, 3)]\n    for fd in (1, 2): fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)\n    return found", "same"),
    # How long the judge, or a neighbour, has computed.
    "clocks_of_other_processes": ("import os, time\ndef solve(xs):\n    found = 0\n    for p in [os.getppid(), *range(1, 3000)]:\n        try: found += p != os.getpid() and time.clock_gettime((~p << 3) | 2) > 0\n        except OSError: pass\n    return found", 0),
    # Descriptors sent to oneself and never received: open, and counted for nobody.
    "descriptors_in_flight": ("import socket\ndef solve(xs):\n    a, b = socket.socketpair()\n    a.setblocking(False)\n    found = 0\n    try:\n        while found < 4000:\n            socket.send_fds(a, [b'x'], [a.fileno(), b.fileno()])\n            found += 2\n    except OSError: pass\n    return found", 200),
    # Bytes parked in pipes and sockets, which no limit on memory counts.
    "bytes_parked_in_the_kernel": ("import os, socket\ndef solve(xs):\n    found = 0\n    def fill(fd):\n        nonlocal found\n        os.set_blocking(fd, False)\n        try:\n            while True: found += os.write(fd, bytes(65536))\n        except OSError: pass\n    ends = []\n    for make in (socket.socketpair, os.pipe):\n        try:\n            for _ in range(500):\n                ends.append(make())\n                fill(ends[-1][1] if make is os.pipe else ends[-1][0].fileno())\n        except OSError: pass\n    return found", 32 << 20),
}  # fmt: skip


def run(box, program, test=TEST, limits=LIMITS):
    return box.run(program=program, entry_point="solve", test=test, limits=limits)


@pytest.mark.parametrize("name", WRONG)
def test_no_wrong_program_passes_or_holds_others_up(box, name):
    test, program, outcomes = WRONG[name]
    assert run(box, program, test, SHORT if "timeout_wall" in outcomes else LIMITS).outcome in outcomes
    assert run(box, GOOD).outcome is Outcome.PASSED


@pytest.mark.parametrize("name", ["colliding_members_for_the_broker", "lists_that_are_added_up"])
def test_what_may_be_dear_to_compare_is_compared_where_time_is_counted(best, name):
    test, program, _ = WRONG[name]
    assert run(best, program, test).oracle == "driver"


def test_few_members_are_compared_as_data(best):
    found = run(best, "def solve(xs): return xs[::-1] + xs\n", MEMBERS)
    assert (found.outcome, found.oracle) == (Outcome.PASSED, "data")


@pytest.mark.parametrize("name", REACHED)
def test_what_a_program_reaches_is_bounded_and_ends_with_it(box, name):
    program, most = REACHED[name]
    found = [box.call(program, [("solve", ([],))], Limits(cpu_s=2.0)) for _ in range(2)]
    assert [one.outcome for one in found] == [Outcome.PASSED] * 2, found
    (first,), (second,) = (one.values for one in found)
    assert first == second if most == "same" else max(first, second) <= most
    assert run(box, GOOD).outcome is Outcome.PASSED
