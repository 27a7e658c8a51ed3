"""The auxiliary loss, against Megatron's and transformers' formulas."""

import dataclasses

import pytest
import torch
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from trimtab.moe.balancers import behavior
from trimtab.moe.routing import Routing
from trimtab.settings.rules import SwitchLoss


@pytest.mark.parametrize("score_function", ["sigmoid", "softmax"])
@pytest.mark.parametrize("top_k", [1, 2, 4])
def test_switch_loss_is_one_at_balance(score_function, top_k, context_of):
    logits = torch.zeros(64, 8)
    experts = (torch.arange(64)[:, None] + torch.arange(top_k)) % 8
    routing = Routing(logits=logits, experts=experts, weights=torch.ones(64, top_k), score_function=score_function)
    for scope in ("sequence", "micro", "global"):
        value = behavior(SwitchLoss(coef=0.5, scope=scope)).penalty(routing, context_of(routing, torch.arange(64) // 8))
        assert float(value) == pytest.approx(0.5)


def test_switch_loss_is_megatrons_formula(route, context_of, draw):
    logits = draw()
    routing = route(logits, "softmax", top_k=2)
    # switch_load_balancing_loss_func: sum(probs summed over tokens * tokens per expert) * E coeff / (k T T)
    aggregated, counts = logits.softmax(-1).sum(0), torch.bincount(routing.experts.flatten(), minlength=8)
    megatron = (aggregated * counts).sum() * (8 * 0.01 / (2 * 64 * 64))
    assert torch.allclose(behavior(SwitchLoss(coef=0.01)).penalty(routing, context_of(routing)), megatron)


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_switch_loss_is_transformers_over_k_for_one_layer(top_k, route, context_of, draw):
    logits = draw(seed=3)
    routing = route(logits, "softmax", top_k)
    theirs = load_balancing_loss_func((logits,), num_experts=8, top_k=top_k)
    assert torch.allclose(behavior(SwitchLoss(coef=1.0)).penalty(routing, context_of(routing)) * top_k, theirs)


def test_collapsed_layers_do_not_cancel_as_they_do_pooled(route, context_of):
    """transformers pools layers: two layers collapsed on different experts look balanced to it."""
    collapsed = [torch.full((64, 8), -20.0) for _ in range(4)]
    for layer, logits in enumerate(collapsed):
        logits[:, 2 * layer : 2 * layer + 2] = 20.0
    pooled = float(load_balancing_loss_func(tuple(collapsed), num_experts=8, top_k=2))
    per_layer = [
        behavior(SwitchLoss(coef=1.0)).penalty(r, context_of(r)) for r in (route(c, "softmax") for c in collapsed)
    ]
    assert pooled == pytest.approx(2.0)  # what it gives for perfect balance
    assert [float(value) for value in per_layer] == pytest.approx([4.0] * 4)


def test_sequence_scope_is_the_mean_of_each_sequence_alone(route, context_of, draw):
    logits = draw(48, seed=2)
    sequence = torch.tensor([0] * 8 + [1] * 16 + [2] * 24)
    whole = route(logits)
    alone = [route(logits[sequence == s]) for s in range(3)]
    micro = [behavior(SwitchLoss(coef=1.0)).penalty(r, context_of(r)) for r in alone]
    value = behavior(SwitchLoss(coef=1.0, scope="sequence")).penalty(whole, context_of(whole, sequence))
    assert torch.allclose(value, torch.stack(micro).mean())


def test_scopes_agree_for_one_sequence_in_one_micro_batch(route, context_of, draw):
    routing = route(draw())
    context = context_of(routing, torch.zeros(64, dtype=torch.int64))
    values = [
        behavior(SwitchLoss(coef=1.0, scope=s)).penalty(routing, context) for s in ("sequence", "micro", "global")
    ]
    assert torch.allclose(values[0], values[1])
    assert torch.allclose(values[1], values[2])


def test_global_scope_takes_its_shares_from_the_step_so_far(route, context_of, draw):
    routing = route(draw())
    so_far = torch.tensor([100, 0, 0, 0, 0, 0, 0, 28])
    value = behavior(SwitchLoss(coef=1.0, scope="global")).penalty(routing, context_of(routing, load_so_far=so_far))
    mean_score = (routing.scores / routing.scores.sum(1, keepdim=True)).mean(0)
    assert float(value) == pytest.approx(float(8 * (so_far / 128 * mean_score).sum()), rel=1e-5)


def test_a_gradient_step_on_the_switch_loss_lowers_the_load_of_the_busiest(route, context_of, draw):
    logits = draw(skew=2.0).requires_grad_()
    routing = route(logits)
    (gradient,) = torch.autograd.grad(behavior(SwitchLoss(coef=1.0)).penalty(routing, context_of(routing)), logits)
    busiest, idlest = int(routing.load.argmax()), int(routing.load.argmin())
    assert gradient[:, busiest].sum() > 0 > gradient[:, idlest].sum()


def test_sequence_loss_is_deepseek_v3s(route, context_of, draw):
    """arXiv 2412.19437, Eq. 17 to 20, typed in term by term; two sequences."""
    logits, sequence = draw(32), torch.arange(32) // 16
    routing = route(logits)
    expected = 0.0
    for part in logits.split(16):
        scores = part.sigmoid()
        chosen = torch.zeros_like(scores).scatter_(1, scores.topk(2).indices, 1.0)
        for expert in range(8):
            f = 8 / (2 * 16) * chosen[:, expert].sum()
            p = (scores[:, expert] / scores.sum(1)).mean()
            expected += 1e-4 * float(f * p) / 2
    value = behavior(SwitchLoss(coef=1e-4, scope="sequence")).penalty(routing, context_of(routing, sequence))
    assert float(value) == pytest.approx(expected, rel=1e-5)


# Trinity's sequence loss (arXiv 2602.17004, Eq. 29 to 32) for one sequence of eight tokens, worked out in float64.
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


@pytest.mark.parametrize(("count", "expected"), [("selection", 9.895828361e-05), ("scores", 1.2185349126e-04)])
@pytest.mark.parametrize("scope", ["sequence", "micro"])
def test_beside_a_bias_trinity_counts_the_selection_and_deepseek_the_scores(count, expected, scope, route, context_of):
    routing = route(LOGITS)
    biased = (routing.scores + torch.tensor([-0.3, -0.1, 0.1, 0.3])).topk(2).indices
    context = dataclasses.replace(context_of(routing, torch.zeros(8, dtype=torch.int64)), selection=biased)
    value = behavior(SwitchLoss(coef=1e-4, scope=scope, count=count)).penalty(routing, context)
    assert float(value) == pytest.approx(expected, rel=1e-6)


def test_without_a_bias_both_counts_are_one(route, context_of, draw):
    routing = route(draw())
    context = context_of(routing, torch.arange(64) // 16)
    values = [
        behavior(SwitchLoss(coef=1.0, scope="sequence", count=count)).penalty(routing, context)
        for count in ("scores", "selection")
    ]
    assert torch.equal(*values)
