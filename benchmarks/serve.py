"""``trimtab serve`` under load: verdicts a second and latency with HumanEval's references, and a soak with kills.

    python benchmarks/serve.py speed [--samples 10] [--concurrent 64] [--workers 2]
    python benchmarks/serve.py soak [--requests 20000] [--concurrent 256] [--kill-every 0.3]

*speed*: HumanEval's 164 references, each as often as asked with a comment that makes it a text of its own, over as many
kept connections as are concurrent. Prints verdicts a second, the median and the 99th percentile of latency, and CPU
seconds of the server, of its sandbox and of this client, which shares the machine with them.

*soak*: programs whose right ruling is known, a fifth each: right, wrong, half right, printing, raising; each ruling
that is not "passed" carries its request's own number. Meanwhile SIGKILL ends a zygote or a running program at random.
Checked: every request has one answer, and each is its own; rulings without a reward are counted; the server's memory
and descriptors are printed as it goes. Exits with 1 where an answer is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from trimtab.codeeval import problems

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


HEAD = "POST /v1/judge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@dataclass
class Tally:
    """What came back."""

    latencies: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    not_judged: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@contextlib.contextmanager
def server(*options: str):
    """Run the verb; yield its port and its process."""
    command = [sys.executable, "-m", "trimtab.cli", "serve", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stderr.readline()
            yield int(re.search(r":(\d+) at", line)[1]), psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)


async def ask(port: int, messages: Sequence[dict], concurrent: int, check: Callable[[int, dict], str]) -> Tally:
    """Send every message once over kept connections; a full server is asked again."""
    tally, waiting = Tally(), iter(enumerate(messages))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number, message in waiting:
            body = json.dumps(message).encode()
            head = f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode()
            started = time.perf_counter()
            while True:
                writer.write(head + body)
                headers = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(re.search(r"content-length: (\d+)", headers)[1])
                answer = json.loads(await reader.readexactly(length))
                status = int(headers[9:12])
                tally.statuses[status] = tally.statuses.get(status, 0) + 1
                if status != 503:
                    break
                await asyncio.sleep(0.2)
            tally.latencies.append(time.perf_counter() - started)
            if status == 200 and answer["reward"] is None:
                tally.not_judged.append(answer["reason"])
            elif status != 200 or (wrong := check(number, answer)):
                tally.wrong.append(f"{number}: {wrong if status == 200 else answer}")
        writer.close()

    await asyncio.gather(*(connection() for _ in range(concurrent)))
    return tally


def cpu(process: psutil.Process) -> tuple[float, float]:
    """Return CPU seconds of a server's own process, and of all below it."""
    own = process.cpu_times()
    below = 0.0
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            below += times.user + times.system + times.children_user + times.children_system
    return own.user + own.system, below


def speed(options: argparse.Namespace) -> int:
    tasks = problems.load("humaneval").problems
    messages = [
        {
            "completion": f"{task.canonical_solution.rstrip()}\n# {index}\n",
            "task_id": task.task_id,
            "continues": True,
        }
        for index in range(options.samples)
        for task in tasks
    ]
    random.Random(0).shuffle(messages)

    def check(number: int, answer: dict) -> str:
        return "" if answer["reward"] == 1 else f"{messages[number]['task_id']}: {answer}"

    with server("-b", "humaneval", "-j", str(options.workers), "--profile", options.profile) as (port, process):
        asyncio.run(ask(port, messages[:164], options.concurrent, check))  # what is read once per problem is read
        before, mine, started = cpu(process), time.process_time(), time.perf_counter()
        tally = asyncio.run(ask(port, messages, options.concurrent, check))
        took, used = time.perf_counter() - started, time.process_time() - mine
        own, below = (after - earlier for after, earlier in zip(cpu(process), before, strict=True))
    ordered = sorted(tally.latencies)
    median, p99 = ordered[len(ordered) // 2], ordered[int(0.99 * len(ordered))]
    each = 1000 / len(messages)
    print(
        f"{len(messages)} verdicts, {options.concurrent} at once, {options.workers} workers, load "
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} processors: {len(messages) / took:.0f} a second; latency median "
        f"{1000 * median:.0f} ms, p99 {1000 * p99:.0f} ms ({p99 / median:.1f} x); CPU ms a "
        f"verdict: server {own * each:.2f}, sandbox {below * each:.2f}, this client {used * each:.2f}; "
        f"{len(messages) / (own + below):.0f} verdicts a CPU second"
    )
    for line in tally.wrong[:5]:
        print("wrong:", line)
    return int(bool(tally.wrong))


def soak_message(number: int) -> dict:
    work = "    sum(range(20000))\n"
    kinds = {
        0: (f"def f(x):\n{work}    return x + {number}\n", [f"assert f(1) == {number + 1}"]),
        1: (f"def f(x):\n{work}    return x - {number}\n", [f"assert f(1) == {number + 1}"]),
        2: (
            f"def f(x):\n{work}    return {number}\n",
            [f"assert f(1) == {number}", f"assert f(2) == {number + 1}"],
        ),
        3: (f"print(int(input()) + {number})\n", {"inputs": ["1"], "outputs": [str(number + 1)]}),
        4: (f"def f(x):\n{work}    raise ValueError('{number}')\n", ["assert f(1) == 1"]),
    }
    completion, tests = kinds[number % 5]
    return {"completion": completion, "tests": tests, "partial": True}


def soak_check(number: int, answer: dict) -> str:
    reward = {0: 1.0, 1: 0.0, 2: 0.5, 3: 1.0, 4: 0.0}[number % 5]
    detail = {
        1: f"assert 1: f(1) == {number + 1}: got {1 - number}",
        2: f"assert 1: f(2) == {number + 1}: got {number}",
        4: f"ValueError: {number}",
    }.get(number % 5, "")
    return "" if (answer["reward"], answer["detail"]) == (reward, detail) else str(answer)


def soak(options: argparse.Namespace) -> int:
    messages = [soak_message(number) for number in range(options.requests)]
    with server("-j", str(options.workers), "--profile", options.profile) as (port, process):
        killed = [0, 0]

        async def kill() -> None:
            draw = random.Random(1)
            while True:
                await asyncio.sleep(draw.uniform(0, 2 * options.kill_every))
                below = process.children(recursive=True)
                if below:
                    victim = draw.choice(below)
                    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                        zygote = bool(victim.children())
                        os.kill(victim.pid, signal.SIGKILL)
                        killed[0 if zygote else 1] += 1

        async def watch() -> None:
            started = time.perf_counter()
            while True:
                memory = process.memory_info().rss / (1 << 20)
                print(
                    f"  {time.perf_counter() - started:6.0f} s: server {memory:.1f} MiB, "
                    f"{process.num_fds()} descriptors, {len(process.children(recursive=True))} processes below, "
                    f"{sum(killed)} killed",
                    flush=True,
                )
                await asyncio.sleep(options.report)

        async def run() -> Tally:
            beside = [asyncio.ensure_future(kill()), asyncio.ensure_future(watch())]
            tally = await ask(port, messages, options.concurrent, soak_check)
            for task in beside:
                task.cancel()
            return tally

        started = time.perf_counter()
        tally = asyncio.run(run())
        took = time.perf_counter() - started
        memory, descriptors = process.memory_info().rss / (1 << 20), process.num_fds()
    print(
        f"{len(messages)} requests, {options.concurrent} at once, in {took:.0f} s: {len(tally.latencies)} answered, "
        f"{len(tally.wrong)} with a wrong ruling, {len(tally.not_judged)} without a reward; statuses {tally.statuses}; "
        f"{killed[0]} processes with children and {killed[1]} without killed; at the end {memory:.1f} MiB, "
        f"{descriptors} descriptors; load {os.getloadavg()[0]:.1f}"
    )
    for line in [*tally.wrong[:5], *sorted(set(tally.not_judged))[:5]]:
        print(" ", line)
    return int(bool(tally.wrong) or len(tally.latencies) != len(messages))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "soak"])
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--concurrent", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill-every", type=float, default=0.3)
    parser.add_argument("--report", type=float, default=10.0)
    parser.add_argument("--profile", default="auto")
    options = parser.parse_args()
    options.concurrent = options.concurrent or {"speed": 64, "soak": 256}[options.what]
    return speed(options) if options.what == "speed" else soak(options)


if __name__ == "__main__":
    sys.exit(main())
