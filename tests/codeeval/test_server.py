"""The server as clients meet it: verdicts, refusals by name, a full queue, and its end."""

import concurrent.futures
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from trimtab.codeeval.remote_judge import RemoteJudge
from trimtab.codeeval.reward import CodeReward
from trimtab.codeeval.ruling import Ruling
from trimtab.codeeval.server import listen
from trimtab.errors import BenchmarkError, SandboxError
from trimtab.sandbox.verdict import Outcome

RIGHT = "```python\ndef add(a, b):\n    return a + b\n```"
TESTS = ["assert add(1, 2) == 3", "assert add(2, 2) == 4"]
ASK = {"completion": RIGHT, "tests": TESTS}
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tested
CLIENT = httpx.Client(timeout=60, limits=httpx.Limits(max_connections=64))


@pytest.fixture(scope="module", autouse=True)
def _connections():
    yield
    CLIENT.close()


@contextlib.contextmanager
def serving(*options, token=""):
    """Run the verb on a free port; yield its address and its process."""
    environment = {**os.environ, "TRIMTAB_SERVE_TOKEN": token}
    command = [sys.executable, "-m", "trimtab.cli", "serve", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            line = process.stderr.readline()
            yield re.search(r"http://\S+", line)[0], process
        finally:
            process.send_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def url():
    with serving("-b", "humaneval", "-j", "2", "--time-limit", "1", "--body-limit", "1") as (address, _):
        yield address


def ask(url, message=ASK, **options):
    return CLIENT.post(f"{url}/v1/judge", json=message, **options)


def test_a_ruling_has_what_a_reward_needs(url):
    found = ask(url).json()
    assert {name: found[name] for name in ("outcome", "passed", "total", "reward", "detail", "reason")} == {
        "outcome": "passed",
        "passed": 2,
        "total": 2,
        "reward": 1.0,
        "detail": "",
        "reason": "",
    }
    body = {"completion": "    return number - int(number)\n", "task_id": "HumanEval/2", "continues": True}
    assert ask(url, body).json()["reward"] == 1
    loop = {
        "completion": "while True: pass",
        "tests": {"inputs": ["1"], "outputs": ["1"]},
        "limits": {"cpu_s": 0.2, "wall_s": 10},
    }
    assert ask(url, loop).json()["detail"] == "test 1: 0.2 s of CPU time"


@pytest.mark.parametrize(
    ("message", "status", "says"),
    [
        ([], 422, "a JSON object, not list"),
        ({"tests": TESTS}, 422, "no 'completion'"),
        ({"completion": RIGHT}, 422, "both 'tests' and 'task_id', or neither"),
        ({**ASK, "task_id": "HumanEval/2"}, 422, "both 'tests' and 'task_id'"),
        ({"completion": RIGHT, "task_id": "HumanEval/999"}, 422, "no problem 'HumanEval/999'"),
        ({**ASK, "continue": True}, 422, "did you mean 'continues'"),
        ({**ASK, "partial": 1}, 422, "'partial' of the request is bool, not int"),
        ({**ASK, "tests": ["assert add(1"]}, 422, "not Python"),
        ({**ASK, "completion": [7]}, 422, "a completion is text or a chat"),
        ({**ASK, "limits": {"cpu_s": 5}}, 422, "'cpu_s' of 'limits' is 5, not above 0 and up to 1"),
        ({**ASK, "limits": {"memory_mib": True}}, 422, "is int or float, not bool"),
        ({**ASK, "tolerance": 2}, 422, "'tolerance' is 2.0"),
        ({**ASK, "prefix": "x" * (1 << 20)}, 413, "may have 1 MiB"),
    ],
)
def test_what_is_malformed_is_refused_by_the_field_s_name(url, message, status, says):
    answer = ask(url, message)
    assert (answer.status_code, says in answer.json()["error"]) == (status, True), answer.text


def test_what_no_client_of_ours_sends_is_refused(url):
    json_type = {"content-type": "application/json"}
    assert CLIENT.post(f"{url}/v1/judge", content=b"{", headers=json_type).status_code == 400
    assert CLIENT.post(f"{url}/v1/judge", content=b"[" * 5000, headers=json_type).status_code == 400
    assert CLIENT.post(f"{url}/v1/judge", content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    assert CLIENT.post(f"{url}/v1/judge", json=ASK, headers={"host": "example.org"}).status_code == 403
    assert CLIENT.get(f"{url}/v1/judge").status_code == 405

    def pieces():
        for _ in range(3):
            yield b" " * (1 << 19)

    assert CLIENT.post(f"{url}/v1/judge", content=pieces(), headers=json_type).status_code == 413


def test_health_and_metrics(url):
    health = CLIENT.get(f"{url}/health").json()
    assert (health["status"], health["workers"], health["room"]) == ("ok", 2, 1026)
    before = _counted(url)
    ask(url)
    ask(url, {**ASK, "completion": "no code"})
    assert _counted(url) == before + 1
    text = CLIENT.get(f"{url}/metrics").text
    assert "trimtab_request_seconds_bucket" in text
    assert 'trimtab_refused_total{status="415"}' in text


def _counted(url):
    found = re.search(r'trimtab_rulings_total\{outcome="passed"\} (\S+)', CLIENT.get(f"{url}/metrics").text)
    return float(found[1]) if found else 0.0


def test_a_reward_judges_remotely_as_it_does_here(url):
    remote = RemoteJudge(url)
    scorer = CodeReward(remote, partial=True, benchmarks=["humaneval"])
    assert scorer([RIGHT, "def add(a, b):\n    return 3\n"], tests=[TESTS] * 2) == [1.0, 0.5]
    pairs = {"fn_name": "f", "inputs": [[1], [2]], "outputs": [1, 2]}
    assert scorer(["def f(x):\n    return x\n"], tests=[pairs]) == [1.0]
    assert scorer(["def truncate_number(number):\n    return number % 1\n"], task_id=["HumanEval/2"]) == [1.0]
    with pytest.raises(BenchmarkError, match=r"refuses a request: .*no problem"):
        remote._ask({"completion": "x", "task_id": "HumanEval/999"})
    remote.close()


def test_many_at_once_are_each_answered_with_their_own(url):
    def one(number):
        text = f"def add(a, b):\n    return a + b + {number % 3}\n"
        return ask(url, {"completion": text, "tests": [f"assert add(0, {number}) == {number}"]}).json()["reward"]

    with concurrent.futures.ThreadPoolExecutor(32) as threads:
        found = list(threads.map(one, range(96)))
    assert found == [float(number % 3 == 0) for number in range(96)]


def test_a_full_server_says_when_to_come_again_and_a_client_does():
    slow = {"completion": "import time\ntime.sleep(0.5)\nprint(1)", "tests": {"inputs": [""], "outputs": ["1"]}}
    with serving("-j", "1", "--queue", "1") as (url, _):
        with concurrent.futures.ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(lambda _: ask(url, slow), range(6)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses.count(200) >= 2
        assert 503 in statuses
        full = next(answer for answer in answers if answer.status_code == 503)
        assert "requests are waiting already" in full.json()["error"]
        assert int(full.headers["retry-after"]) >= 1
        remote = RemoteJudge(url, concurrency=6)
        texts = [f"import time\ntime.sleep(0.1)\nprint(1)  # {number}" for number in range(6)]
        assert CodeReward(remote)(texts, tests=[slow["tests"]] * 6) == [1.0] * 6
        remote.close()


def test_what_waits_too_long_is_told_so():
    with serving("-j", "1", "--wait", "0.2") as (url, _):
        slow = {"completion": "import time\ntime.sleep(1)", "tests": {"inputs": [""], "outputs": [""]}}
        with concurrent.futures.ThreadPoolExecutor(3) as threads:
            answers = list(threads.map(lambda _: ask(url, slow), range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 503, 503]
    assert any("waited too long" in answer.text for answer in answers)


def test_what_is_under_way_is_answered_before_the_server_ends():
    with serving("-j", "1") as (url, process), concurrent.futures.ThreadPoolExecutor(4) as threads:
        slow = {"completion": "import time\ntime.sleep(0.5)\nprint(1)", "tests": {"inputs": [""], "outputs": ["1"]}}
        waiting = [threads.submit(ask, url, slow) for _ in range(3)]
        time.sleep(0.6)
        process.send_signal(signal.SIGTERM)
        assert [answer.result().json()["reward"] for answer in waiting] == [1.0] * 3
        process.wait(10)


def test_a_client_that_leaves_frees_its_place():
    with serving("-j", "1") as (url, _):
        slow = {"completion": "import time\ntime.sleep(0.7)", "tests": {"inputs": [""], "outputs": [""]}}
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            held = threads.submit(ask, url, slow)
            time.sleep(0.2)
            for _ in range(3):
                with contextlib.suppress(httpx.TimeoutException):
                    CLIENT.post(f"{url}/v1/judge", json=slow, timeout=0.1)
            assert held.result().json()["outcome"] == "passed"
        until = time.monotonic() + 5
        while CLIENT.get(f"{url}/health").json()["pending"] and time.monotonic() < until:
            time.sleep(0.05)
        assert 'trimtab_refused_total{status="499"} 3.0' in CLIENT.get(f"{url}/metrics").text


def test_other_machines_are_served_only_with_a_token():
    with pytest.raises(SandboxError, match="needs a token"):
        listen(EVERYWHERE, 0, "")
    with serving("--host", EVERYWHERE, token="a secret") as (url, _):  # noqa: S106
        here = url.replace(EVERYWHERE, "127.0.0.1")
        assert ask(here).status_code == 401
        assert CLIENT.get(f"{here}/metrics").status_code == 401
        assert CLIENT.get(f"{here}/health").status_code == 200
        assert ask(here, headers={"authorization": "Bearer another"}).status_code == 401
        assert ask(here, headers={"authorization": "Bearer a secret", "host": "gpu7:1"}).json()["reward"] == 1
        remote = RemoteJudge(here, token="wrong")  # noqa: S106
        with pytest.raises(SandboxError, match="refuses this client"):
            CodeReward(remote)([RIGHT], tests=[TESTS])
        remote.close()


def test_a_port_that_is_taken_is_an_error_that_says_so():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SandboxError, match=r"cannot listen on 127\.0\.0\.1:"):
            listen("127.0.0.1", taken.getsockname()[1], "")


def test_a_server_that_never_answers_is_a_reason_and_no_zero():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        remote = RemoteJudge(f"http://127.0.0.1:{closed.getsockname()[1]}", deadline_s=0.5)
        found = CodeReward(remote).rulings([RIGHT], tests=[TESTS])
    remote.close()
    assert found[0].reward is None
    assert "no answer within 0.5 s" in found[0].reason
    with pytest.raises(SandboxError, match="no address of a server"):
        RemoteJudge("localhost:8642")


def test_a_ruling_crosses_unchanged(url):
    remote = RemoteJudge(url)
    requests = CodeReward(remote).requests([RIGHT, "def add(a, b): return 1/0"], None, {"tests": [TESTS] * 2})
    found = [remote.submit(request).result() for request in requests]
    assert [one.outcome for one in found] == [Outcome.PASSED, Outcome.ERROR]
    assert isinstance(found[1], Ruling)
    assert found[1].detail == "ZeroDivisionError: division by zero"
    remote.close()
