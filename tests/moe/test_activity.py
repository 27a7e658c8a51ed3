"""A balancer that does nothing is found out (torchtitan 3666, Automodel 3207, maxtext 2494)."""

import warnings
from contextlib import nullcontext

import pytest
import torch

from trimtab.errors import BalancerWarning, InactiveBalancerError
from trimtab.moe.attach import attach
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import BIP, LossFree, QuantileBalancing, RouterZLoss, SimBal, Stack, SwitchLoss

ACTIVE = [
    LossFree(bias_update_rate=1e-2),
    QuantileBalancing(),
    BIP(),
    SwitchLoss(coef=0.1),
    SimBal(coef=0.1),
    Stack(LossFree(bias_update_rate=1e-2), SwitchLoss(coef=0.1)),
]


@pytest.mark.parametrize("rule", ACTIVE, ids=repr)
@pytest.mark.parametrize("checkpointing", [None, {"use_reentrant": True}, {"use_reentrant": False}], ids=str)
def test_a_working_balancer_passes(build, text, step, rule, checkpointing):
    model = build("qwen3_moe")
    if checkpointing:
        model.gradient_checkpointing_enable(checkpointing)
    gates = attach(model, balancer=rule, accumulation=2)
    for _ in range(4):
        step(model, gates, text, accumulation=2)
    gates.assert_active()


def test_before_any_update_nothing_is_shown(build):
    gates = attach(build("qwen3_moe"), balancer=LossFree(bias_update_rate=1e-2))
    with pytest.raises(InactiveBalancerError, match="not been updated"):
        gates.assert_active()


def test_a_bias_fed_with_flat_counts_is_pointed_out(build, text, step):
    """What padding to capacity does to a bias that counts kept calls: every expert looks exactly full."""
    model = build("glm4_moe")
    limits = Capacity(factor=0.05, load_signal="kept")
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2), capacity=limits)
    for _ in range(2):
        step(model, gates, text)
    with pytest.warns(BalancerWarning, match="did not move"):
        step(model, gates, text)
    with pytest.raises(InactiveBalancerError, match="bias did not move"):
        gates.assert_active()


def test_a_loss_without_a_backward_pass_is_pointed_out(build, text):
    model = build("qwen3_moe")
    gates = attach(model, balancer=RouterZLoss(coef=0.1))
    model.train()
    for number in range(3):
        model(input_ids=text, use_cache=False)
        with pytest.warns(BalancerWarning, match="reached no weight") if number == 2 else nullcontext():
            gates.update()
    with pytest.raises(InactiveBalancerError, match="reached no weight"):
        gates.assert_active()


def test_a_coefficient_that_counts_twice_is_pointed_out(build, text):
    model = build("qwen3_moe")
    gates = attach(model, balancer=RouterZLoss(coef=0.1))
    model.train()
    loss = model(input_ids=text, labels=text, use_cache=False).loss
    loss.backward(retain_graph=True)
    loss.backward()
    gates.update()
    with pytest.raises(InactiveBalancerError, match="counted 2 times"):
        gates.assert_active()


def test_a_model_left_in_evaluation_mode_is_pointed_out(build, text):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    model(input_ids=text, labels=text).loss.backward()
    gates.update()
    with pytest.raises(InactiveBalancerError, match="training mode"):
        gates.assert_active()


def test_a_bias_at_rest_and_a_single_idle_step_raise_no_warning(build, text, step):
    model = build("qwen3_moe")
    rule = LossFree(bias_update_rate=1e-2, freeze_at=0.5, total_steps=2)
    gates = attach(model, balancer=rule)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(5):
            step(model, gates, text)
    gates.assert_active()
    assert torch.equal(gates.biases()[1].abs().max(), torch.tensor(1e-2))
