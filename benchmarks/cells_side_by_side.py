"""Eight tiny cells on one worker and on two: CPU seconds, seconds of the clock, largest memory of a process.

The study is that of beyond_one_machine.py with one seed; its texts are made before, by a run that is not counted.

    python benchmarks/cells_side_by_side.py

Writes ``results/cells_side_by_side.json``.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from beyond_one_machine import STUDY
from recording import write


def run(study, place, workers, *, cells=None):
    """Run a study, or some of its cells; return what it took."""
    verb = (
        ["run", str(study), "-j", str(workers), "--no-report"]
        if cells is None
        else ["work", str(study), "--cells", "1"]
    )
    command = [sys.executable, "-P", "-m", "trimtab", *verb, "-o", str(place)]
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(verb)} ended with {status}")
    return {
        "workers": workers,
        "CPU s": round(used.ru_utime + used.ru_stime, 1),
        "wall s": round(time.monotonic() - begin, 1),
        "MiB of the largest process": round(used.ru_maxrss / 1024),
    }


def main():
    found = []
    with tempfile.TemporaryDirectory() as place:
        os.environ["TRIMTAB_CACHE"] = str(Path(place) / "cache")
        study = Path(place) / "study.toml"
        study.write_text(STUDY.replace("seed = [0, 1, 2]", "seed = [0]"), encoding="utf-8")
        run(study, Path(place) / "before", 1, cells=1)
        for workers in (1, 2):
            found.append(run(study, Path(place) / f"on-{workers}", workers))
            print(found[-1], flush=True)
    write("cells_side_by_side", found, note=f"load {os.getloadavg()[0]:.0f}")


if __name__ == "__main__":
    main()
