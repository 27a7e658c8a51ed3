"""Rewards as trainers call for them: one for each completion, in order, None where nothing was judged."""

import asyncio
import logging
from concurrent.futures import Future

import pytest

from trimtab.codeeval import reward, ruling
from trimtab.codeeval.reward import AsyncCodeReward, CodeReward, CombinedReward
from trimtab.errors import BenchmarkError, SandboxError
from trimtab.sandbox.verdict import Outcome

RIGHT = "Here:\n```python\ndef add(a, b):\n    return a + b\n```\nIt adds."
HALF = "```python\ndef add(a, b):\n    return 3\n```"
TESTS = ["assert add(1, 2) == 3", "assert add(2, 2) == 4"]
SUM = "```python\na, b = map(int, input().split())\nprint(a + b)\n```"
PAIRS = {"inputs": ["1 2\n", "4 5\n"], "outputs": ["3\n", "9\n"]}


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
