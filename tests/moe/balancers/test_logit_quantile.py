"""Megatron's and marin's forms of Quantile Balancing, against worked examples and versions in NumPy."""

import dataclasses

import numpy as np
import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers import behavior
from trimtab.moe.balancers.logit_quantile import largest
from trimtab.settings.rules import MarinQuantileBalancing, MegatronQuantileBalancing

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


def observed(rule, logits, bias, parts, route, context_of):
    routings = [route(part) for part in logits.split(parts)]
    return sum((rule.observe(r, bias, context_of(r)) for r in routings), rule.nothing(logits.shape[1]))


@pytest.mark.parametrize(
    ("ema", "expected"), [(0.0, [0.43, 0.635, -0.555, -0.51]), (0.9, [0.313, 0.0635, -0.1455, -0.231])]
)
def test_megatrons_worked_example(ema, expected, route, context_of):
    """Two micro-batches of four tokens, top-2 of four; beta before is 0.3, 0, -0.1, -0.2."""
    rule, bias = behavior(MegatronQuantileBalancing(ema=ema)), torch.tensor([-0.3, 0.0, 0.1, 0.2])
    routing = route(LOGITS)
    chosen = rule.select(routing.scores, bias, context_of(routing)).topk(2).indices.sort(1).values
    assert chosen.tolist() == [[0, 1], [0, 2], [1, 3], [0, 1], [0, 1], [1, 3], [1, 2], [0, 1]]
    first = rule.observe(route(LOGITS[:4]), bias, context_of(route(LOGITS[:4])))
    second = rule.observe(route(LOGITS[4:]), bias, context_of(route(LOGITS[4:])))
    assert first.tolist() == pytest.approx([0.41, 0.40, -0.10, -0.97, 1], abs=1e-6)
    assert second.tolist() == pytest.approx([0.30, 0.72, -1.16, -0.20, 1], abs=1e-6)
    after = rule.update(bias, first + second, 1)
    assert (-after).tolist() == pytest.approx(expected, abs=1e-6)


def test_cutting_the_same_tokens_otherwise_gives_another_bias(route, context_of):
    rule, bias = behavior(MegatronQuantileBalancing()), torch.tensor([-0.3, 0.0, 0.1, 0.2])
    pooled = rule.update(bias, observed(rule, LOGITS, bias, 8, route, context_of), 1)
    assert (-pooled).tolist() == pytest.approx([0.215, 0.525, -0.295, -0.445], abs=1e-6)
    # Margins of two experts for four tokens: what pairs of them are put together decides the mean of quantiles.
    margins = torch.tensor([[100.0, 0.0], [99.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    pairs = [[[0, 1], [2, 3]], [[0, 2], [1, 3]]]
    means = [torch.stack([largest(margins[rows], 1) for rows in part]).mean(0).tolist() for part in pairs]
    assert means == [[50.0, 1.0], [99.5, 1.5]]
    assert largest(margins, 2).tolist() == [99.0, 1.0]


def test_marins_worked_example(route, context_of):
    """Two devices of four tokens."""
    rule, bias = behavior(MarinQuantileBalancing()), torch.tensor([-0.3, 0.0, 0.1, 0.2])
    seen = [rule.observe(route(part), bias, context_of(route(part))) for part in LOGITS.split(4)]
    assert seen[0].tolist() == pytest.approx([0.57, 1.87, -0.10, -0.25, 1], abs=1e-6)
    assert seen[1].tolist() == pytest.approx([1.81, 1.01, -0.17, -0.20, 1], abs=1e-6)
    after = rule.update(bias, seen[0] + seen[1], 1)
    assert after.tolist() == pytest.approx([-0.6225, -0.8725, 0.7025, 0.7925], abs=1e-6)


def test_solving_one_batch_by_turns_can_stall_short_of_balance(route, context_of):
    """Kimi K3's report, Alg. 1: alternating between tokens and experts stops at loads 5, 4, 3, 4."""
    rule, bias = behavior(MegatronQuantileBalancing()), torch.zeros(4)
    loads = []
    for _ in range(6):
        bias = rule.update(bias, observed(rule, LOGITS, bias, 8, route, context_of), 1)
        loads.append(torch.bincount((LOGITS + bias).topk(2).indices.flatten(), minlength=4).tolist())
    assert loads == [[5, 4, 3, 4]] * 6
    limit = torch.tensor([0.67, 0.92, 0.0, -0.15])
    assert torch.allclose(-bias, limit - limit.mean(), atol=1e-6)


@pytest.mark.parametrize("kind", [MegatronQuantileBalancing, MarinQuantileBalancing])
@pytest.mark.parametrize("tokens", [1, 3, 37])
def test_any_number_of_tokens(kind, tokens, route, context_of, draw):
    """Ranks are rounded down where E does not divide TK: Megatron asserts that it does."""
    logits, rule, bias = draw(tokens), behavior(kind()), torch.linspace(-0.2, 0.3, 8)
    biased = logits.numpy() + bias.numpy()
    margins = np.sort(logits.numpy() - np.sort(biased, 1)[:, -3:-2], 0)[::-1]
    share = tokens * 2 // 8
    rank = share + 1 if kind is MegatronQuantileBalancing else max(1, share)
    seen = rule.observe(route(logits), bias, context_of(route(logits)))
    assert np.allclose(seen[:8].numpy(), margins[rank - 1], atol=1e-6)


def test_logits_are_needed(route, context_of, draw):
    routing = route(draw())
    without = dataclasses.replace(context_of(routing), logits=None)
    with pytest.raises(ConfigurationError, match="ranks logits"):
        behavior(MarinQuantileBalancing()).select(routing.scores, torch.zeros(8), without)
