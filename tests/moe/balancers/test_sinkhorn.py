"""Sinkhorn routing against Megatron's iteration, typed in."""

import pytest
import torch

from trimtab.moe.balancers import behavior
from trimtab.moe.routing import max_violation
from trimtab.settings.rules import Sinkhorn


def megatron(logits, rounds):
    """moe_utils.sinkhorn: alternate scalings of exp(logits), here for a number of rounds."""
    cost = torch.exp(logits)
    d0, d1 = torch.ones(cost.size(0), dtype=cost.dtype), torch.ones(cost.size(1), dtype=cost.dtype)
    for _ in range(rounds):
        d0 = (1 / d0.size(0)) * 1 / (torch.sum(d1 * cost, 1) + 1e-8)
        d1 = (1 / d1.size(0)) * 1 / (torch.sum(d0.unsqueeze(1) * cost, 0) + 1e-8)
    return d1 * cost * d0.unsqueeze(1)


@pytest.mark.parametrize("score_function", ["sigmoid", "softmax"])
def test_the_plan_is_megatrons(score_function, route, context_of, draw):
    routing = route(draw(skew=2.0).double(), score_function)
    rule = behavior(Sinkhorn(tolerance=1e-10, max_iterations=1000))
    seen = rule.select(routing.scores, torch.zeros(8), context_of(routing))
    expected = megatron(routing.logits, 1000)
    assert torch.allclose(seen.softmax(1), expected / expected.sum(1, keepdim=True), atol=1e-5)
    assert torch.equal(seen.topk(2).indices, expected.topk(2).indices)


def test_selection_is_far_more_even_than_plain_top_k(route, context_of, draw):
    routing = route(draw(1024, skew=3.0))
    seen = behavior(Sinkhorn()).select(routing.scores, torch.zeros(8), context_of(routing))
    balanced = max_violation(torch.bincount(seen.topk(2).indices.flatten(), minlength=8))
    assert balanced < 0.5 * max_violation(routing.load)


def test_large_logits_do_not_overflow(route, context_of, draw):
    routing = route(draw(skew=200.0), "softmax")
    assert behavior(Sinkhorn()).select(routing.scores, torch.zeros(8), context_of(routing)).isfinite().all()


def test_evaluation_is_plain_top_k(route, context_of, draw):
    routing = route(draw())
    seen = behavior(Sinkhorn()).select(routing.scores, torch.zeros(8), context_of(routing, training=False))
    assert torch.equal(seen, routing.scores)
