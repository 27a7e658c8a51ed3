"""CPU seconds and memory of `trimtab evidence check` and `index`, of this build beside another one, in one run.

Usage: python benchmarks/evidence_speed.py OTHER/src REPORT SOURCES [MARKDOWN]. OTHER/src is the source tree of another
build (`git worktree add`), REPORT a file, SOURCES a folder it is checked against, MARKDOWN a folder that is indexed.
Each build runs each command in a process of its own, this one first; its children count, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent.parent / "src"


def cost(tree: Path, arguments: list[str]) -> tuple[float, float, int]:
    """Return CPU seconds, MiB of the largest process, and the exit code of a command of the build in ``tree``."""
    program = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, done.returncode)\n"
        "sys.stderr.write(done.stderr.decode()[-400:] if done.returncode > 1 else '')"
    )
    command = [sys.executable, "-c", "from trimtab.cli.main import main; main()", *arguments]
    done = subprocess.run(
        [sys.executable, "-c", program, *command],
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=True,
    )
    sys.stderr.write(done.stderr)
    seconds, memory, code = done.stdout.split()
    return float(seconds), float(memory), int(code)


def compare(title: str, other: Path, arguments: list[str]) -> None:
    found = []
    for name, tree in (("this build", HERE), ("the other", other)):
        with tempfile.TemporaryDirectory() as folder:
            filled = [part.replace("{out}", folder) for part in arguments]
            seconds, memory, code = cost(tree, filled)
        found.append(seconds)
        print(f"{title:8} {name:10} {seconds:8.2f} CPU s {memory:8.0f} MiB, exit {code}", flush=True)
    print(f"{title:8} {found[0] / found[1]:.2f} times", flush=True)


def main() -> None:
    other, report, sources, *more = map(Path, sys.argv[1:])
    check = ["evidence", "check", str(report), "--sources", str(sources), "-o", "{out}/checked"]
    compare("check", other, check)
    for folder in more:
        compare("index", other, ["evidence", "index", str(folder), "-o", "{out}/corpus.sqlite"])


if __name__ == "__main__":
    main()
