"""Fetching: the pinned bytes or nothing; from a server of our own."""

from __future__ import annotations

import dataclasses
import http.server
import threading
from pathlib import Path

import pytest

from trimtab.codeeval import benchmark_cache, benchmark_registry, problems
from trimtab.errors import BenchmarkError

NAME = "HumanEval.jsonl.gz"


@pytest.fixture
def server(no_data, monkeypatch):
    """Serve what ``body`` holds in place of the hub; the wheel is made not to be found."""

    class Handler(http.server.BaseHTTPRequestHandler):
        body = Path(problems.load("humaneval").source).read_bytes()
        asked = 0

        def do_GET(self):
            Handler.asked += 1
            self.send_response(200)
            self.end_headers()
            self.wfile.write(Handler.body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{serving.server_port}/{NAME}"
        monkeypatch.setattr(
            benchmark_registry,
            "FILES",
            {**benchmark_registry.FILES, NAME: dataclasses.replace(benchmark_registry.FILES[NAME], url=url)},
        )
        monkeypatch.setattr(problems.importlib.metadata, "files", lambda _: None)
        yield Handler
        serving.shutdown()


def test_a_file_is_fetched_once_and_only_when_asked(server, no_data):
    with pytest.raises(BenchmarkError, match="was not found"):
        problems.load("humaneval")
    assert server.asked == 0
    assert problems.load("humaneval", fetch=True).source == str(no_data / "trimtab" / "benchmarks" / NAME)
    assert len(problems.load("humaneval").problems) == 164
    assert server.asked == 1


def test_other_bytes_are_refused_with_both_hashes_and_not_kept(server):
    server.body = b"something else"
    with pytest.raises(BenchmarkError, match=r"SHA-256 is [0-9a-f]{64}, expected b796127e"):
        problems.load("humaneval", fetch=True)
    assert not benchmark_cache.cached(NAME).exists()


def test_a_server_that_is_not_there_is_named_with_a_way_out(no_data, monkeypatch):
    nowhere = dataclasses.replace(benchmark_registry.FILES[NAME], url=f"http://127.0.0.1:9/{NAME}")
    monkeypatch.setattr(benchmark_registry, "FILES", {NAME: nowhere})
    with pytest.raises(BenchmarkError, match="cannot be reached") as raised:
        benchmark_cache.fetch(NAME)
    assert "TRIMTAB_DATA" in raised.value.hint
