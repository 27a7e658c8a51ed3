"""A real server on this machine, which can be told to misbehave."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from trimtab.codeeval.completion import Chat, Sampling
from trimtab.codeeval.model_endpoint import ModelEndpoint
from trimtab.errors import BenchmarkError
from trimtab.http_client import RetryPolicy


class Handler(http.server.BaseHTTPRequestHandler):
    refusals: list = []  # noqa: RUF012 - reset by the fixture
    asked: list = []  # noqa: RUF012
    contents: list = []  # noqa: RUF012

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers.get("Authorization"), body))
        status = self.refusals.pop() if self.refusals else 200
        said = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        text = f"{said}!STOP and more"
        content = self.contents.pop() if self.contents else text
        choice = {"message": {"content": content}} if "messages" in body else {"text": text}
        answer = {
            "choices": [{**choice, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7},
        }
        data = json.dumps(answer if status == 200 else {"error": "busy"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    Handler.refusals, Handler.asked, Handler.contents = [], [], []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield ModelEndpoint(
            url=f"http://127.0.0.1:{serving.server_port}/v1/", model="m", policy=RetryPolicy(attempts=3, pause_s=0.001)
        )
        serving.shutdown()


def test_chats_and_texts_go_where_they_belong_with_tokens_counted(server):
    sampling = Sampling(n=2, temperature=0.5, stop=("STOP",), seed=3)
    found = list(server.complete([Chat(user="a", system="s"), "b"], sampling))
    assert {(c.prompt_index, c.sample_index): c.text for c in found} == {
        (0, 0): "a!", (0, 1): "a!", (1, 0): "b!", (1, 1): "b!"
    }  # fmt: skip
    assert {(c.prompt_tokens, c.new_tokens, c.finished) for c in found} == {(5, 7, "stop")}
    assert {(path, key) for path, key, _ in Handler.asked} == {
        ("/v1/chat/completions", "Bearer secret"), ("/v1/completions", "Bearer secret")
    }  # fmt: skip
    assert len({body["seed"] for _, _, body in Handler.asked}) == 4


def test_an_answer_in_parts_is_read_and_a_number_is_named(server):
    thought = {"type": "reasoning", "text": "hm"}
    Handler.contents = [None, [thought, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]]
    assert [next(iter(server.complete([Chat(user="x")], Sampling()))).text for _ in range(2)] == ["ab", ""]
    Handler.contents = [7]
    with pytest.raises(BenchmarkError, match="'content' is a number, expected text or a list of parts"):
        list(server.complete([Chat(user="x")], Sampling()))


def test_what_is_done_is_not_asked_again(server):
    found = list(server.complete(["a", "b"], Sampling(n=2), done={(0, 0), (1, 1)}))
    assert {(c.prompt_index, c.sample_index) for c in found} == {(0, 1), (1, 0)}


def test_a_busy_server_is_asked_again_and_given_up_in_the_end(server):
    Handler.refusals = [503, 429]
    assert len(list(server.complete(["a"], Sampling()))) == 1
    Handler.refusals = [503] * 9
    with pytest.raises(BenchmarkError, match="tried 3 times: status 503"):
        list(server.complete(["a"], Sampling()))


def test_a_refusal_for_good_shows_the_answer_and_is_not_repeated(server):
    Handler.refusals = [401]
    with pytest.raises(BenchmarkError, match="status 401") as raised:
        list(server.complete(["a"], Sampling()))
    assert "OPENAI_API_KEY" in raised.value.hint
    assert len(Handler.asked) == 1


def test_a_reply_cannot_be_begun(server):
    with pytest.raises(BenchmarkError, match="beginning of a reply"):
        list(server.complete([Chat(user="a", prefix="b")], Sampling()))


def test_nobody_there_is_said():
    nobody = ModelEndpoint(url="http://127.0.0.1:9/v1", model="m", policy=RetryPolicy(attempts=1))
    with pytest.raises(BenchmarkError, match="gave no usable answer, tried 1 times: ConnectError"):
        list(nobody.complete(["a"], Sampling()))
