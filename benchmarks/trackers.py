"""A recorded run in each tracker that is installed here, opened again: its losses are those of the log.

Trackers are no dependencies of trimtab: `pip install tensorboard wandb trackio mlflow`, then

    python benchmarks/trackers.py [NAME]

What was read back stands in ``benchmarks/results/trackers.json``.
"""

import importlib.metadata
import importlib.util
import json
import os
import sqlite3
import struct
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import torch

from trimtab.lm import models, tracking
from trimtab.lm.train import train
from trimtab.moe.attach import attach
from trimtab.settings.fresh_models import FreshModel
from trimtab.settings.rules import LossFree
from trimtab.settings.runs import Schedule

RESULTS = Path(__file__).parent / "results" / "trackers.json"


def batch_at(step):
    draw = torch.Generator().manual_seed(step)
    return SimpleNamespace(
        tokens=torch.randint(3, 64, (4, 16), generator=draw).numpy(),
        weights=torch.rand(4, 16, generator=draw).numpy(),
        positions=torch.arange(16).repeat(4, 1).numpy(),
    )


def tensorboard_losses(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    opened = EventAccumulator(str(folder / "cell"))
    opened.Reload()
    return [event.value for event in opened.Scalars("train/loss")]


def wandb_losses(folder):
    from wandb.proto import wandb_internal_pb2  # noqa: PLC0415

    losses = []
    for data in leveldb_records(next(folder.glob("wandb/*/*.wandb")).read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        losses += [
            float(item.value_json) for item in record.history.item if "train/loss" in (item.key, *item.nested_key)
        ]
    return losses


def leveldb_records(data):
    """Yield the records of a log in LevelDB's form: blocks of 32 KiB, in which a record may be cut into parts."""
    whole, place = b"", 7  # behind W&B's own header
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
        _, length, kind = struct.unpack_from("<IHB", data, place)
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in {1, 4}:  # a whole record, or the last part of one
            yield whole
            whole = b""


def trackio_losses(folder):
    with sqlite3.connect(next(folder.glob("trackio/*.db"))) as database:
        rows = database.execute("select metrics from metrics order by step").fetchall()
    return [record["train/loss"] for (text,) in rows if "train/loss" in (record := json.loads(text))]


def mlflow_losses(folder):
    from mlflow.tracking import MlflowClient  # noqa: PLC0415

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("small")
    run = client.search_runs([experiment.experiment_id])[0]
    return [metric.value for metric in client.get_metric_history(run.info.run_id, "train/loss")]


def main():
    for name in sys.argv[1:] or tracking.TRACKERS:
        if importlib.util.find_spec(name) is None:
            print(f"{name}: not installed here")
            continue
        place = Path(tempfile.mkdtemp())
        for variable in ("TRACKIO_DIR", "MLFLOW_TRACKING_URI"):
            os.environ.pop(variable, None)
        model = models.build(
            FreshModel(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
                       moe_intermediate_size=16, num_experts=4, max_position_embeddings=64),
            seed=0, vocab_size=64,
        )  # fmt: skip
        gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
        followed = tracking.Tracking(
            names=[name], project="small", run="cell", config={"training.steps": 5}, folder=place / "trackers"
        )
        train(model, gates, batch_at, Schedule(steps=5, warmup_steps=1), place, tracked=followed)
        due = [json.loads(line)["loss"] for line in (place / "train.jsonl").read_text().splitlines()]
        deadline = time.monotonic() + 30  # W&B's own process goes on writing after its run has been finished
        while len(shown := globals()[f"{name}_losses"](place / "trackers")) < len(due) and time.monotonic() < deadline:
            time.sleep(1)
        same = len(shown) == len(due) and all(abs(a - b) < 1e-6 * abs(b) for a, b in zip(shown, due, strict=True))
        print(f"{name} {importlib.metadata.version(name)}: {len(shown)} of {len(due)} losses read back, equal: {same}")
        if not same:
            raise SystemExit(1)
        RESULTS.parent.mkdir(exist_ok=True)
        record = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"command": "python benchmarks/trackers.py"}
        record[name] = {
            "version": importlib.metadata.version(name),
            "losses written": len(due),
            "read back": len(shown),
        }
        RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
