"""Trackers follow a training with its own numbers, change none of its bytes, and are refused by name when missing."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from trimtab.errors import ConfigurationError, TrimtabError
from trimtab.lm import models, tracking
from trimtab.lm.train import train
from trimtab.moe.attach import attach
from trimtab.settings.rules import LossFree
from trimtab.settings.runs import Schedule

location = importlib.util.spec_from_file_location("test_train", Path(__file__).with_name("test_train.py"))
loop = importlib.util.module_from_spec(location)
location.loader.exec_module(loop)


def run(folder, tracked=None):
    folder.mkdir()
    model = models.build(loop.SIZE, seed=0, vocab_size=64)
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    train(model, gates, loop.batch_at, Schedule(steps=3, warmup_steps=1), folder, tracked=tracked)
    return (folder / "train.jsonl").read_bytes()


def test_tensorboard_shows_the_numbers_of_the_log_and_the_log_is_the_same_without_it(tmp_path):
    followed = tracking.Tracking(
        names=["tensorboard"], project="small", run="cell", config={"training.steps": 3}, folder=tmp_path / "trackers"
    )
    log = run(tmp_path / "followed", followed)
    assert log == run(tmp_path / "alone")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    opened = EventAccumulator(str(tmp_path / "trackers" / "cell"))
    opened.Reload()
    lines = [json.loads(line) for line in log.splitlines()]
    for name in ("loss", "grad_norm", "lr", "tokens"):
        shown = [(event.step, event.value) for event in opened.Scalars(f"train/{name}")]
        assert shown == [(line["step"], pytest.approx(line[name], rel=1e-6)) for line in lines]
    worst = [event.value for event in opened.Scalars("moe/max_violation_max")]
    assert worst == pytest.approx([max(layer["max_violation"] for layer in line["layers"]) for line in lines])


@pytest.mark.parametrize("name", ["mlflow", "tensorboard", "trackio", "wandb"])
def test_a_tracker_that_is_missing_is_named_with_the_command_that_installs_it(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(TrimtabError, match=f"tracker '{name}' is not installed") as caught:
        tracking.require([name])
    assert caught.value.hint == f"pip install {name}"


def test_a_tracker_nobody_knows_is_refused_with_the_nearest():
    with pytest.raises(ConfigurationError, match="did you mean 'tensorboard'"):
        tracking.require(["tensorbord"])
