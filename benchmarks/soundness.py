"""Find anew which problems of the published benchmarks are unsound, and write the file that comes with the package.

    python benchmarks/soundness.py [humaneval mbpp-plus …] [--check]

With ``--check`` nothing is written, and what differs from the file is named. BigCodeBench-Lite Pro is left out: its
references need packages that a machine may not have.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from trimtab.codeeval import benchmark_registry, problems, soundness
from trimtab.codeeval.packages import packages
from trimtab.sandbox.broker import Sandbox

FILE = Path(soundness.__file__).with_name("soundness.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    usual = [name for name in benchmark_registry.BENCHMARKS if "bigcode" not in name]
    parser.add_argument("benchmarks", nargs="*", default=usual)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    for name in options.benchmarks:
        benchmark = problems.load(name)
        with Sandbox(workers=2, packages=packages(benchmark.problems)) as box:
            found = soundness.published([benchmark], box, lambda *_: None)
        differ = {key: tasks for key, tasks in found.items() if kept.get(key) != tasks}
        print(
            f"{name}: {sum(map(len, found.values()))} unsound, {'differs' if differ else 'as in the file'}", flush=True
        )
        kept |= found
        if not options.check:
            FILE.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        elif differ:
            sys.exit(json.dumps(differ, indent=1))


if __name__ == "__main__":
    main()
