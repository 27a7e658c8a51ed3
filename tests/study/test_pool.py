"""Local workers: failures stay where they happen, and nothing outlives the parent."""

import importlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trimtab.study.pool import Pool

WORK = '''
import os, signal
def work(folder, report):
    """The folder's name says how it ends."""
    report("train", 1, 2)
    (folder.parent / f"{folder.name}.threads").write_text(os.environ["OMP_NUM_THREADS"])
    if folder.name.startswith("bad"):
        raise ValueError(f"no luck with {folder.name}")
    if folder.name.startswith("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
'''


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run names as folders; the work lives in a module that a spawned process can import."""
    (tmp_path / "pool_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    work = importlib.import_module("pool_work").work

    def run(names, count=2):
        return [event for event in Pool(work=work, count=count, threads=1).run([tmp_path / n for n in names]) if event]

    yield run
    del sys.modules["pool_work"]


def outcomes(events):
    return {event.folder.name: event.kind for event in events if event.kind != "progress"}


def test_every_folder_is_worked_on_once(run, tmp_path):
    events = run([f"good{i}" for i in range(5)])
    assert outcomes(events) == {f"good{i}": "done" for i in range(5)}
    assert sum(event.kind == "progress" for event in events) == 5
    assert (tmp_path / "good0.threads").read_text() == "1"


def test_a_failure_keeps_its_traceback_and_stops_nobody(run):
    events = run(["bad", "good"])
    assert outcomes(events) == {"bad": "failed", "good": "done"}
    (failed,) = [event for event in events if event.kind == "failed"]
    assert "ValueError: no luck with bad" in failed.error


def test_a_killed_worker_is_replaced(run):
    events = run(["killed", "good1", "good2"], count=1)
    assert outcomes(events) == {"killed": "failed", "good1": "done", "good2": "done"}
    assert "exit code -9" in next(event.error for event in events if event.kind == "failed")


PARENT = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from trimtab.study.pool import Pool
from sleeper import sleep

if __name__ == "__main__":
    for event in Pool(work=sleep, count=2, threads=1).run([Path({folder!r}) / "a", Path({folder!r}) / "b"]):
        pass
"""
SLEEPER = """
import os, time
def sleep(folder, report):
    folder.write_text(str(os.getpid()))
    time.sleep(60)
"""


def alive(pid):
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    (tmp_path / "parent.py").write_text(PARENT.format(tests=str(tmp_path), folder=str(tmp_path)))
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py"])
    pids = [wait_for(tmp_path / name) for name in "ab"]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, pids))


def wait_for(path):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.05)
    raise AssertionError(f"{path} was never written")
