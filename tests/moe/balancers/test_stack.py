"""A stack is its parts."""

import torch

from trimtab.moe.balancers import behavior
from trimtab.settings.rules import LossFree, PooledSwitchLoss, QuantileBalancing, RouterZLoss, Stack, SwitchLoss


def test_a_stack_adds_its_losses_and_moves_its_bias(route, context_of, draw):
    stack = behavior(
        Stack(LossFree(bias_update_rate=1e-2), SwitchLoss(coef=1e-4, scope="sequence"), RouterZLoss(coef=1e-3))
    )
    routing = route(draw())
    context = context_of(routing, torch.arange(64) // 16)
    parts = sum(loss.penalty(routing, context) for loss in stack.losses)
    assert torch.allclose(stack.penalty(routing, context), parts)
    bias = torch.zeros(8)
    assert torch.equal(stack.update(bias, routing.load, 3), stack.bias.update(bias, routing.load, 3))


def test_a_stack_observes_what_its_bias_rule_does(route, context_of, draw):
    stack, routing, state = behavior(Stack(QuantileBalancing(), RouterZLoss(coef=1e-3))), route(draw()), torch.zeros(8)
    seen = stack.observe(routing, state, context_of(routing))
    assert torch.equal(seen, stack.bias.observe(routing, state, context_of(routing)))
    assert torch.equal(stack.nothing(8), stack.bias.nothing(8))


def test_a_stack_needs_what_any_of_its_parts_needs():
    bias = behavior(LossFree(bias_update_rate=1e-2, freeze_at=0.5, total_steps=10))
    local = behavior(Stack(bias, SwitchLoss(coef=1.0, scope="micro")))
    whole = behavior(Stack(bias, RouterZLoss(coef=1.0), SwitchLoss(coef=1.0, scope="global")))
    pooled = behavior(Stack(bias, PooledSwitchLoss(coef=1.0)))
    assert [(s.counts_step, s.pools) for s in (local, whole, pooled)] == [(False, False), (True, False), (False, True)]
    assert (local.resting(5), local.resting(6)) == (False, True)
