"""Each limit ends the process that reaches it, and none that does not; by a clock that the test turns."""

from __future__ import annotations

import platform

import pytest

from trimtab.sandbox.verdict import Limits

if platform.system() != "Linux":
    pytest.skip("the sandbox is Linux only", allow_module_level=True)

from trimtab.sandbox import process_watch
from trimtab.sandbox.solution import PROGRESS


class Clock:
    """Time as a test wants it: by the clock, and of a process."""

    def __init__(self, monkeypatch, share):
        self.now, self.used, self.share = 100.0, 0.0, share
        monkeypatch.setattr(process_watch.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(process_watch.time, "clock_gettime", lambda _: self.used)
        monkeypatch.setattr(process_watch.os, "kill", lambda *_: None)
        self.progress = bytearray(PROGRESS.size)

    def watch(self, limits, paired, crowd=1.0):
        times = {"cpu": limits.cpu_s, "call": limits.call, "wall": limits.wall, "latest": limits.latest}
        return process_watch.ProcessWatch(
            1, {**times, "memory": 1 << 30, "busy": 0.02 / crowd, "paired": paired}, 100.0, self.progress
        )

    def end(self, timer):
        """Let time pass until the timer says it is over; return what it says and when."""
        while self.now < 1000:
            step = timer.wait() + 1e-3
            self.now += step
            self.used += step * self.share
            said = timer.over()
            if said:
                return said, self.now - 100.0
        raise AssertionError("never over")


@pytest.mark.parametrize(
    ("share", "said", "at"),
    [
        (1.0, "cpu", 3.0),
        (0.1, "cpu", 30.0),
        (0.06, "cpu", 50.0),
        (0.0, "wall", 15.0),
        (0.01, "wall", 15.0),
        (0.03, "wall", 60.0),
    ],
)
def test_a_starved_program_has_its_cpu_time_and_a_sleeping_one_does_not_have_for_ever(monkeypatch, share, said, at):
    clock = Clock(monkeypatch, share)
    found, after = clock.end(clock.watch(Limits(cpu_s=3.0, wall_s=15.0), paired=False))
    assert found == said
    assert after == pytest.approx(at, rel=0.05)


@pytest.mark.parametrize(("share", "busy"), [(0.0, False), (0.01, False), (0.03, True)])
def test_whether_one_of_a_pair_idles_is_not_for_its_zygote_to_say(monkeypatch, share, busy):
    limits = Limits(cpu_s=3.0, wall_s=15.0)
    clock = Clock(monkeypatch, share)
    watch = clock.watch(limits, paired=True)
    found, after = clock.end(watch)
    assert (found, watch.busy) == ("wall", busy)
    assert after == pytest.approx(limits.latest, rel=0.05)


def test_on_a_crowded_machine_a_small_share_is_not_sleep(monkeypatch):
    clock = Clock(monkeypatch, 0.005)
    found, after = clock.end(clock.watch(Limits(cpu_s=0.2, wall_s=15.0), paired=False, crowd=20))
    assert (found, round(after)) == ("cpu", 40)
    clock = Clock(monkeypatch, 0.0)
    assert clock.end(clock.watch(Limits(cpu_s=0.2, wall_s=15.0), paired=False, crowd=20))[0] == "wall"


@pytest.mark.parametrize(("begun", "at"), [(0.0, 2.0), (1.5, 3.5), (float("nan"), 2.0), (1e9, 2.0), (-1.0, 2.0)])
def test_a_call_has_a_limit_of_its_own_whatever_a_program_writes_into_its_progress(monkeypatch, begun, at):
    clock = Clock(monkeypatch, 1.0)
    watch = clock.watch(Limits(cpu_s=9.0, call_s=2.0), paired=False)
    PROGRESS.pack_into(clock.progress, 0, 1.0, begun, 0.0, 0.0)
    found, after = clock.end(watch)
    assert found == "call"
    assert after == pytest.approx(at, rel=0.05)
