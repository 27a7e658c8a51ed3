"""The training step of the tiny study beside that of an older build: tokens a CPU second, and the same losses.

Each build is a process of its own that trains the first cell of studies/tiny.toml by the study's own loop, on one
thread: metrics, log and checkpoints included. The two take turns of a few steps. What comes before the first step is
left out, and so are the first two turns.

    git archive COMMIT | tar -x -C OLD
    python benchmarks/training_step.py --old OLD/src --commit COMMIT [--steps 100] [--turn 5]

Writes ``results/training_step.json``.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from recording import write
from side_by_side import Build, Turns, compare

TINY = Path(__file__).parents[1] / "studies" / "tiny.toml"


def worker(folder, cache, steps, turn):
    """Train, a turn at a time."""
    from dataclasses import replace  # noqa: PLC0415 - in the build that PYTHONPATH names

    from trimtab.lm import train as training  # noqa: PLC0415
    from trimtab.study import spec, stages  # noqa: PLC0415

    study = spec.load(TINY)
    cell = next(iter(study.cells()))
    record = {"study": study.name, "factors": dict(cell.factors), "settings": dict(cell.settings)}
    bench = stages.prepare(record, cache)
    turns = Turns(bench.tokens_of_step * turn)
    training.train(
        bench.model,
        bench.gates,
        lambda step: bench.corpus.batch(bench.seed, step),
        replace(bench.training, steps=steps),
        folder,
        on_step=lambda step: None if step % turn else turns.over(),
    )


def main():
    if sys.argv[1:2] == ["--worker"]:
        folder, cache, steps, turn = sys.argv[2:]
        return worker(Path(folder), Path(cache), int(steps), int(turn))
    parser = argparse.ArgumentParser()
    parser.add_argument("--old", type=Path, required=True)
    parser.add_argument("--commit", required=True, help="of the older build, to be written down")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--turn", type=int, default=5)
    parser.add_argument("--cache", type=Path, help="folder of the tokenized text; by default made anew")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        cache = arguments.cache or Path(place) / "cache"
        builds = []
        folders = [Path(place) / name for name in ("new", "old")]
        for folder, source in zip(folders, (Path(__file__).parents[1] / "src", arguments.old), strict=True):
            folder.mkdir()
            builds.append(Build(__file__, source, folder, cache, arguments.steps, arguments.turn))
        found = compare(*builds, arguments.steps // arguments.turn, 2)
        logs = [(folder / "train.jsonl").read_text().splitlines() for folder in folders]
        losses = [[json.loads(line)["loss"] for line in log] for log in logs]
    found |= {
        "steps": len(losses[0]),
        "older build": arguments.commit,
        "asked": 1.4,
        "largest difference of a loss": max(abs(one - other) for one, other in zip(*losses, strict=True)),
    }
    print(json.dumps(found, indent=1))
    write("training_step", found)
    return None


if __name__ == "__main__":
    main()
