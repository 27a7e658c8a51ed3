"""A pool under kills, forks, threads and copies: every request has its own ruling."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

from trimtab.codeeval.given_tests import read
from trimtab.codeeval.reward import CodeReward
from trimtab.codeeval.ruling import RulingRequest
from trimtab.codeeval.workers import Workers, WorkerSettings
from trimtab.sandbox.verdict import Limits, Outcome

RIGHT = "Here:\n```python\ndef add(a, b):\n    return a + b\n```\nIt adds."
HALF = "```python\ndef add(a, b):\n    return 3\n```"
TESTS = ["assert add(1, 2) == 3", "assert add(2, 2) == 4"]


def rule(pool, completion, tests, entry_point=None, **options):
    return pool.submit(RulingRequest(completion=completion, tests=read(tests, entry_point), **options)).result()


def test_workers_killed_while_they_judge_change_no_ruling(pool):
    stop, killed = threading.Event(), set()

    def kill():
        for _ in range(6):  # not without end: on a crowded machine a zygote takes longer to start than a kill
            stop.wait(0.25)
            for pair in list(pool._sandbox._pairs):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pair.solution._process.pid, signal.SIGKILL)
                killed.add(pair.solution._process.pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        texts = [f"def add(a, b):\n    sum(range(100000))\n    return a + b + {n % 2} * {n}\n" for n in range(60)]
        rulings = CodeReward(pool).rulings(texts, tests=[TESTS] * 60)
    finally:
        stop.set()
        killer.join()
    assert [ruling.reward for ruling in rulings] == [float(n % 2 == 0) for n in range(60)]
    assert killed
    assert rule(pool, RIGHT, TESTS).reward == 1


def test_only_a_program_that_ends_itself_each_time_is_ended_by_its_own_doing():
    # In a pool of its own: in the shared one a zygote that an earlier test killed may not have been replaced yet.
    with Workers(WorkerSettings(workers=1, limits=Limits(cpu_s=1.0, wall_s=30.0))) as fresh:
        found = rule(fresh, "import os\nos.kill(os.getpid(), 9)\ndef add(a, b): return a\n", TESTS)
        assert (found.outcome, found.detail[:14], found.reward) == (Outcome.CRASH, "signal SIGKILL", 0.0)
        assert fresh.retried == 4


def test_a_forked_process_starts_its_own_and_both_get_their_own_rulings(pool):
    scorer = CodeReward(pool)
    assert scorer([RIGHT], tests=[TESTS]) == [1.0]
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, repr(scorer([HALF] * 5 + [RIGHT], tests=[TESTS] * 6)).encode())
            pool.close()
        finally:
            os._exit(0)
    assert scorer([f"{RIGHT}{n}" for n in range(40)], tests=[TESTS] * 40) == [1.0] * 40
    os.waitpid(child, 0)
    assert os.read(reading, 1000) == b"[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]"
    os.close(reading)
    os.close(writing)


def test_threads_share_a_pool_and_a_copy_is_one_of_its_own(pool):
    scorer = CodeReward(pool)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda n: scorer([RIGHT, f"{HALF} {n}"], tests=[TESTS] * 2), range(24)))
    assert found == [[1.0, 0.0]] * 24
    copy = pickle.loads(pickle.dumps(scorer))  # noqa: S301 - our own
    assert copy([RIGHT], tests=[TESTS]) == [1.0]
    copy.judging.close()


def _in_a_process(scorer):
    return scorer([RIGHT, HALF], tests=[TESTS] * 2)


def test_a_spawned_process_gets_one_that_works(pool):
    with multiprocessing.get_context("spawn").Pool(1) as processes:
        assert processes.apply(_in_a_process, (CodeReward(pool),)) == [1.0, 0.0]


def test_a_closed_pool_answers_what_waits():
    pool = Workers(WorkerSettings(workers=1))
    futures = [pool.submit(RulingRequest(completion=RIGHT + str(n), tests=read(TESTS))) for n in range(50)]
    pool.close()
    done = [future for future in futures if not future.cancelled()]
    assert all(future.result().reward == 1 for future in done)
    assert 0 < len(done) < 50
