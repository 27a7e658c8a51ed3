"""One policy for who is asked again; exchanges that end; a server's client that keeps its key to itself."""

import datetime as dt
import http.server
import itertools
import json
import threading
from dataclasses import dataclass, field

import pytest

from trimtab.errors import HttpError, MissingExtraError
from trimtab.http_client import Bounds, OpenAIServer, RetryPolicy, TryAgain, asked_pause_s, connect, exchange

TODAY = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)


@dataclass
class DrivenClock:
    time: float = 0.0
    slept: list = field(default_factory=list)

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.time += seconds


def refusing(*pauses):
    """An attempt that is refused with each of these pauses in turn, the last one for ever."""
    left = list(pauses)

    def send():
        raise TryAgain("busy", left.pop(0) if len(left) > 1 else left[0])

    return send


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0), (" 0 ", 0.0), ("Sun, 29 Nov 2026 12:01:30 GMT", 90.0), ("Sun, 29 Nov 2026 11:00:00 GMT", 0.0),
        ("Sun, 29 Nov 2026 12:01:30", 90.0), ("soon", None), ("-5", None), ("1.5", None), ("", None),
    ],
)  # fmt: skip
def test_retry_after_in_seconds_and_as_a_date(text, seconds):
    assert asked_pause_s({"retry-after": text}, TODAY) == seconds


def test_pauses_double_up_to_the_longest_and_attempts_end():
    clock = DrivenClock()
    with pytest.raises(HttpError, match="tried 6 times: busy"):
        RetryPolicy(attempts=6, pause_s=1.0, longest_pause_s=5.0, jitter=0.0).persist(refusing(None), clock=clock)
    assert clock.slept == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_own_pauses_are_spread_and_asked_ones_are_kept_to():
    clock = DrivenClock()
    with pytest.raises(HttpError):
        RetryPolicy(attempts=200, longest_pause_s=1.0, jitter=0.5).persist(refusing(None), clock=clock)
    assert len(set(clock.slept)) > 100
    assert 0.5 <= min(clock.slept) < 0.7
    assert 1.3 < max(clock.slept) <= 1.5
    clock = DrivenClock()
    with pytest.raises(HttpError):
        RetryPolicy(attempts=4, jitter=0.5).persist(refusing(9.0, 0.0, 300.0, None), clock=clock)
    assert clock.slept == [9.0, 0.0, 300.0]


def test_more_patience_than_there_is_and_a_deadline_are_errors_at_once():
    clock = DrivenClock()
    with pytest.raises(HttpError, match="asks for a pause of 301 seconds: busy"):
        RetryPolicy().persist(refusing(301.0), clock=clock)
    with pytest.raises(HttpError, match="gave no answer within 10 s: busy"):
        RetryPolicy(attempts=None, deadline_s=10.0, jitter=0.0).persist(refusing(None), clock=clock)
    assert clock.slept == [1.0, 2.0, 4.0]  # eight more would pass the deadline


def test_other_errors_are_no_matter_of_patience():
    calls = itertools.count()

    def send():
        next(calls)
        raise HttpError("refuses", status=404)

    with pytest.raises(HttpError):
        RetryPolicy().persist(send, clock=DrivenClock())
    assert next(calls) == 1


@pytest.fixture
def serve():
    """Start a server that answers ``(status, body, headers)`` by ``behave(handler)``."""
    running = []

    def start(behave):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.server.keys.append(self.headers.get("Authorization"))
                status, body, headers = behave(self)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        serving.daemon_threads, serving.keys = True, []
        serving.url = f"http://127.0.0.1:{serving.server_port}/v1"
        threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(serving)
        return serving

    yield start
    for serving in running:
        serving.shutdown()
        serving.server_close()


def in_turn(*answers):
    left = list(answers)
    return lambda _handler: left.pop(0) if len(left) > 1 else left[0]


def test_a_server_is_asked_until_it_answers_json_and_its_key_stays_private(serve, monkeypatch):
    monkeypatch.setenv("A_KEY", "s3cret")
    good = json.dumps({"choices": []}).encode()
    serving = serve(in_turn((429, b"", {"Retry-After": "3"}), (200, b"<html>", {}), (200, good, {})))
    clock = DrivenClock()
    options = {"extra": "endpoint", "key_variable": "A_KEY", "clock": clock, "policy": RetryPolicy(jitter=0.0)}
    with OpenAIServer(url=serving.url, **options) as server:
        assert server.post("completions", {}) == {"choices": []}
    assert clock.slept == [3.0, 2.0]
    assert serving.keys == ["Bearer s3cret"] * 3
    for status in (401, 503):
        serving = serve(in_turn((status, b"no s3cret here", {})))
        with (
            OpenAIServer(url=serving.url, **options) as server,
            pytest.raises(HttpError, match=f"status {status}: no \\[private\\] here") as raised,
        ):
            server.post("completions", {})
        assert raised.value.status == (401 if status == 401 else 0)
        assert len(serving.keys) == (1 if status == 401 else 5)
    assert server.hint(401) == "put the key into A_KEY"
    assert server.hint(0) is None


def test_a_connection_that_fails_is_tried_again_or_not_as_bounds_say():
    nobody, clock = "http://127.0.0.1:9/v1", DrivenClock()
    with (
        OpenAIServer(url=nobody, extra="endpoint", clock=clock) as server,
        pytest.raises(HttpError, match="tried 5 times: ConnectError"),
    ):
        server.post("completions", {})
    assert len(clock.slept) == 4
    once = Bounds(when_unreachable=False)
    with (
        OpenAIServer(url=nobody, extra="endpoint", clock=clock, bounds=once) as server,
        pytest.raises(HttpError, match=r"^ConnectError"),
    ):
        server.post("completions", {})
    assert len(clock.slept) == 4


def test_a_redirect_is_shown_and_not_followed(serve):
    serving = serve(in_turn((302, b"", {"Location": "http://elsewhere.test/"})))
    with connect(extra="endpoint") as client:
        response = exchange(client, "POST", serving.url, bounds=Bounds(), json={})
    assert (response.status, response.redirect) == (302, "http://elsewhere.test/")


def test_without_httpx_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "httpx", None)
    with pytest.raises(MissingExtraError, match=r"trimtab\[evidence\]"):
        connect(extra="evidence")
