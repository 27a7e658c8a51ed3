"""Copies of attached models: each has gates of its own, and none is steered by another's."""

import copy
import pickle

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.moe.balancers import BIP, LossFree, NewtonBalancing, NoBalancer, Stack, SwitchLoss
from trimtab.moe.capacity import Capacity
from trimtab.moe.gates import Gates

RULES = [
    LossFree(bias_update_rate=0.05),
    NewtonBalancing(dither=1e-3),
    Stack(LossFree(bias_update_rate=0.05), SwitchLoss(coef=0.1, scope="global")),
    SwitchLoss(coef=0.1),
    BIP(),
]


def by_pickle(model, path):
    torch.save(model, path / "model.pt")
    return torch.load(path / "model.pt", weights_only=False)


COPIES = {
    "deepcopy": lambda model, _path: copy.deepcopy(model),
    "torch.save": by_pickle,
    "pickle": lambda model, _path: pickle.loads(pickle.dumps(model)),  # noqa: S301 - our own
    "average": lambda model, _path: AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9)).module,
    "reference": lambda model, _path: copy.deepcopy(model).eval().requires_grad_(False),
}


def logits(model, text):
    with torch.no_grad():
        return model.eval()(input_ids=text, use_cache=False).logits


@pytest.mark.parametrize(
    ("rule", "way"),
    [(rule, way) for rule in RULES for way in COPIES if way == "deepcopy" or not isinstance(rule, BIP)],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_copy_computes_what_the_original_did_and_goes_its_own_way(*, build, text, family, rule, way, step, tmp_path):
    model = build(family)
    gates = attach(model, balancer=rule, capacity=Capacity(eval_factor=1.25))
    step(model, gates, text)
    other = COPIES[way](model, tmp_path)
    before = logits(model, text)
    assert torch.equal(logits(other, text), before)
    biases = Gates.of(other).biases()
    for _ in range(2):
        step(model, gates, text.flip(0))
    assert torch.equal(logits(other, text), before)
    for layer, bias in Gates.of(other).biases().items():
        assert torch.equal(bias, biases[layer])
    if gates._attachment.balancer.has_bias:
        assert not torch.equal(logits(model, text), before)


@pytest.mark.parametrize("way", ["deepcopy", "torch.save"])
def test_gates_of_a_copy_count_learn_and_come_off(*, build, text, family, way, step, equal, tmp_path):
    """Trained alike, original and copy stay equal; trained apart, neither sees the other."""
    model = build(family)
    gates = attach(model, balancer=LossFree(bias_update_rate=0.05), capacity=Capacity(factor=1.25))
    step(model, gates, text)
    other = COPIES[way](model, tmp_path)
    others = Gates.of(other)
    assert others is not gates
    assert Gates.of(model) is gates
    mine, its = step(model, gates, text), step(other, others, text)
    equal(mine[0], its[0])
    equal(mine[1], its[1])
    equal(gates.biases(), others.biases())
    others.assert_active()
    held = gates.biases()
    step(other, others, text.flip(1))
    equal(gates.biases(), held)
    for router in others.routers:
        assert router.module in set(other.modules())
    others.detach()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in other.modules())
    with pytest.raises(ConfigurationError, match="nothing is attached"):
        Gates.of(other)
    attach(other, balancer=NoBalancer())
    step(model, gates, text)


def test_attaching_to_a_copy_says_where_its_gates_are(build, family):
    model = build(family)
    attach(model, balancer=NoBalancer())
    with pytest.raises(ConfigurationError, match="attached already") as caught:
        attach(copy.deepcopy(model), balancer=NoBalancer())
    assert "Gates.of(model)" in caught.value.hint


def test_an_average_of_weights_follows_the_weights_and_not_the_gates(build, text, family, step):
    """AveragedModel keeps buffers in step with those of the model: what it holds then is what it routes by."""
    model = build(family)
    gates = attach(model, balancer=LossFree(bias_update_rate=0.05))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=False)
    for _ in range(3):
        step(model, gates, text)
    own = Gates.of(average.module)
    assert all(not bias.any() for bias in own.biases().values())
    average.update_parameters(model)
    logits(average.module, text)
    for layer, bias in own.biases().items():
        assert torch.equal(bias, gates.biases()[layer])
    before = logits(average.module, text)
    step(model, gates, text)
    assert torch.equal(logits(average.module, text), before)


@pytest.mark.parametrize("part", ["model.layers.1", "model.layers", "model.layers.1.mlp"])
def test_a_part_copied_out_of_a_model_refuses_until_it_is_attached_to_again(build, text, family, part, step):
    model = build(family)
    gates = attach(model, balancer=LossFree(bias_update_rate=0.05))
    step(model, gates, text)
    other = copy.deepcopy(model.get_submodule(part))
    block = next(module for module in other.modules() if hasattr(module, "experts"))
    with pytest.raises(ConfigurationError, match="copied out of an attached model"):
        block(torch.zeros(1, 2, 32))
    fresh = build(family)
    fresh.set_submodule(part, other)
    with pytest.raises(ConfigurationError, match="copied out of an attached model"):
        logits(fresh, text)
    own = attach(fresh, balancer=LossFree(bias_update_rate=0.05))
    step(fresh, own, text)
    own.assert_active()


def test_a_copy_within_a_step_has_its_counts(build, text, equal):
    model = build("qwen3_moe").train()
    gates = attach(model, balancer=LossFree(bias_update_rate=0.05), accumulation=2)
    model(input_ids=text, labels=text).loss.backward()
    other = copy.deepcopy(model)
    equal(Gates.of(other).loads(), gates.loads())
    assert int(gates.loads()[1].sum()) == 2 * text.numel()


def test_a_bias_that_is_lent_for_a_call_does_not_stay(build, text, family, step, equal):
    """``functional_call`` puts other tensors in place while it runs, as for an average that is evaluated."""
    model = build(family)
    gates = attach(model, balancer=LossFree(bias_update_rate=0.02))
    step(model, gates, text)
    before, state = gates.biases(), gates.state_dict()
    lent = {name: torch.ones_like(buffer) for name, buffer in model.named_buffers() if "correction_bias" in name}
    assert len(lent) == 2
    with torch.no_grad():
        torch.func.functional_call(model.eval(), lent, (), {"input_ids": text})
    equal(gates.biases(), before)
    equal(gates.state_dict(), state)
