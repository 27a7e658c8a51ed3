"""Zygotes and programs that something from outside ends: every sample still has its own verdict."""

import subprocess
import threading
import time
import types

import psutil
import pytest

from trimtab.errors import SandboxError
from trimtab.sandbox import calls, lane, retries
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.retries import Retries
from trimtab.sandbox.verdict import Outcome

GOOD = "def solve(xs):\n    return sum(xs)\n"
SLOW = "def solve(xs):\n    for _ in range(10**7): pass\n    return sum(xs)\n"
TEST = "def check(candidate):\n    assert candidate([1, 2]) == 3\n"


class Killer:
    """Ends processes of a kind as soon as they are seen, up to a number of them."""

    def __init__(self, most, victims):
        self._most, self._victims = most, victims
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._hunt)
        self.killed = set()

    def _hunt(self):
        while len(self.killed) < self._most and not self._stop.wait(0.002):
            for process in self._victims():
                if process.pid not in self.killed and len(self.killed) < self._most:
                    self.killed.add(process.pid)
                    process.kill()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def end_first_starts(monkeypatch, most):
    """Let the first processes that a sandbox starts be ended right behind their start; return their numbers."""
    killed = []

    def started(*arguments, **options):
        process = subprocess.Popen(*arguments, **options)
        if len(killed) < most:
            killed.append(process.pid)
            process.kill()
        return process

    monkeypatch.setattr(lane, "subprocess", types.SimpleNamespace(**vars(subprocess) | {"Popen": started}))
    return killed


def computing(box):
    """Programs under way: children of the zygote that have used time of the processor."""
    zygote = psutil.Process(box._pairs[0].solution._process.pid)
    programs = []
    for child in zygote.children(recursive=True):
        try:
            if child.cpu_times().user > 0.05:
                programs.append(child)
        except psutil.NoSuchProcess:
            continue
    return programs


def run(box, program=GOOD):
    return box.run(program=program, entry_point="solve", test=TEST)


def test_zygotes_killed_at_eight_starts_cost_no_verdict(monkeypatch):
    with Sandbox() as box:
        assert run(box).outcome is Outcome.PASSED
        killed = end_first_starts(monkeypatch, 8)
        box._pairs[0].solution._process.kill()
        assert run(box).outcome is Outcome.PASSED
        assert len(killed) == 8
        assert box.retried >= 3  # three starts are one try


def test_a_zygote_killed_at_its_first_two_starts_costs_no_tier(best, monkeypatch):
    killed = end_first_starts(monkeypatch, 2)
    with Sandbox() as box:
        assert box.attestation["tier"] == best.attestation["tier"]
        assert run(box).outcome is Outcome.PASSED
    assert len(killed) == 2


def test_a_program_that_others_end_runs_until_its_end_is_its_own():
    with Sandbox() as box:
        with Killer(4, lambda: computing(box)) as killer:
            verdict = run(box, SLOW)
        assert len(killer.killed) == 4
        assert verdict.outcome is Outcome.PASSED, verdict
        assert box.retried == 4


def test_what_breaks_each_time_is_given_up_at_once_where_nothing_ever_worked(best):
    tries = []

    def breaks(_):
        tries.append(1)
        raise SandboxError("broken")

    started = time.monotonic()
    with pytest.raises(SandboxError, match=r"broken \(4 times\)"):
        Retries().run(best._pairs[0], breaks)
    assert len(tries) == 4
    assert time.monotonic() - started < 20


def test_what_breaks_each_time_is_tried_for_a_while_where_others_work(best, monkeypatch):
    monkeypatch.setattr(retries, "_LASTING_S", 1.0)
    persisting = Retries()

    def breaks(pair):
        lane = pair.solution_for(GOOD)
        persisting.run(pair, lambda _: calls.answers(lane, GOOD, [("solve", ([1],))], best.limits))  # as another would
        raise SandboxError("broken")

    started = time.monotonic()
    with pytest.raises(SandboxError, match="broken"):
        persisting.run(best._pairs[0], breaks)
    assert time.monotonic() - started > 1
