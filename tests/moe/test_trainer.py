"""Training with transformers' Trainer itself."""
# ruff: noqa: ARG002 - callbacks have the arguments that transformers gives

from contextlib import nullcontext

import pytest
import torch
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

import trimtab
from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.moe.trainer import TrimtabCallback
from trimtab.settings.rules import LossFree, Stack, SwitchLoss

RULE = LossFree(bias_update_rate=1e-2, schedule="inv_sqrt")


class Rows(Dataset):
    """24 rows of 16 tokens."""

    def __init__(self, length=24):
        self.tokens = torch.randint(3, 64, (length, 16), generator=torch.Generator().manual_seed(2))

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, index):
        return {"input_ids": self.tokens[index], "labels": self.tokens[index]}


class Steps(TrainerCallback):
    """Notes the biases and calls of each step; comes after the gates' callback."""

    def __init__(self, gates):
        self.gates, self.biases, self.counts = gates, [], []

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        self.counts.append(self.gates.loads())

    def on_step_end(self, args, state, control, **kwargs):
        self.biases.append(self.gates.biases())


class Poison(TrainerCallback):
    """Makes the gradient of one step NaN, and the weights good again after it."""

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        if state.global_step == 1:
            self.kept = {name: tensor.clone() for name, tensor in kwargs["model"].state_dict().items()}
            kwargs["model"].lm_head.weight.grad[0, 0] = torch.nan

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 2:
            kwargs["model"].load_state_dict(self.kept)


def arguments(folder, **changes):
    settings = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "max_steps": 4,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "optim": "sgd",
        "use_cpu": True,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "seed": 3,
        "dataloader_pin_memory": False,
    }
    return TrainingArguments(**settings | changes)


@pytest.fixture
def train(build, family, tmp_path):
    def run(*, balancer=RULE, accumulation=1, resume=None, others=(), rows=24, **changes):
        model = build(family)
        gates = attach(model, balancer=balancer, accumulation=accumulation)
        steps = Steps(gates)
        settings = arguments(tmp_path, gradient_accumulation_steps=accumulation, **changes)
        trainer = Trainer(
            model,
            settings,
            train_dataset=Rows(rows),
            eval_dataset=Rows(8),
            callbacks=[*others, TrimtabCallback(gates), steps],
        )
        saves = changes.get("save_strategy", "no") != "no" and gates.balancer.has_bias and family == "qwen3_moe"
        with pytest.warns(UserWarning, match="from_pretrained alone") if saves else nullcontext():
            trainer.train(resume_from_checkpoint=resume)
        return model, gates, steps

    return run


def test_torchtitan_1304_a_step_is_one_update_however_it_is_accumulated(train, equal):
    _, whole, steps = train()
    _, parts, other = train(accumulation=4, per_device_train_batch_size=1)
    assert whole.steps == parts.steps == 4
    for one, two in zip(steps.counts, other.counts, strict=True):
        assert all(int(load.sum()) == 4 * 16 * 2 for load in one.values())
        equal(one, two)
    equal(whole.biases(), parts.biases())
    assert all(float(bias.abs().max()) > 1e-2 for bias in whole.biases().values())


def test_torchtitan_4148_validation_tokens_leave_the_bias_alone(train, equal):
    _, without, _ = train()
    _, evaluated, _ = train(eval_strategy="steps", eval_steps=1)
    equal(without.state_dict(), evaluated.state_dict())


def test_a_step_with_a_non_finite_gradient_moves_no_bias(train, equal):
    _, gates, steps = train(others=[Poison()])
    equal(steps.biases[1], steps.biases[0])
    assert all(not torch.equal(bias, steps.biases[1][layer]) for layer, bias in steps.biases[2].items())
    assert gates.steps == 3


def test_torchtitan_1222_a_resumed_run_is_the_run_that_never_stopped(train, tmp_path, equal):
    _, straight, _ = train(save_strategy="steps", save_steps=2, save_only_model=False)
    model, gates = trimtab.load(tmp_path / "checkpoint-2")
    assert (gates.steps, gates.balancer) == (2, RULE)
    assert model.model.layers[1].mlp.gate.e_score_correction_bias.any()
    _, resumed, steps = train(
        save_strategy="steps", save_steps=2, save_only_model=False, resume=str(tmp_path / "checkpoint-2")
    )
    assert len(steps.biases) == 2
    equal(resumed.state_dict(), straight.state_dict())


def test_transformers_48690_the_penalty_does_not_grow_with_accumulation(train, close):
    """Its coefficient was scaled together with the loss by num_items_in_batch."""
    stack = Stack(LossFree(bias_update_rate=1e-2), SwitchLoss(coef=0.5, scope="sequence"))
    whole, gates, _ = train(balancer=stack, max_steps=2)
    parts, other, _ = train(balancer=stack, max_steps=2, accumulation=4, per_device_train_batch_size=1)
    assert float(gates.penalty()) == pytest.approx(float(other.penalty()), rel=1e-4)
    close(dict(whole.named_parameters()), dict(parts.named_parameters()))


def test_the_last_step_of_an_epoch_may_be_short(train):
    rule = SwitchLoss(coef=0.1, scope="micro")
    _, gates, steps = train(balancer=rule, accumulation=4, rows=24, max_steps=-1, num_train_epochs=1)
    assert gates.steps == 2  # 6 micro-batches: 4 and 2
    assert [int(load.sum()) for counts in steps.counts for load in counts.values()] == [512, 512, 256, 256]


def test_another_accumulation_than_attached_is_refused_before_the_first_step(build, tmp_path):
    model = build("qwen3_moe")
    gates = attach(model, balancer=SwitchLoss(coef=0.1, scope="micro"))
    settings = arguments(tmp_path, gradient_accumulation_steps=4)
    trainer = Trainer(model, settings, train_dataset=Rows(), callbacks=[TrimtabCallback(gates)])
    with pytest.raises(ConfigurationError, match="count 4 times") as caught:
        trainer.train()
    assert "accumulation=4" in caught.value.hint
    assert gates.steps == 0


class Scaler:
    """As much of a gradient scaler as an optimizer shows; half precision on a CPU has none."""

    def get_scale(self):
        return 1024.0


class Scaled:
    """An optimizer as accelerate wraps it."""

    scaler = Scaler()
    step_was_skipped = True


def test_a_gradient_scaler_is_heard(build, text, equal):
    model = build("qwen3_moe").train()
    gates = attach(model, balancer=RULE)
    callback = TrimtabCallback(gates)
    callback.on_step_begin(None, None, None, model=model, optimizer=Scaled())
    assert gates.loss_scale == 1024.0
    model(input_ids=text, labels=text).loss.backward()
    before = gates.biases()
    callback.on_optimizer_step(None, None, None, model=model, optimizer=Scaled())
    equal(gates.biases(), before)
    assert gates.steps == 0


def test_a_checkpoint_of_another_run_is_not_resumed_from(build, text, tmp_path, step):
    """Resuming from elsewhere, while the output folder has a checkpoint of the same number."""
    model = build("glm4_moe")
    gates = attach(model, balancer=RULE)
    step(model, gates, text)
    gates.save_pretrained(tmp_path / "checkpoint-7")
    TrimtabCallback(gates)._resume(arguments(tmp_path), 7)
    assert gates.steps == 1
    step(model, gates, text)
    with pytest.raises(ConfigurationError, match="checkpoint-7 are not those"):
        TrimtabCallback(gates)._resume(arguments(tmp_path), 7)
    gates.save_pretrained(tmp_path / "other")
    told = arguments(tmp_path, resume_from_checkpoint=str(tmp_path / "other"))
    TrimtabCallback(gates)._resume(told, 7)
    assert gates.steps == 2


def test_resuming_from_a_checkpoint_without_gates_warns(build, tmp_path):
    gates = attach(build("qwen3_moe"), balancer=RULE)
    with pytest.warns(UserWarning, match="checkpoint-7 has no trimtab_config.json"):
        TrimtabCallback(gates)._resume(arguments(tmp_path), 7)
