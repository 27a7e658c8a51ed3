"""The training loop: exact resume, invariance to accumulation, divergence as an outcome."""

import dataclasses
import json
from types import SimpleNamespace

import pytest
import torch

from trimtab.errors import RunFolderError
from trimtab.lm import checkpoint, models
from trimtab.lm.train import train, weighted_loss
from trimtab.settings.fresh_models import FreshModel
from trimtab.settings.runs import Schedule

SIZE = FreshModel(
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=48,
    moe_intermediate_size=16,
    num_experts=4,
    max_position_embeddings=64,
)


class Biases:
    """A balancer reduced to what the loop touches: a tensor that moves once a step."""

    def __init__(self):
        self.value = torch.zeros(4)

    def update(self):
        self.value = self.value + 0.01

    def penalty(self):
        return torch.zeros(())

    def metrics(self):
        return [{"layer": 1, "bias_spread": float(self.value.max())}]

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


def batch_at(step, rows=4):
    generator = torch.Generator().manual_seed(step)
    tokens = torch.randint(3, 64, (rows, 16), generator=generator)
    weights = torch.rand(rows, 16, generator=generator)
    positions = torch.arange(16).repeat(rows, 1)
    return SimpleNamespace(tokens=tokens.numpy(), weights=weights.numpy(), positions=positions.numpy())


def run(folder, steps=6, batches=batch_at, preset="sigmoid", **settings):
    folder.mkdir(exist_ok=True)
    torch.manual_seed(7)
    model, gates = models.build(dataclasses.replace(SIZE, preset=preset), seed=0, vocab_size=64), Biases()
    schedule = Schedule(steps=steps, warmup_steps=2, checkpoint_every=2, **settings)
    return train(model, gates, batches, schedule, folder), model, gates


class KilledError(Exception):
    """Stands for a kill: nothing after it runs."""


@pytest.mark.parametrize("preset", ["sigmoid", "softmax"])
@pytest.mark.parametrize("killed_at", [1, 3, 5])
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, killed_at, preset):
    def killing(step):
        if step == killed_at:
            raise KilledError
        return batch_at(step)

    _, whole, _ = run(tmp_path / "whole", preset=preset)
    with pytest.raises(KilledError):
        run(tmp_path / "cut", batches=killing, preset=preset)
    outcome, resumed, gates = run(tmp_path / "cut", preset=preset)
    assert outcome.steps == 6
    assert outcome.tokens == 6 * 64
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    assert torch.allclose(gates.value, torch.full((4,), 0.06))
    logs = [(tmp_path / folder / "train.jsonl").read_bytes() for folder in ("whole", "cut")]
    assert logs[0] == logs[1]
    assert [json.loads(line)["step"] for line in logs[0].splitlines()] == [1, 2, 3, 4, 5, 6]


def test_accumulation_changes_nothing_but_memory(tmp_path):
    logs = []
    for accumulation in (1, 2, 4):
        folder = tmp_path / str(accumulation)
        run(folder, steps=3, accumulation=accumulation)
        logs.append([json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()])
    for one, *others in zip(*logs, strict=True):
        for other in others:
            assert other["loss"] == pytest.approx(one["loss"], rel=1e-5)
            assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)


def test_a_loss_that_is_not_finite_ends_the_run_as_an_outcome(tmp_path):
    def poisoned(step):
        batch = batch_at(step)
        if step == 4:
            batch.weights[:] = float("nan")
        return batch

    outcome, model, gates = run(tmp_path, batches=poisoned)
    assert (outcome.diverged, outcome.steps) == (True, 4)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert torch.allclose(gates.value, torch.full((4,), 0.03))  # the skipped step moved no bias
    assert len((tmp_path / "train.jsonl").read_text().splitlines()) == 3


def test_an_unreadable_checkpoint_is_named(tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "step-0000002.safetensors").write_bytes(b"torn")
    with pytest.raises(RunFolderError, match="step-0000002"):
        checkpoint.latest(folder)


def test_an_unfinished_checkpoint_is_not_taken_for_one(tmp_path):
    state = checkpoint.Checkpoint(step=4, tokens=9, tensors={"x": torch.ones(2)})
    checkpoint.save(tmp_path, state)
    (tmp_path / "step-0000006.tmp").write_bytes(b"half")
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert (found.step, found.tokens) == (4, 9)
    assert checkpoint.latest(tmp_path / "none") is None


def test_weighted_loss_is_the_sum_over_predicted_tokens():
    logits, tokens = torch.randn(2, 5, 7), torch.randint(0, 7, (2, 5))
    weights = torch.rand(2, 5)
    expected = sum(
        weights[b, s] * -torch.log_softmax(logits[b, s - 1], -1)[tokens[b, s]] for b in range(2) for s in range(1, 5)
    )
    assert torch.allclose(weighted_loss(logits, tokens, weights), expected)


def test_texts_packed_into_a_row_do_not_see_each_other():
    model = models.build(SIZE, seed=0, vocab_size=64).eval()
    one, two = torch.randint(3, 64, (1, 6)), torch.randint(3, 64, (1, 5))
    positions = torch.cat([torch.arange(6), torch.arange(5)])[None]
    with torch.inference_mode():
        packed = model(input_ids=torch.cat([one, two], 1), position_ids=positions, use_cache=False).logits
        alone = [model(input_ids=text).logits for text in (one, two)]
    assert torch.allclose(packed, torch.cat(alone, 1), atol=1e-5)


def test_the_schedule_warms_up_and_decays():
    schedule = Schedule(steps=100, warmup_steps=10, learning_rate=1.0, decay_fraction=0.5)
    rates = [schedule.learning_rate_at(step) for step in (1, 10, 50, 51, 76, 100)]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 1.0, 0.5, 0.02])
