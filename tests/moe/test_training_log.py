"""What a Trainer's reporters are given of routing: names, means over steps, and how often."""
# ruff: noqa: ARG002 - callbacks have the arguments that transformers gives

import pytest
import torch
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.moe.trainer import TrimtabCallback
from trimtab.moe.training_log import RoutingLog, RoutingStatistics, per_layer, put_in_front, summary
from trimtab.settings.rules import LossFree, NoBalancer, SwitchLoss

RECORDS = [
    {"layer": layer, "max_violation": violation, "entropy": entropy, "drop_rate": 0.0, "dead_experts": dead,
     "bias_spread": 0.1 * layer, "unread_masks": 0, "own_loss": 0.0}
    for layer, violation, entropy, dead in ((1, 0.5, 0.9, 1), (3, 1.5, 0.7, 2))
]  # fmt: skip


class Rows(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        tokens = torch.randint(3, 64, (16,), generator=torch.Generator().manual_seed(index))
        return {"input_ids": tokens, "labels": tokens}


class Reporter(TrainerCallback):
    """Stands where those of TensorBoard and trackio do: in front of a user's callbacks."""

    def __init__(self):
        self.seen = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.seen.append((state.global_step, dict(logs)))


def test_worst_layers_are_not_averaged_away():
    numbers = summary(RECORDS)
    assert numbers["moe/max_violation"] == 1.0
    assert numbers["moe/max_violation_max"] == 1.5
    assert numbers["moe/entropy"] == pytest.approx(0.8)
    assert numbers["moe/entropy_min"] == 0.7
    assert numbers["moe/dead_experts"] == 3
    assert numbers["moe/bias_spread"] == pytest.approx(0.3)
    assert per_layer(RECORDS)["moe/layer_3/dead_experts"] == 2


def test_means_are_over_the_steps_since_the_last_record():
    statistics = RoutingStatistics(layers=False, every=2)
    statistics.add(RECORDS, 1.0)
    assert not statistics.take()
    statistics.add([{**record, "entropy": 0.5} for record in RECORDS], 3.0)
    numbers = statistics.take()
    assert numbers["moe/entropy"] == pytest.approx(0.65)
    assert numbers["moe/penalty"] == 2.0
    assert not any("layer_" in name for name in numbers)
    statistics.add([], 0.0)
    statistics.add([], 0.0)
    assert not statistics.take()  # steps that only replayed


def trained(build, tmp_path, *, balancer=None, steps=6, reporter=None, **options):
    model = build("qwen3_moe")
    gates = attach(model, balancer=balancer or LossFree(bias_update_rate=1e-2))
    callback = TrimtabCallback(gates, **options)
    arguments = TrainingArguments(
        str(tmp_path), per_device_train_batch_size=4, max_steps=steps, logging_steps=2, use_cpu=True, report_to=[],
        save_strategy="no", disable_tqdm=True, eval_strategy="steps", eval_steps=3, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = Trainer(
        model, arguments, train_dataset=Rows(), eval_dataset=Rows(), callbacks=[reporter or Reporter(), callback]
    )
    trainer.train()
    return trainer


def test_reporters_in_front_are_given_it(build, tmp_path):
    reporter = Reporter()
    trainer = trained(build, tmp_path, reporter=reporter)
    training = [(step, logs) for step, logs in reporter.seen if "loss" in logs]
    assert [step for step, _ in training] == [2, 4, 6]
    for _, logs in training:
        assert 0 < logs["moe/entropy"] <= 1
        assert {"moe/layer_1/max_violation", "moe/layer_2/bias_spread", "moe/dead_experts"} <= logs.keys()
    assert all(not any(name.startswith("moe/") for name in logs) for _, logs in reporter.seen if "loss" not in logs)
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["moe/entropy"] for entry in history] == [logs["moe/entropy"] for _, logs in training]


def test_the_penalty_and_the_frequency(build, tmp_path):
    trainer = trained(build, tmp_path, balancer=SwitchLoss(coef=0.1), log_layers=False, log_every=4)
    with_routing = [entry for entry in trainer.state.log_history if "moe/entropy" in entry]
    assert [entry["step"] for entry in with_routing] == [4]
    assert with_routing[0]["moe/penalty"] > 0.1
    assert not any("layer_" in name for entry in with_routing for name in entry)


def test_none_is_none(build, tmp_path):
    trainer = trained(build, tmp_path, log_every=0)
    assert not any(name.startswith("moe/") for entry in trainer.state.log_history for name in entry)


def test_a_negative_frequency_is_refused(build):
    with pytest.raises(ConfigurationError, match="log_every=-1"):
        TrimtabCallback(attach(build("qwen3_moe"), balancer=NoBalancer()), log_every=-1)


def test_outside_of_a_trainer_there_is_no_list():
    assert not put_in_front(RoutingLog(RoutingStatistics(layers=True, every=None)))
