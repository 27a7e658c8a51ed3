"""Quantile Balancing against sorting, which is what others do, and against its theory."""

import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers import behavior
from trimtab.moe.routing import max_violation
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import QuantileBalancing


def sorted_update(scores, beta, top_k):
    """One step as published: β_j = (⌊KT/E⌋+1)-th largest of s_j − α, α_i = (K+1)-th largest of s_i − β."""
    tokens, experts = scores.shape
    alpha = (scores - beta).sort(1, descending=True).values[:, top_k, None]
    return (scores - alpha).sort(0, descending=True).values[tokens * top_k // experts]


def step(rule, bias, scores, route, context_of, top_k=2):
    routing = route(scores.logit(), top_k=top_k)
    return rule.update(bias, rule.observe(routing, bias, context_of(routing)), 1)


@pytest.mark.parametrize("top_k", [1, 2, 4])
@pytest.mark.parametrize("skew", [0.5, 3.0])
def test_a_step_is_the_sorted_one_to_an_eighth_of_the_correction(top_k, skew, route, context_of, draw):
    scores = draw(500, skew=skew).sigmoid()
    bias = torch.linspace(-0.1, 0.1, 8)
    ours = step(behavior(QuantileBalancing(centered=False)), bias, scores, route, context_of, top_k)
    exact = -sorted_update(scores, -bias, top_k)
    assert bool(((ours - exact).abs() <= (exact - bias).abs() / 8 + 2e-7).all())
    assert float((ours - bias).abs().max()) > 0.01


@pytest.mark.parametrize("skew", [1.0, 6.0])
def test_a_few_steps_balance_as_sorting_does(skew, route, context_of, draw):
    """Fixed scores, saturated at skew 6, where a sign rule with u = 1e-3 would need hundreds of steps."""
    scores = draw(2048, skew=skew).sigmoid()
    ours, exact = torch.zeros(8), torch.zeros(8)
    for _ in range(15):
        ours = step(behavior(QuantileBalancing()), ours, scores, route, context_of)
        exact = -sorted_update(scores, -exact, 2)
    found = [max_violation(torch.bincount((scores + b).topk(2).indices.flatten(), minlength=8)) for b in (ours, exact)]
    assert found[0] <= found[1] + 0.02
    assert found[0] < 0.05


def test_an_average_keeps_its_share_of_the_old_bias(route, context_of, draw):
    scores, bias = draw(300, skew=2.0).sigmoid(), torch.linspace(-0.1, 0.1, 8)
    whole = step(behavior(QuantileBalancing(centered=False)), bias, scores, route, context_of)
    slow = step(behavior(QuantileBalancing(ema=0.75, centered=False)), bias, scores, route, context_of)
    assert torch.allclose(slow, 0.75 * bias + 0.25 * whole, atol=1e-6)


def test_centering_changes_no_selection(route, context_of, draw):
    scores = draw(300, skew=2.0).sigmoid()
    plain = step(behavior(QuantileBalancing(centered=False)), torch.zeros(8), scores, route, context_of)
    centered = step(behavior(QuantileBalancing()), torch.zeros(8), scores, route, context_of)
    assert float(centered.mean()) == pytest.approx(0, abs=1e-7)
    assert torch.allclose(plain - plain.mean(), centered, atol=1e-6)


def test_a_correction_of_the_histogram_shrinks_with_itself(route, context_of, draw):
    """Its error is relative to the correction: at the fixed point of the sorted rule nothing is left to correct."""
    scores, beta = draw(2048).sigmoid(), torch.zeros(8)
    for _ in range(60):
        beta = sorted_update(scores, beta, 2)
    still = step(behavior(QuantileBalancing(centered=False)), -beta, scores, route, context_of)
    drift = sorted_update(scores, beta, 2)
    assert float((still + beta).abs().max()) <= float((drift - beta).abs().max()) * 9 / 8 + 2e-7


def test_what_it_does_not_know_is_refused(build):
    from trimtab.moe.attach import attach  # noqa: PLC0415 - only here

    with pytest.raises(ConfigurationError, match="groups"):
        attach(build("deepseek_v3"), balancer=QuantileBalancing())
    with pytest.raises(ConfigurationError, match="kept"):
        attach(build("qwen3_moe"), balancer=QuantileBalancing(), capacity=Capacity(load_signal="kept"))
