"""The router z-loss against its definition."""

import torch

from trimtab.moe.balancers import behavior
from trimtab.settings.rules import RouterZLoss


def test_z_loss(route, context_of, draw):
    logits = draw()
    expected = 0.5 * (torch.exp(logits).sum(1).log() ** 2).mean()
    routing = route(logits)
    assert torch.allclose(behavior(RouterZLoss(coef=0.5)).penalty(routing, context_of(routing)), expected)
