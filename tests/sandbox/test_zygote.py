"""A zygote stays pristine and small, and does not outlive its broker."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trimtab.sandbox import zygote
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.verdict import Limits, Outcome

if platform.system() != "Linux":
    pytest.skip("the sandbox is Linux only", allow_module_level=True)

SOURCE = Path(__file__).parents[2] / "src"
TEST = "def check(candidate):\n    assert candidate(1) == 1\n"


def descendants(process):
    found = []
    for child in Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split():
        found += [int(child), *descendants(int(child))]
    return found


def running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_killing_the_broker_ends_zygotes_and_the_sample_in_flight():
    text = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n"
        "from trimtab.sandbox.broker import Sandbox\n"
        "with Sandbox() as box:\n    print('up', flush=True)\n"
        f"    box.run(program='while True: pass', entry_point='f', test={TEST!r})\n"
    )
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True) as broker:
        assert broker.stdout.readline() == "up\n"
        time.sleep(0.2)
        family = descendants(broker.pid)
        assert len(family) >= 2
        broker.kill()
    until = time.monotonic() + 10
    while any(map(running, family)) and time.monotonic() < until:
        time.sleep(0.02)
    assert [process for process in family if running(process)] == []


def resident(process):
    line = next(x for x in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines() if "VmRSS" in x)
    return int(line.split()[1])


def test_memory_stays_flat_over_many_samples():
    with Sandbox() as box:
        for number in range(50):
            box.run(program=f"def f(x): return x + {number}", entry_point="f", test=TEST)
        watched = [os.getpid(), *descendants(box._pairs[0].solution._process.pid)]
        before = [resident(process) for process in watched]
        for number in range(300):
            box.run(program=f"def f(x): return x + {number}\n" + "#" * 10_000, entry_point="f", test=TEST)
        growth = [resident(process) - old for process, old in zip(watched, before, strict=True)]
    assert max(growth) < 1024  # KiB


def test_cpu_is_counted_over_loading_and_all_calls_together(best):
    program = (
        "import time\ndef burn():\n    end = time.process_time() + 0.2\n    while time.process_time() < end: pass\n"
        "burn()\ndef f(x):\n    burn()\n    return x\n"
    )
    test = "def check(candidate):\n" + "    assert candidate(1) == 1\n" * 4
    enough = best.run(program=program, entry_point="f", test=test, limits=Limits(cpu_s=3.0, wall_s=60))
    assert enough.outcome is Outcome.PASSED
    assert 0.95 < enough.cpu_s < 1.5
    short = best.run(program=program, entry_point="f", test=test, limits=Limits(cpu_s=0.5, wall_s=60))
    assert short.outcome is Outcome.TIMEOUT_CPU
    assert 0.45 < short.cpu_s < 0.8


def test_ctrl_c_in_the_terminal_reaches_the_broker_only(best):
    group = os.getpgid(best._pairs[0].solution._process.pid)
    assert group != os.getpgid(0)
    os.killpg(group, signal.SIGCONT)  # the group exists, and is the zygote's own


class Clock:
    """Time as a test wants it: by the clock, and of a process."""

    def __init__(self, monkeypatch, share):
        self.now, self.used, self.share = 100.0, 0.0, share
        monkeypatch.setattr(zygote.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(zygote.time, "clock_gettime", lambda _: self.used)

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
    limits = Limits()
    clock = Clock(monkeypatch, share)
    job = {"cpu": limits.cpu_s, "wall": limits.wall, "latest": limits.latest, "paired": False}
    found, after = clock.end(zygote._Timer(1, job, 100.0))
    assert found == said
    assert after == pytest.approx(at, rel=0.05)


@pytest.mark.parametrize(("share", "busy"), [(0.0, False), (0.01, False), (0.03, True)])
def test_whether_one_of_a_pair_idles_is_not_for_its_zygote_to_say(monkeypatch, share, busy):
    limits = Limits()
    clock = Clock(monkeypatch, share)
    job = {"cpu": limits.cpu_s, "wall": limits.wall, "latest": limits.latest, "paired": True}
    timer = zygote._Timer(1, job, 100.0)
    found, after = clock.end(timer)
    assert (found, timer.busy) == ("wall", busy)
    assert after == pytest.approx(limits.latest, rel=0.05)


def test_only_our_own_modules_leave_bytecode_behind(best):
    program = "import sys, os\ndef f(): return sys.dont_write_bytecode, os.environ['PYTHONDONTWRITEBYTECODE']"
    assert best.call(program, [("f", ())]).values == ((True, "1"),)
