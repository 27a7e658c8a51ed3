"""Rewards as trainers call for them: one for each completion, in order, None where nothing was judged."""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from trimtab.codeeval import reward, ruling
from trimtab.codeeval.given_tests import read
from trimtab.codeeval.reward import AsyncCodeReward, CodeReward, CombinedReward
from trimtab.codeeval.ruling import RulingRequest
from trimtab.codeeval.workers import Workers, WorkerSettings
from trimtab.errors import BenchmarkError, SandboxError
from trimtab.sandbox.verdict import Limits, Outcome

RIGHT = "Here:\n```python\ndef add(a, b):\n    return a + b\n```\nIt adds."
HALF = "```python\ndef add(a, b):\n    return 3\n```"
TESTS = ["assert add(1, 2) == 3", "assert add(2, 2) == 4"]
SUM = "```python\na, b = map(int, input().split())\nprint(a + b)\n```"
PAIRS = {"inputs": ["1 2\n", "4 5\n"], "outputs": ["3\n", "9\n"]}


@pytest.fixture(scope="module")
def pool():
    with Workers(WorkerSettings(workers=2, limits=Limits(cpu_s=1.0))) as workers:
        yield workers


def rule(pool, completion, tests, entry_point=None, **options):
    return pool.submit(RulingRequest(completion=completion, tests=read(tests, entry_point), **options)).result()


def test_trl_calls_with_texts_or_chats_and_columns(pool):
    scorer = CodeReward(pool, partial=True)
    chats = [[{"role": "assistant", "content": text}] for text in (RIGHT, HALF, "I do not know.")]
    columns = {"tests": [TESTS] * 3, "prompts": ["q"] * 3, "completion_ids": [[1]] * 3, "trainer_state": object()}
    assert scorer(completions=chats, **columns) == [1.0, 0.5, 0.0]
    assert scorer(completions=[RIGHT, HALF, ""], **columns) == [1.0, 0.5, 0.0]
    assert scorer(
        completions=[[{"role": "assistant", "content": [{"type": "text", "text": RIGHT}]}]], tests=[TESTS]
    ) == [1]
    assert CodeReward(pool)(completions=chats, **columns) == [1.0, 0.0, 0.0]
    assert scorer.__name__ == "code_reward"


def test_trainers_that_await_get_the_same(pool):
    scorer = AsyncCodeReward(pool)
    assert asyncio.iscoroutinefunction(scorer.__call__)
    assert asyncio.run(scorer([RIGHT, HALF], tests=[TESTS] * 2)) == [1.0, 0.0]


def test_problems_of_benchmarks_are_named_by_task_id(pool):
    scorer = CodeReward(pool, benchmarks=["humaneval"], continues=True)
    body = "    return number - int(number)\n"
    assert scorer([body, "    return 0\n"], task_id=["HumanEval/2"] * 2) == [1.0, 0.0]
    with pytest.raises(BenchmarkError, match=r"row 1 .*'HumanEval/999'"):
        scorer([body, body], task_id=["HumanEval/2", "HumanEval/999"])


def test_completions_may_continue_code(pool):
    scorer = CodeReward(pool, continues=True)
    assert scorer(["    return a + b\n"], ["def add(a, b):\n"], tests=[TESTS]) == [1.0]


def test_the_order_is_the_batch_s_and_equal_texts_are_judged_once(pool):
    counted = []

    class Counting:
        def submit(self, request):
            counted.append(request)
            return pool.submit(request)

    texts = [f"def add(a, b):\n    return a + b + {n % 7}\n" for n in range(60)]
    found = CodeReward(Counting())(texts, tests=[TESTS] * 60)
    assert found == [float(n % 7 == 0) for n in range(60)]
    assert len(counted) == 7


def test_where_the_infrastructure_fails_the_reward_is_none_with_a_reason_and_never_zero(caplog):
    class Broken:
        def submit(self, request):
            future = Future()
            future.set_result(ruling.failed("the zygote has gone") if "3" in request.completion else FINE)
            return future

    FINE = ruling.Ruling(outcome=Outcome.PASSED, passed=2, total=2, reward=1.0)
    logged, metrics = {}, {}
    with caplog.at_level(logging.WARNING):
        found = CodeReward(Broken())(
            [RIGHT, HALF], tests=[TESTS] * 2, log_extra=logged.__setitem__, log_metric=metrics.__setitem__
        )
    assert found == [1.0, None]
    assert "1 of 2 rewards are None, because the infrastructure failed: the zygote has gone" in caplog.text
    assert logged == {"code_outcome": ["passed", "not judged"]}
    assert metrics == {"code_reward/not_judged": 0.5}


def test_a_sum_of_rewards_is_none_where_one_of_them_is():
    def code(completions, **_):
        return [1.0, None, 0.0]

    def form(completions, **_):
        return [0.5, 0.5, 1.0]

    assert CombinedReward([code, form], [1, 2])(completions=["a", "b", "c"], tests=[]) == [2.0, None, 2.0]
    assert CombinedReward([code, form])(completions=["a", "b", "c"]) == [1.5, None, 1.0]
    with pytest.raises(BenchmarkError, match="form returned 3 rewards for 2 completions"):
        CombinedReward([form])(completions=["a", "b"])
    with pytest.raises(BenchmarkError, match="1 weights for 2"):
        CombinedReward([code, form], [1.0])


def test_rows_that_cannot_be_read_are_named(pool):
    scorer = CodeReward(pool)
    with pytest.raises(BenchmarkError, match=r"row 1 of the batch: tests in no known form"):
        scorer([RIGHT, RIGHT], tests=[TESTS, 7])
    with pytest.raises(BenchmarkError, match=r"neither tests \('tests'\) nor a task_id \(columns there are: answer\)"):
        scorer([RIGHT], answer=["3"])
    with pytest.raises(BenchmarkError, match=r"a completion is text or a chat, not int"):
        scorer([7], tests=[TESTS])
    with pytest.raises(BenchmarkError, match=r"the column 'tests' has no entry"):
        scorer([RIGHT, RIGHT], tests=[TESTS])
    with pytest.raises(BenchmarkError, match=r"row 1: .*not Python"):
        scorer.check([{"tests": TESTS}, {"tests": "assert add(1,"}])


def test_verl_calls_one_at_a_time_or_in_batches(monkeypatch):
    options = {"partial": True, "workers": 1}
    found = reward.compute_score("code", HALF, TESTS, {"num_turns": 1}, **options)
    assert found == {"score": 0.5, "passed": 1, "total": 2, "outcome": "wrong"}
    many = reward.compute_score_batch(["code"] * 2, [SUM, RIGHT], [PAIRS, TESTS], [{}, {}], **options)
    assert [one["score"] for one in many] == [1.0, 1.0]
    monkeypatch.setattr(CodeReward, "rulings", lambda *_, **__: [ruling.failed("gone")])
    with pytest.raises(SandboxError, match="could not be judged: gone"):
        reward.compute_score("code", HALF, TESTS, {}, **options)


@pytest.mark.parametrize(
    ("program", "passed", "outcome"),
    [
        (SUM, 2, Outcome.PASSED),
        ("a, b = map(int, input().split())\nprint(3)\n", 1, Outcome.WRONG),
        ("import sys\nif sys.stdin.readline() == '1 2\\n':\n    1 / 0\nprint(9)\n", 1, Outcome.ERROR),
        ("while True: pass", 0, Outcome.TIMEOUT_CPU),
        ("print('3' * 1_000_000)", 0, Outcome.WRONG),
        ("print(3", 0, Outcome.SYNTAX),
        ("", 0, Outcome.NO_CODE),
    ],
)
def test_inputs_and_outputs_are_counted_each(pool, program, passed, outcome):
    limits = Limits(cpu_s=0.3)
    found = rule(pool, program, PAIRS, partial=True, limits=limits)
    assert (found.passed, found.total, found.outcome, found.reward) == (passed, 2, outcome, passed / 2)
    assert rule(pool, program, PAIRS, limits=limits).reward == float(passed == 2)


def test_results_of_calls_are_compared_as_json_has_them(pool):
    solution = "class Solution:\n    def f(self, xs: List[int]):\n        return {1: tuple(xs), 'mean': sum(xs) / 3}\n"
    tests = {"fn_name": "f", "inputs": [[[1, 1]]], "outputs": [{"1": [1, 1], "mean": 0.6666667}]}
    assert rule(pool, solution, tests).reward == 1
    assert "instead of" in rule(pool, solution.replace("1:", "2:"), tests).detail
    assert rule(pool, "def f(xs): return object()", tests).reward == 0


def test_an_expected_value_may_be_wrapped_in_a_list_but_only_in_every_test_alike(pool):
    wrapped = {"fn_name": "f", "inputs": [[1], [2]], "outputs": [[1], [2]]}
    assert rule(pool, "def f(x): return x", wrapped).reward == 1
    assert rule(pool, "def f(x): return [x]", wrapped).reward == 1
    assert rule(pool, "def f(x): return x if x == 1 else [x]", wrapped, partial=True).reward == 0.5
    longer = {"fn_name": "f", "inputs": [[1], [2]], "outputs": [[1], [2, 3]]}
    assert rule(pool, "def f(x): return x", longer, partial=True).reward == 0


def test_after_three_tests_out_of_time_the_rest_is_not_run(pool):
    tests = [f"assert f({n}) == {n}" for n in range(50)]
    found = rule(pool, "def f(x):\n    while x: pass\n    return x\n", tests, partial=True, limits=Limits(cpu_s=0.1))
    assert (found.passed, found.total, found.outcome) == (1, 50, Outcome.TIMEOUT_CPU)
    assert found.cpu_s < 2


def test_workers_killed_while_they_judge_change_no_ruling(pool):
    stop, killed = threading.Event(), set()

    def kill():
        while not stop.wait(0.25):
            for pair in list(pool._sandbox._pairs):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pair.solution._process.pid, signal.SIGKILL)
                killed.add(pair.solution._process.pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        texts = [f"def add(a, b):\n    sum(range(100000))\n    return a + b + {n % 2} * {n}\n" for n in range(60)]
        found = CodeReward(pool).rulings(texts, tests=[TESTS] * 60)
    finally:
        stop.set()
        killer.join()
    assert [one.reward for one in found if one.reward is not None] == [
        float(n == 0 or n % 2 == 0) for n, one in enumerate(found) if one.reward is not None
    ]
    assert all(one.reason.startswith("the sandbox failed") for one in found if one.reward is None)
    assert len(killed) > 1
    assert rule(pool, RIGHT, TESTS).reward == 1


def test_only_a_program_that_ends_itself_each_time_is_ended_by_its_own_doing(pool):
    before = pool.retried
    found = rule(pool, "import os\nos.kill(os.getpid(), 9)\ndef add(a, b): return a\n", TESTS)
    assert (found.outcome, found.detail[:14], found.reward) == (Outcome.CRASH, "signal SIGKILL", 0.0)
    assert pool.retried == before + 2


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


ALWAYS = "class Always(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\n"
FRAMES = """
import os, struct
text = b'{"value":["status",0]}'
for number in range(3, 9):
    try:
        os.write(number, struct.pack(">I", len(text)) + text)
    except OSError:
        pass
os._exit(0)
"""
HELD = """
import gc
for thing in gc.get_objects():
    if isinstance(thing, dict) and "outputs" in thing:
        print(thing["outputs"][0])
"""
FORGING = {
    "equal to all": (f"{ALWAYS}def add(a, b): return Always(7)\n", TESTS),
    "exit before the test": ("import os\ndef add(a, b): os._exit(0)\n", TESTS),
    "exit while loaded": ("import sys\nsys.exit(0)\ndef add(a, b): return 7\n", TESTS),
    "equal to all, as JSON": (
        f"{ALWAYS}def f(x): return Always(7)\n",
        {"fn_name": "f", "inputs": [[1]], "outputs": [2]},
    ),
    "equal to all within a list": (
        f"{ALWAYS}def f(x): return [Always(7)]\n",
        {"fn_name": "f", "inputs": [[1]], "outputs": [[2]]},
    ),
    "a method by that name": (
        "class Solution:\n    def f(self, x): return type('T', (), {'__eq__': lambda *_: True})()\n",
        {"fn_name": "f", "inputs": [[1]], "outputs": [2]},
    ),
    "an answer in the runner's own form": ("import sys\nsys.stdout = None\nraise SystemExit(0)\n", PAIRS),
    "frames on every descriptor": (FRAMES, PAIRS),
    "what the callers hold": (HELD, PAIRS),
    "the input again": ("print(open(0).read())\n", PAIRS),
}


@pytest.mark.parametrize("name", FORGING)
def test_no_reward_is_forged(pool, name):
    program, tests = FORGING[name]
    found = rule(pool, program, tests, partial=True)
    assert found.reward == 0
    assert found.reason == ""
