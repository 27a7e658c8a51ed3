"""Kimi K3's histogram form of Quantile Balancing, against worked examples and exact quantiles."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers import behavior
from trimtab.moe.balancers.kimi_quantile import bounds, histogram, quantile
from trimtab.moe.simulate import engine, names
from trimtab.moe.simulate.streams import Shape
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import KimiQuantileBalancing

LOGITS = torch.tensor(
    [
        [2.14, -0.04, -0.54, -0.69],
        [1.23, 0.82, 1.32, -1.12],
        [0.49, 2.9, 0.15, 0.68],
        [0.08, 1.38, -0.59, -1.46],
        [1.94, 0.13, -0.69, -0.72],
        [0.76, 1.47, -0.86, 0.34],
        [0.22, 2.18, 0.02, -1.13],
        [2.01, 0.92, -0.96, -0.0],
    ]
)
BEFORE = torch.tensor([-0.0503, 0.0011, 0.0217, 0.0275])
START = torch.tensor([-1.0, 1.0])
EIGHT_BINS = [
    [0, 2, 1, 5, 0, 0, 0, 0],
    [0, 0, 3, 4, 1, 0, 0, 0],
    [0, 0, 0, 2, 4, 2, 0, 0],
    [0, 0, 0, 1, 5, 2, 0, 0],
]


def margins_of(logits):
    scores = logits.sigmoid()
    return (scores + BEFORE).topk(3).values[:, -1:] - scores


def centred(values):
    return values - values.mean()


def test_the_worked_example_in_eight_bins_and_in_a_thousand():
    counts = histogram(margins_of(LOGITS), START, 8)
    assert counts.tolist() == EIGHT_BINS
    share = torch.full((4,), 4.0)
    after = centred(quantile(counts, share, START))
    assert after.tolist() == pytest.approx([-0.171875, -0.159375, 0.153125, 0.178125], abs=1e-6)
    assert bounds(after).tolist() == pytest.approx([-1.171875, 1.178125], abs=1e-6)
    fine = centred(quantile(histogram(margins_of(LOGITS), START, 1000), share, START))
    assert fine.tolist() == pytest.approx([-0.0678333333, -0.1278333333, 0.0935, 0.1021666667], abs=1e-6)
    exact = torch.tensor([-0.0684091712, -0.1281215484, 0.0949453147, 0.101585405])
    assert float((fine - exact).abs().max()) < 2 / 1000


def test_a_share_that_is_a_fraction():
    """Seven tokens of text and one of padding: 3.5 calls an expert (torchtitan's form)."""
    counts = histogram(margins_of(LOGITS[:7]), START, 1000)
    after = centred(quantile(counts, torch.full((4,), 3.5), START))
    assert after.tolist() == pytest.approx([-0.028, -0.15, 0.072, 0.106], abs=1e-6)
    assert bounds(after).tolist() == pytest.approx([-1.15, 1.106], abs=1e-6)


def test_a_step_from_no_bias_is_that_example_and_what_follows_keeps_to_the_exact_quantile(route, context_of, draw):
    rule, bias = behavior(KimiQuantileBalancing()), torch.zeros(8)
    assert bounds(bias).tolist() == [-1, 1]
    for step in range(1, 6):
        routing = route(draw(64, seed=step))
        scores = routing.scores.double().numpy()
        beaten = np.sort(scores + bias.double().numpy(), 1)[:, -3:-2]
        exact = np.sort(beaten - scores, 0)[15]  # the 16th smallest of 64, which is 64 · 2 / 8
        width = float(bias.max() - bias.min() + 2) / 1000
        bias = rule.update(bias, rule.observe(routing, bias, context_of(routing)), step)
        assert np.abs(bias.numpy() - (exact - exact.mean())).max() < 2 * width


def test_every_margin_lies_between_the_bounds(route, draw):
    bias = torch.tensor([-3.0, 0.2, 0.0, 2.0, 0.1, -0.4, 0.0, 1.0])
    scores = draw(256, skew=4.0).sigmoid()
    margins = (scores + bias).topk(3).values[:, -1:] - scores
    low, high = bounds(bias).tolist()
    assert low < float(margins.min()) <= float(margins.max()) < high
    assert int(histogram(margins, bounds(bias), 50).sum()) == 256 * 8


def test_no_tokens_change_nothing():
    rule, bias = behavior(KimiQuantileBalancing()), torch.tensor([0.1, -0.1, 0.0, 0.0])
    assert torch.equal(rule.update(bias, rule.nothing(4), 1), bias)


def test_scores_without_a_bound_are_refused_in_training_and_in_the_simulator():
    rule = behavior(KimiQuantileBalancing())
    router = SimpleNamespace(
        name="gate",
        score_function="sqrtsoftplus",
        num_experts=8,
        num_experts_per_tok=2,
        weight=torch.zeros(8, 4),
        renormalize=True,
        groups=None,
    )
    with pytest.raises(ConfigurationError, match=r"gate has .*softplus scores"):
        rule.check(router, Capacity())
    arm = engine.SimulatedArm(name="x", balancer=KimiQuantileBalancing())
    with pytest.raises(ConfigurationError, match="softplus scores"):
        engine.run(names.stream("relay"), Shape(tokens=32), [arm], seeds=[0], steps=2)
