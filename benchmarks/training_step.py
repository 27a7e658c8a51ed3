"""The training step of the tiny study beside that of an older build: tokens a CPU second, and the same losses.

Each build is a process of its own that trains the first cell of studies/tiny.toml by the study's own loop, on one
thread: metrics, log and checkpoints included. The two take turns of a few steps, so a busy machine touches both alike.
What comes before the first step is left out, and so are the first steps.

    git archive COMMIT | tar -x -C OLD && python benchmarks/training_step.py --old OLD/src [--steps 100] [--turn 5]

Writes ``results/training_step.json``.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recording import write

TINY = Path(__file__).parents[1] / "studies" / "tiny.toml"
WARM_TURNS = 2


def worker(folder, cache, steps, turn):
    """Train, and wait for a line of input before each turn; print the CPU seconds of each."""
    from dataclasses import replace  # noqa: PLC0415 - in the build that PYTHONPATH names

    from trimtab.lm import train as training  # noqa: PLC0415
    from trimtab.study import spec, stages  # noqa: PLC0415

    study = spec.load(TINY)
    cell = next(iter(study.cells()))
    record = {"study": study.name, "factors": dict(cell.factors), "settings": dict(cell.settings)}
    bench = stages.prepare(record, cache)
    begin = [0.0]

    def on_step(step):
        if step % turn == 0:
            print(json.dumps(time.process_time() - begin[0]), flush=True)
            sys.stdin.readline()
            begin[0] = time.process_time()

    print(json.dumps(bench.tokens_of_step), flush=True)
    sys.stdin.readline()
    begin[0] = time.process_time()
    schedule = replace(bench.training, steps=steps)
    training.train(
        bench.model, bench.gates, lambda step: bench.corpus.batch(bench.seed, step), schedule, folder, on_step=on_step
    )


class Build:
    """A worker on the code of one build."""

    def __init__(self, source, place, cache, steps, turn):
        self.folder = place
        place.mkdir()
        command = [sys.executable, __file__, "--worker", str(place), str(cache), str(steps), str(turn)]
        environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.tokens = self.heard()
        self.seconds = []

    def heard(self):
        """Return the next line that is a number; others are what libraries print."""
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit(f"a worker ended with {self.process.wait()}")
            try:
                return float(line)
            except ValueError:
                continue

    def go(self):
        """Let it take a turn."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.seconds.append(self.heard())

    def losses(self):
        """Return the loss of each step."""
        return [json.loads(line)["loss"] for line in (self.folder / "train.jsonl").read_text().splitlines()]


def main():
    if sys.argv[1:2] == ["--worker"]:
        folder, cache, steps, turn = sys.argv[2:]
        return worker(Path(folder), Path(cache), int(steps), int(turn))
    parser = argparse.ArgumentParser()
    parser.add_argument("--old", type=Path, required=True)
    parser.add_argument("--commit", default="", help="of the older build, to be written down")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--turn", type=int, default=5)
    parser.add_argument("--cache", type=Path, help="folder of the tokenized text; by default made anew")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        cache = arguments.cache or Path(place) / "cache"
        new, old = (
            Build(source, Path(place) / name, cache, arguments.steps, arguments.turn)
            for name, source in (("new", Path(__file__).parents[1] / "src"), ("old", arguments.old))
        )
        for number in range(arguments.steps // arguments.turn):
            for build in (new, old) if number % 2 else (old, new):
                build.go()
        for build in (new, old):
            build.process.stdin.close()
            build.process.wait()
        worst = max(abs(one - other) for one, other in zip(new.losses(), old.losses(), strict=True))
    ratios = [before / now for now, before in zip(new.seconds, old.seconds, strict=True)][WARM_TURNS:]
    low, middle, high = statistics.quantiles(ratios, n=4)
    rates = [build.tokens * arguments.turn / statistics.median(build.seconds[WARM_TURNS:]) for build in (new, old)]
    found = {
        "steps": arguments.steps,
        "old build": arguments.commit,
        "tokens a CPU second, now": round(rates[0]),
        "tokens a CPU second, older build": round(rates[1]),
        "ratio": round(middle, 3),
        "quartiles of the ratio": [round(low, 3), round(high, 3)],
        "asked": 1.4,
        "largest difference of a loss": worst,
    }
    print(json.dumps(found, indent=1))
    write("training_step", found)
    return None


if __name__ == "__main__":
    main()
