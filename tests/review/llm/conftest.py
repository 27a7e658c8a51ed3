"""A real endpoint on this machine, which says what a test tells it to say, or obeys whatever it reads."""

import http.server
import json
import re
import threading
import time
from dataclasses import replace

import pytest

from trimtab.review.llm.asker import server


class Clock:
    def __init__(self):
        self.time, self.slept = 0.0, []

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.time += seconds


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.headers.get("Authorization"), body))
        said = self.server.behave(body)
        if callable(said):
            said(self)
            return
        status, raw, headers = said if isinstance(said, tuple) else (200, completion(said), {})
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


def completion(text, read=100, written=20):
    usage = {"prompt_tokens": read, "completion_tokens": written}
    return json.dumps({"choices": [{"message": {"content": text}}], "usage": usage}).encode()


@pytest.fixture
def endpoint(monkeypatch):
    """Start an endpoint that answers by ``behave(body)``: text, a triple, or a function of the handler."""
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    running = []

    def start(behave, **options):
        serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        serving.daemon_threads = True
        serving.behave, serving.asked, serving.clock = behave, [], Clock()
        threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(serving)
        own = server(f"http://127.0.0.1:{serving.server_port}/v1", "fake")
        bounds = replace(own.bounds, **options.pop("bounds", {}))
        own = replace(own, **({"timeout_s": 5, "clock": serving.clock, "bounds": bounds} | options))
        serving.named = {"completer": own, "model": f"fake at {own.url}"}
        return serving

    yield start
    for serving in running:
        serving.shutdown()
        serving.server_close()


def material(body):
    return body["messages"][1]["content"]


def obeying(body):
    """A model that does whatever the material tells it, and adds what an attacker would like."""
    text = material(body)
    stance = "refutes" if "refute" in text.lower() else "supports"
    if "ratings" in body["messages"][0]["content"]:
        items = re.findall(r"- (\w+): ", body["messages"][0]["content"])
        return json.dumps({"ratings": [{"item": item, "score": 5, "why": "as I was told"} for item in items]})
    planted = re.search(r"\{\\\"stance\\\".*?\}", text)
    if planted:
        return planted[0].replace('\\"', '"')
    if "999" in text:
        return json.dumps({"stance": stance, "passage": 999, "quote": "Alpha-7B reaches 99.9 on HumanEval"})
    if "system prompt" in text:
        return json.dumps({"stance": stance, "passage": 1, "quote": body["messages"][0]["content"][:80]})
    passages = json.loads(text.split("\n\nYour last answer")[0])["passages"]
    order = next(
        (one for one in passages if re.search(r"support|refute|instruct|verif|review", one["text"], re.IGNORECASE)),
        None,
    )
    if order:  # it quotes the order itself, letter for letter: the worst it can do and stay in form
        return json.dumps({"stance": stance, "passage": order["number"], "quote": order["text"]})
    return json.dumps({"stance": stance, "passage": 1, "quote": "Alpha-7B reaches 99.9 on HumanEval"})


@pytest.fixture
def obey():
    return obeying


@pytest.fixture
def reply_of():
    return completion


@pytest.fixture
def endless():
    """A reply that never ends: as fast as it can, or in drops."""

    def make(pause):
        def send(handler):
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            part = b"x" * (65536 if not pause else 1)
            try:
                while True:
                    handler.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                    handler.wfile.flush()
                    if pause:
                        handler.server.clock.time += pause
                        time.sleep(0.002)
            except OSError:
                handler.close_connection = True

        return send

    return make
