"""A real server on this machine that can be told how to behave, a clock that tests drive, and recorded answers."""

import base64
import gzip
import http.server
import importlib.util
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from trimtab.literature.request import Request, ServerAnswer
from trimtab.literature.transport import Transport


@dataclass
class DrivenClock:
    """Time passes only when somebody sleeps."""

    time: float = 0.0
    slept: list = field(default_factory=list)

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.time += seconds


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    cut: int = 0
    zipped: bool = False


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self):
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_GET(self):
        self._answer(None)

    def _answer(self, body):
        serving = self.server
        with serving.lock:
            serving.inside += 1
            serving.most = max(serving.most, serving.inside)
        try:
            parts = urlsplit(self.path)
            asked = SimpleNamespace(
                path=parts.path,
                query={name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()},
                headers=dict(self.headers.items()),
                time=serving.clock.now() if serving.clock else None,
                peer=self.client_address,
                body=body,
            )
            serving.asked.append(asked)
            self._send(serving.behave(asked))
        finally:
            with serving.lock:
                serving.inside -= 1

    def _send(self, reply):
        body = gzip.compress(reply.body) if reply.zipped else reply.body
        self.send_response_only(reply.status)
        headers = {"Date": "Tue, 24 Nov 2026 12:00:00 GMT", "Content-Length": str(len(body)), **reply.headers}
        if reply.zipped:
            headers["Content-Encoding"] = "gzip"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) - reply.cut])
        if reply.cut:
            self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def clock():
    return DrivenClock()


@pytest.fixture
def serve(clock):
    """Start a server that answers by ``behave(asked) -> Reply``; its ``asked`` says what we sent."""
    running = []

    def start(behave):
        serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        serving.daemon_threads = True
        serving.behave, serving.asked, serving.clock = behave, [], clock
        serving.lock, serving.inside, serving.most = threading.Lock(), 0, 0
        serving.host = f"127.0.0.1:{serving.server_port}"
        serving.url = f"http://{serving.host}"
        threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(serving)
        return serving

    yield start
    for serving in running:
        serving.shutdown()
        serving.server_close()


@pytest.fixture
def script():
    """A behaviour that gives these replies in turn, the last one for ever."""

    def make(*replies):
        left = list(replies)
        return lambda _asked: left.pop(0) if len(left) > 1 else left[0]

    return make


@pytest.fixture
def reply():
    return Reply


@pytest.fixture(scope="session")
def loopback():
    """The module beside this one that answers as each database does."""
    location = importlib.util.spec_from_file_location("loopback", Path(__file__).with_name("loopback.py"))
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


@pytest.fixture
def transport(clock):
    """Make transports to servers; they are closed at the end."""
    made = []

    def make(*servers, interval=0.0, **options):
        hosts = {serving if isinstance(serving, str) else serving.host: interval for serving in servers}
        one = Transport(hosts=hosts, agent="trimtab/test", clock=clock, **options)
        made.append(one)
        return one

    yield make
    for one in made:
        one.__exit__(None, None, None)


@dataclass
class Recording:
    """One recorded exchange."""

    file: str
    url: str
    status: int
    headers: dict
    body: bytes

    @property
    def request(self):
        parts = urlsplit(self.url)
        params = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        return Request(url=f"{parts.scheme}://{parts.netloc}{parts.path}", params=params)

    @property
    def answer(self):
        return ServerAnswer(status=self.status, body=self.body, date="2026-01-01T00:00:00+00:00")


def _bytes(response):
    body = response["body"]["string"] if isinstance(response.get("body"), dict) else response.get("content", b"")
    raw = body.encode() if isinstance(body, str) else body or b""
    if raw[:2] == b"\x1f\x8b":
        return gzip.decompress(raw)
    try:
        return gzip.decompress(base64.b64decode(raw, validate=True))
    except (ValueError, OSError):
        return raw


def _recorded(folder):
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for path in sorted(folder.glob("*/*.yaml")):
        for one in yaml.load(path.read_text(), Loader=loader)["interactions"]:  # noqa: S506 - a safe loader
            status = one["response"].get("status_code") or one["response"]["status"]["code"]
            headers = {name.lower(): values for name, values in one["response"]["headers"].items()}
            yield Recording(
                f"{path.parent.name}/{path.name}", one["request"]["uri"], status, headers, _bytes(one["response"])
            )
    for path in sorted(folder.glob("arxiv/*.json")):
        one = json.loads(path.read_text())
        yield Recording(f"arxiv/{path.name}", one["url"], one["status_code"], {}, one["body"].encode())


@pytest.fixture(scope="session")
def recordings(evidence_data):
    """Every recorded exchange; skips where the data is not on this machine."""
    return list(_recorded(evidence_data / "wire"))
