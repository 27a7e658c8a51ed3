"""When biases move in a loop, and when they rest."""

import copy

import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.moe.stepping import finite
from trimtab.settings.rules import LossFree, SwitchLoss

RULE = LossFree(bias_update_rate=1e-2)


@pytest.fixture
def attached(build, family):
    model = build(family)
    gates = attach(model, balancer=RULE)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    return model.train(), gates, optimizer


def backward(model, tokens, parts=1):
    for rows in tokens.chunk(parts):
        (model(input_ids=rows, labels=rows, use_cache=False).loss / parts).backward()


def test_torchtitan_1304_accumulated_micro_batches_are_one_update(attached, text, build, family, equal):
    """An update per backward pass moved the bias once per micro-batch."""
    model, gates, optimizer = attached
    handle = gates.update_after(optimizer)
    backward(model, text, parts=4)
    assert gates.steps == 0
    optimizer.step()
    assert gates.steps == 1
    by_hand = build(family).train()
    other = attach(by_hand, balancer=RULE)
    backward(by_hand, text)
    other.update()
    equal(gates.biases(), other.biases())
    assert all(float(bias.abs().max()) == pytest.approx(1e-2) for bias in gates.biases().values())
    handle.remove()
    backward(model, text)
    optimizer.step()
    assert gates.steps == 1


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_step_with_a_non_finite_gradient_moves_no_bias(attached, text, bad, equal):
    model, gates, optimizer = attached
    gates.update_after(optimizer)
    backward(model, text)
    optimizer.step()
    optimizer.zero_grad()
    before = copy.deepcopy(gates.state_dict())
    weights = copy.deepcopy(model.state_dict())
    backward(model, text)
    model.lm_head.weight.grad[3, 5] = bad
    optimizer.step()
    equal(gates.state_dict(), before)
    model.load_state_dict(weights)
    optimizer.zero_grad()
    backward(model, text)
    assert sum(int(load.sum()) for load in gates.loads().values()) == 2 * text.numel() * 2
    optimizer.step()
    assert gates.steps == 2


def test_finite_asks_about_gradients_alone():
    one, other = torch.nn.Parameter(torch.full((2,), torch.nan)), torch.nn.Parameter(torch.ones(2))
    assert finite([])
    assert finite([one])
    other.grad = torch.tensor([1.0, 65504.0]) * 1e30
    assert finite([one, other])
    other.grad = torch.tensor([1.0, -torch.inf])
    assert not finite([one, other])


def test_torchtitan_3686_one_frozen_layer_freezes_no_other(attached, text):
    model, gates, optimizer = attached
    gates.update_after(optimizer)
    gates.freeze([1])
    for _ in range(2):
        backward(model, text)
        optimizer.step()
    biases = gates.biases()
    assert not biases[1].any()
    assert float(biases[2].abs().max()) == pytest.approx(2e-2)
    assert gates.metrics()[0]["max_violation"] > 0  # it is still watched
    gates.unfreeze([1])
    backward(model, text)
    optimizer.step()
    assert float(gates.biases()[1].abs().max()) == pytest.approx(1e-2)


def test_megatron_4785_a_frozen_router_keeps_its_bias_unless_told_otherwise(attached, text, equal):
    """The bias of a frozen base went on drifting under adapters."""
    model, gates, _ = attached
    backward(model, text)
    gates.update()
    for router in gates.routers:
        router.module.get_parameter(router.weight_name).requires_grad_(False)
    before = gates.biases()
    assert any(bias.any() for bias in before.values())
    backward(model, text)
    gates.update()
    equal(gates.biases(), before)
    gates.unfreeze()
    backward(model, text)
    gates.update()
    assert all(not torch.equal(bias, before[layer]) for layer, bias in gates.biases().items())
    gates.freeze()
    before = gates.biases()
    backward(model, text)
    gates.update()
    equal(gates.biases(), before)
    assert gates.frozen == {1: True, 2: True}


def test_a_frozen_bias_goes_on_choosing(attached, text):
    model, gates, _ = attached
    for _ in range(20):
        backward(model, text)
        gates.update()
    with torch.no_grad():
        before = model.eval()(input_ids=text).logits
        gates.freeze()
        assert torch.equal(model(input_ids=text).logits, before)
        gates.detach()
        plain = model(input_ids=text).logits
    assert torch.equal(plain, before) == gates.routers[0].native_bias


def test_a_layer_without_a_router_is_refused_and_nothing_is_frozen(attached):
    _, gates, _ = attached
    with pytest.raises(ConfigurationError, match="no router in layer 0") as caught:
        gates.freeze([1, 0])
    assert "[1, 2]" in caught.value.hint
    assert gates.frozen == {}


def test_a_short_last_step_is_accepted_when_it_is_announced_and_never_a_long_one(build, text, family):
    model = build(family).train()
    gates = attach(model, balancer=SwitchLoss(coef=0.1, scope="micro"), accumulation=3)
    backward(model, text, parts=2)
    with pytest.raises(ConfigurationError, match="2 micro-batches"):
        gates.update()
    gates.update(short=True)
    backward(model, text, parts=4)
    with pytest.raises(ConfigurationError, match="4 micro-batches"):
        gates.update(short=True)
