"""Do all published reference solutions pass, at every tier? Those that do not are named.

    python benchmarks/sandbox_references.py [humaneval mbpp-plus …] [--tiers ABC] [--seconds 400] [--out FOLDER]

Tier B is the one that ``auto`` finds behind a filter that refuses namespaces, as containers have it, and tier C the one
it finds where Landlock is refused as well; each tier runs in a process of its own. What is done is kept in ``--out``, a
verdict at a time, and a second call goes on from there.
"""

from __future__ import annotations

import argparse
import errno
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.codeeval import problems
from trimtab.codeeval.judge import Sample, judge
from trimtab.disk import LineLog
from trimtab.sandbox import filters, kernel
from trimtab.sandbox.broker import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.codeeval.problem import Benchmark

SETS = ("humaneval", "humaneval-plus", "humaneval-pro", "mbpp-full", "mbpp-sanitized", "mbpp-378", "mbpp-pro",
        "mbpp-plus")  # fmt: skip
NAMESPACES = {"x86_64": [272, 165, 155, 308], "aarch64": [97, 40, 41, 268]}  # unshare, mount, pivot_root, setns
LANDLOCK = (444, 445, 446)


def refuse(tier: str) -> None:
    """Refuse this process and all that it starts the calls that a better tier than ``tier`` needs."""
    calls = {number: filters._refuse(errno.EPERM) for number in NAMESPACES[kernel.MACHINE]}  # noqa: SLF001
    if tier == "C":
        calls |= {number: filters._refuse(errno.ENOSYS) for number in LANDLOCK}  # noqa: SLF001
    kernel.no_new_privileges()
    kernel.Filter(filters._assemble(kernel.MACHINE, calls, filters._PASS)).load()  # noqa: SLF001


def samples(benchmark: Benchmark, there: set[str], until: float) -> Iterator[Sample]:
    for problem in benchmark.problems:
        if time.monotonic() > until:
            return
        if problem.task_id not in there:
            yield Sample(task_id=problem.task_id, sample_index=0, completion=problem.canonical_solution)


def one_tier(tier: str, names: list[str], out: Path, seconds: float) -> None:
    if tier != "A":
        refuse(tier)
    until = time.monotonic() + seconds
    with Sandbox(workers=2) as box:
        if box.attestation["tier"] != tier:
            sys.exit(f"tier {box.attestation['tier']} was found, not {tier}")
        for name in names:
            benchmark = problems.load(name)
            with LineLog(out / f"{name}-{tier}.jsonl") as log:
                records = log.records
                there = {record["task_id"] for record in records}
                for verdict in judge(samples(benchmark, there, until), benchmark.problems, box):
                    row = {"task_id": verdict.task_id, "outcome": str(verdict.raw), "detail": verdict.detail}
                    records.append({**row, "cpu_s": verdict.cpu_s, "memory_mib": verdict.memory_mib})
                    log.append(records[-1])
            passed = sum(record["outcome"] == "passed" for record in records)
            cpu = sum(record["cpu_s"] for record in records)
            done = f"{len(records)} of {len(benchmark.problems)} run"
            print(f"tier {tier} {name:16} {passed:4} passed, {done}, {cpu:.1f} CPU s in programs", flush=True)
            for record in records:
                if record["outcome"] != "passed":
                    print(f"    {record['task_id']}: {record['outcome']}: {record['detail'][:200]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmarks", nargs="*", default=[name for name in SETS if "plus" not in name])
    parser.add_argument("--tiers", default="ABC")
    parser.add_argument("--seconds", type=float, default=400.0)
    parser.add_argument("--out", type=Path, default=Path("runs/references"))
    options = parser.parse_args()
    if len(options.tiers) == 1:
        one_tier(options.tiers, options.benchmarks, options.out, options.seconds)
        return
    until = time.monotonic() + options.seconds
    for tier in options.tiers:
        left = ["--seconds", str(max(0.0, until - time.monotonic())), "--out", str(options.out), "--tiers", tier]
        subprocess.run([sys.executable, __file__, *options.benchmarks, *left], check=True)


if __name__ == "__main__":
    main()
