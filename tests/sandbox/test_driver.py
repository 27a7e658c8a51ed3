"""The driver's side of the conversation, against a partner that says whatever it likes."""

from __future__ import annotations

import socket
import threading

import pytest

from trimtab.sandbox import codec, driver, wire


def talk(answers, act):
    """Run ``act(client)`` against a partner that gives ``answers`` in turn, then hangs up; return what was asked."""
    ours, theirs = socket.socketpair()
    asked = []

    def partner():
        with theirs:
            for answer in answers:
                asked.append(codec.loads(wire.read(theirs.fileno())))
                wire.write(theirs.fileno(), answer if isinstance(answer, bytes) else codec.dumps(answer))

    thread = threading.Thread(target=partner)
    thread.start()
    client = driver.Client(ours.fileno())
    with ours:
        try:
            result = act(client)
        except BaseException as error:  # noqa: BLE001 - returned for the test to look at
            result = error
    thread.join()
    return result, client, asked


def test_a_call_sends_data_and_returns_data():
    result, client, asked = talk([{"value": {"tuple": [1, 2]}}], lambda c: c.proxy("f")([1], k={2}))
    assert result == (1, 2)
    assert client.calls == 1
    assert asked == [{"call": "f", "args": [[1]], "kwargs": {"k": {"set": [2]}}, "mutable": True}]


def test_changed_arguments_are_applied_in_place():
    xs, d, s = [3, 1], {"a": 1}, {1}
    answer = {"value": None, "args": [[1, 3], {"dict": ["b", 2]}, {"set": [2]}]}
    talk([answer], lambda c: c.proxy("f")(xs, d, s))
    assert (xs, d, s) == ([1, 3], {"b": 2}, {2})


def test_an_argument_changed_into_another_type_is_ignored():
    xs = [1]
    talk([{"value": None, "args": ["text"]}], lambda c: c.proxy("f")(xs))
    assert xs == [1]


@pytest.mark.parametrize(("name", "kind"), [("ValueError", ValueError), ("KeyError", KeyError), ("Mine", RuntimeError)])
def test_exceptions_cross_as_builtin_types(name, kind):
    error, client, _ = talk([{"raise": [name, "why"]}], lambda c: c.proxy("f")())
    assert isinstance(error, kind)
    assert not client.gone


@pytest.mark.parametrize("name", ["UnicodeDecodeError", "eval", "__import__", "object", "Exception"])
def test_a_name_that_is_no_simple_exception_becomes_one(name):
    error, _, _ = talk([{"raise": [name, "x"]}], lambda c: c.proxy("f")())
    assert isinstance(error, Exception)


@pytest.mark.parametrize("name", driver.ENDINGS)
def test_an_exception_that_ends_programs_cannot_be_caught_by_tests(name):
    error, client, _ = talk([{"raise": [name, "x"]}], lambda c: c.proxy("f")())
    assert isinstance(error, driver.SampleEndedError)
    assert not isinstance(error, Exception)
    assert client.end[0] == "exit"


@pytest.mark.parametrize(
    "answer",
    [b"", b"x", b"[]", {}, {"x": 1}, {"value": {"pickle": 1}}, {"value": {"handle": 3}}, {"end": 5}, {"raise": 7}],
    ids=range(9),
)
def test_garbage_ends_the_sample_for_good(answer):
    def twice(client):
        for _ in range(2):
            try:
                client.proxy("f")()
            except driver.SampleEndedError:
                continue
            except RuntimeError:  # an exception without a name is an exception
                continue
            return "passed"
        return "ended"

    result, client, _ = talk([answer], twice)
    assert result == "ended"
    assert client.gone or client.end


def test_objects_are_reached_by_attribute_and_call():
    answers = [{"value": {"handle": [7, "Node", True]}}, {"value": 3}, {"value": None}, {"value": "called"}]

    def act(client):
        node = client.proxy("Node")(1)
        got = node.left
        node.left = 4
        return got, node(5), node == node, bool(node)  # noqa: PLR0124

    result, _, asked = talk(answers, act)
    assert result == (3, "called", False, True)
    assert asked[1:3] == [{"get": [7, "left"]}, {"set": [7, "left", 4]}]
    assert asked[3]["call"] == 7


def test_a_test_can_pass_only_data():
    error, _, asked = talk([], lambda c: c.proxy("f")(object()))
    assert isinstance(error, codec.CodecError)
    assert asked == []
