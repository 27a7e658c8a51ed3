"""How cost grows: a run folder of 10,000 cells, and a study on up to 1,000 nodes that fail.

The folder is written as a study would have left it, with known effects and no training; `plan`, `status` and `table`
then run as a user runs them, and their CPU seconds and largest memory are read from the kernel. The schedule is
simulated from the CPU seconds of finished cells: each node takes the next cell, nodes fail at random and come back, a
cell goes on from its newest checkpoint. Prints Markdown tables.

    python benchmarks/scaling.py [--cells 10000] [--units 60] [--timings RUN_FOLDER]
"""

import argparse
import heapq
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recording import write

SYNTHETIC = Path(__file__).parents[1] / "tests" / "synthetic.py"
CHECKPOINT_S, REPAIR_S, NOTICE_S = 60.0, 600.0, 120.0


def write_folder(place, cells, units):
    location = importlib.util.spec_from_file_location("synthetic", SYNTHETIC)
    synthetic = importlib.util.module_from_spec(location)
    sys.modules["synthetic"] = synthetic
    location.loader.exec_module(synthetic)
    study = synthetic.Synthetic(seeds=cells // 8, units=units)
    study.write(place)
    return study


def cost(verb, place):
    """Return wall and CPU seconds and the largest resident memory in MiB of a verb over a run folder."""
    command = [sys.executable, "-P", "-m", "trimtab", verb, str(place)]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{verb} ended with {status}")
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def simulate(durations, nodes, mean_between_failures_s, seed=0):
    """Return the makespan and the share of node time lost, in a list schedule with failures.

    A node that fails loses what its cell did since its last checkpoint; the cell waits until the loss is noticed, then
    goes to the next free node; the node comes back after its repair.
    """
    draw = random.Random(seed)
    waiting = [(0.0, number, left) for number, left in enumerate(durations)]
    heapq.heapify(waiting)
    free = [(0.0, node) for node in range(nodes)]
    heapq.heapify(free)
    end = lost = busy = 0.0
    failures = 0
    while waiting:
        ready, number, left = heapq.heappop(waiting)
        now, node = heapq.heappop(free)
        now = max(now, ready)
        until_failure = draw.expovariate(1 / mean_between_failures_s)
        if until_failure >= left:
            end, busy = max(end, now + left), busy + left
            heapq.heappush(free, (now + left, node))
            continue
        failures += 1
        kept = until_failure // CHECKPOINT_S * CHECKPOINT_S
        lost, busy = lost + until_failure - kept, busy + until_failure
        heapq.heappush(waiting, (now + until_failure + NOTICE_S, number, left - kept))
        heapq.heappush(free, (now + until_failure + REPAIR_S, node))
    return end, lost / busy, failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--units", type=int, default=60)
    parser.add_argument("--timings", type=Path)
    arguments = parser.parse_args()
    folders = []
    print(f"load {os.getloadavg()[0]:.1f}\n")
    print("| cells | verb | CPU s | wall s | MiB |\n|---|---|---|---|---|", flush=True)
    for cells in (arguments.cells // 10, arguments.cells):
        with tempfile.TemporaryDirectory() as place:
            write_folder(Path(place) / "run", cells, arguments.units)
            # The second table has the counts of the first.
            for verb in ("plan", "status", "table", "table again", "report"):
                wall, cpu, peak = cost(verb.split()[0], Path(place) / "run")
                print(f"| {cells:,} | `{verb}` | {cpu:.1f} | {wall:.1f} | {peak:.0f} |", flush=True)
                folders.append({"cells": cells, "verb": verb, "CPU s": round(cpu, 2), "MiB": round(peak)})
                write("scaling", {"units an endpoint": arguments.units, "folders": folders})
    if arguments.timings:
        print_schedule(arguments.timings, arguments.cells)


def print_schedule(folder, cells):
    """Print how long a study of measured cells, each made 60 times longer, takes on more and more nodes."""
    stages = [json.loads(path.read_text())["stages"] for path in folder.glob("cells/*/timing.json")]
    measured = [sum(stage["cpu_s"] for stage in each.values()) for each in stages]
    draw = random.Random(0)
    durations = [60 * draw.choice(measured) for _ in range(cells)]
    print(f"\n{len(measured)} measured cells of {min(measured):.1f} to {max(measured):.1f} CPU s, each 60 times longer")
    print("\n| nodes | no failures, h | each node fails once a day, h | failures | work lost | of the ideal |")
    print("|---|---|---|---|---|---|")
    for nodes in (1, 2, 10, 100, 1000):
        whole, _, _ = simulate(durations, nodes, 1e15)
        end, lost, failures = simulate(durations, nodes, 86_400.0)
        ideal = sum(durations) / nodes / end
        print(f"| {nodes:,} | {whole / 3600:.2f} | {end / 3600:.2f} | {failures:,} | {lost:.2%} | {ideal:.0%} |")


if __name__ == "__main__":
    main()
