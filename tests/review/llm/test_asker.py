"""A model that misbehaves in every way gets an abstention with a reason; budget, memory and cancellation hold."""

import json
import re
import time
from dataclasses import dataclass

import pytest

from trimtab.codeeval.completion import Completion
from trimtab.review.llm.asker import Asker, ModelTask, StrictAnswer, UnusableAnswerError, objects
from trimtab.review.llm.model_budget import Budget
from trimtab.review.llm.model_cache import Cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape(StrictAnswer):
    answer: int


TASK = ModelTask(stage="test", words="task", shape=Shape)
GOOD = '{"answer": 7}'


def in_turn(*said):
    left = list(said)
    return lambda _body: left.pop(0) if len(left) > 1 else left[0]


def ask(asker, material="material"):
    try:
        return asker.ask(TASK, material)
    except UnusableAnswerError as error:
        return error


def asked(serving, **options):
    asker = Asker(**serving.named, **options)
    return asker, ask(asker)


AROUND = (
    GOOD,
    '<think>Could be {"answer": 1}?</think>' + GOOD,
    f"Sure!\n```json\n{GOOD}\n```\nAnything else?",
    "{broken " + GOOD,
    f"<thinking>hm\n</thinking>\n\n{GOOD} " + '{"answer": 8}',
)


@pytest.mark.parametrize("text", AROUND)
def test_an_answer_is_found_in_what_models_put_around_it(endpoint, text):
    serving = endpoint(in_turn(text))
    _, found = asked(serving)
    assert found == Shape(answer=7)
    assert len(serving.asked) == 1
    key, body = serving.asked[0]
    assert key == "Bearer s3cret"
    assert body["response_format"]["json_schema"]["schema"]["properties"]["answer"]
    assert body["temperature"] == 0


@pytest.mark.parametrize(
    "bad",
    [
        (200, b'{"choices": [{"message": {"content": null}}]}', {}),
        "",
        "I would rather not.",
        '{"answer": "7"}',
        '{"answer": 7, "status": "verified"}',
        "<think>for ever",
        "[7]",
    ],
)
def test_one_repair_then_abstention(endpoint, bad):
    serving = endpoint(in_turn(bad, GOOD))
    assert asked(serving)[1] == Shape(answer=7)
    assert "Your last answer was not usable" in serving.asked[1][1]["messages"][1]["content"]
    serving = endpoint(in_turn(bad))
    found = asked(serving)[1]
    assert isinstance(found, UnusableAnswerError)
    assert "two answers were not usable" in found.reason
    assert len(serving.asked) == 2


def test_a_busy_server_is_waited_for_and_given_up(endpoint):
    serving = endpoint(in_turn((429, b"slow down", {"Retry-After": "9"}), GOOD))
    assert asked(serving)[1] == Shape(answer=7)
    assert serving.clock.slept == [9.0]
    serving = endpoint(in_turn((503, b"busy", {})))
    found = asked(serving)[1]
    assert "status 503: busy" in found.reason
    assert (len(serving.asked), serving.clock.slept) == (3, [1.0, 2.0])


def test_an_older_server_is_asked_without_its_schema(endpoint):
    serving = endpoint(lambda body: (400, b"response_format?", {}) if "response_format" in body else GOOD)
    assert asked(serving)[1] == Shape(answer=7)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ((401, b"no s3cret here", {}), r"status 401: no \[private\] here"),
        ((200, b"<html>", {}), "is no completion"),
        ((200, b'{"choices": []}', {}), "is no completion"),
        ((200, b'{"choices": [{"message": {"content": 7}}]}', {}), "'content' is a number, expected text"),
        ((200, b"[]", {}), "is no completion"),
    ],
)
def test_what_is_no_completion_is_an_abstention(endpoint, said, why):
    found = asked(endpoint(in_turn(said)))[1]
    assert isinstance(found, UnusableAnswerError)
    assert re.search(why, found.reason), found.reason


def test_a_server_that_takes_no_question_at_all_is_given_up(endpoint):
    serving = endpoint(in_turn((400, b"no such model", {})))
    assert "status 400: no such model" in asked(serving)[1].reason
    assert len(serving.asked) == 2  # with the schema and without it


def test_streams_without_end_are_ended(endpoint, endless):
    assert (
        "sends more than 1,000,000 bytes"
        in asked(endpoint(lambda _b: endless(0), bounds={"body_bytes": 1_000_000}))[1].reason
    )
    serving = endpoint(lambda _b: endless(10.0), bounds={"deadline_s": 60})
    assert "did not end its reply in 60 seconds" in asked(serving)[1].reason


def test_a_long_reply_that_ends_is_refused_too(endpoint, reply_of):
    serving = endpoint(in_turn((200, reply_of(GOOD + " " * 2000), {})), bounds={"body_bytes": 2000})
    assert "sends more than 2,000 bytes" in asked(serving)[1].reason


def test_silence_is_a_timeout(endpoint):
    serving = endpoint(lambda _b: lambda _handler: time.sleep(1.0), timeout_s=0.1)
    assert "did not answer in 0.1 seconds" in asked(serving)[1].reason


def test_tokens_and_money_are_never_passed(endpoint, reply_of):
    serving = endpoint(lambda _b: (200, reply_of(GOOD, read=900, written=100), {}))
    budget = Budget(tokens=5000)
    asker = Asker(**serving.named, budget=budget)
    found = [ask(asker, f"material {number}") for number in range(9)]
    assert budget.spent <= 5000
    assert len(serving.asked) == 4  # a fifth could pass it: its reply may have 1,024 tokens
    assert found[3] == Shape(answer=7)
    assert "budget of 5,000 tokens would be passed (4,000 are spent)" in found[4].reason

    rich = Budget(money=0.01, price=(2.0, 4.0))  # a reply costs 0.0022, at most 0.0047 with what is read
    asker = Asker(**serving.named, budget=rich)
    found = [ask(asker, f"other {number}") for number in range(9)]
    assert rich.cost <= 0.01
    assert "budget of 0.01 would be passed" in found[-1].reason


def test_what_was_answered_is_never_asked_again(endpoint, tmp_path):
    serving = endpoint(in_turn(GOOD))
    for _ in range(2):
        cache = Cache(tmp_path / "llm.sqlite")
        asker = Asker(**serving.named, cache=cache)
        assert ask(asker) == Shape(answer=7)
        cache.close()
    assert len(serving.asked) == 1
    assert asker.budget.spent == 0
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"s3cret" not in raw


def test_a_reply_whose_tokens_nobody_counted_is_remembered_too_and_for_its_model_alone(endpoint, reply_of):
    serving = endpoint(in_turn((200, reply_of(GOOD, read=0, written=0), {}), '{"answer": 8}'))
    cache = Cache()
    for _ in range(2):
        first = Asker(**serving.named, cache=cache)
        assert ask(first) == Shape(answer=7)
    other = Asker(**serving.named | {"model": "another"}, cache=cache)
    assert ask(other) == Shape(answer=8)
    assert len(serving.asked) == 2


def test_a_run_that_is_ended_keeps_what_it_has_and_goes_on(endpoint, tmp_path):
    serving = endpoint(in_turn(GOOD))
    cache = Cache(tmp_path / "llm.sqlite")
    asker = Asker(**serving.named, cache=cache)
    found = [ask(asker, str(number)) for number in range(3)]
    assert found == [Shape(answer=7)] * 3
    again = Asker(**serving.named, cache=cache)
    assert [ask(again, str(number)) for number in range(5)] == [Shape(answer=7)] * 5
    assert len(serving.asked) == 5


def test_a_local_model_is_a_completer():
    class Echo:
        def complete(self, prompts, *_):
            assert "JSON" in prompts[0].system
            yield Completion(prompt_index=0, sample_index=0, text=GOOD, finished="eos", prompt_tokens=5, new_tokens=3)

    asker = Asker(completer=Echo(), model="tiny")
    assert ask(asker) == Shape(answer=7)
    assert asker.budget.spent == 8

    class Broken:
        def complete(self, *_):
            raise RuntimeError("out of memory")

    assert ask(Asker(completer=Broken(), model="tiny")).reason == "tiny gave no reply: out of memory"


def test_objects():
    assert list(objects('a {"x": {"y": 1}} b {} {')) == ['{"x": {"y": 1}}', "{}"]
    assert list(objects("{" * 5000)) == []
    assert json.loads(next(objects('{"a": "}"}'))) == {"a": "}"}
