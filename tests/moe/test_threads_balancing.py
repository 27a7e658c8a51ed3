"""One test a thread: what went wrong elsewhere with balancing and capacity, named after where it was reported."""

import pytest
import torch

from trimtab.moe.attach import attach
from trimtab.moe.capacity import keep, room
from trimtab.moe.routing import load
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import LossFree, NoBalancer, QuantileBalancing, Stack, SwitchLoss


def test_megatron_1513_the_loss_does_not_see_the_capacity(build, text):
    """f counted after drops understated the loss by about 30 %."""
    penalties = []
    for limits in (None, Capacity(factor=0.5)):
        model = build("qwen3_moe")
        model.train()
        gates = attach(model, balancer=SwitchLoss(coef=1.0), capacity=limits)
        model(input_ids=text, use_cache=False).logits.sum().backward()
        penalties.append(float(gates._gates[0].penalty))  # of the first layer, whose input is the same
    assert penalties[0] == pytest.approx(penalties[1], rel=1e-6)


@pytest.mark.parametrize("tokens", [0, 1, 3, 8])
@pytest.mark.parametrize("factor", [0.1, 1.0, 6.0])
def test_megatron_2214_more_room_than_tokens_and_hardly_any_tokens(tokens, factor):
    """C·K > E, T < C, T = 1, T = 0: "selected index k out of range"."""
    weights, experts = torch.rand(tokens, 4, generator=torch.Generator().manual_seed(0)).topk(2)
    slots = room(factor, tokens=tokens, num_experts=4, num_experts_per_tok=2)
    kept = keep(experts, weights, None, slots=slots)
    expected = torch.bincount(experts.flatten(), minlength=4).clamp(max=slots).sum()
    assert (2 * tokens if kept is None else int(kept.sum())) == int(expected)


@pytest.mark.parametrize("policy", ["probs", "position", "random", "batch_priority"])
@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.25, 2.0])
def test_deepspeed_7986_and_1658_every_policy_fills_every_expert_it_can(policy, factor):
    """Negative logits made ``probs`` keep 0.001 experts a token; another policy crashed without a flag."""
    logits = torch.randn(96, 8, generator=torch.Generator().manual_seed(0)) - 6.0
    weights, experts = logits.sigmoid().topk(2)
    slots = room(factor, tokens=96, num_experts=8, num_experts_per_tok=2)
    kept = keep(experts, weights, None, slots=slots, drop_policy=policy, generator=torch.Generator().manual_seed(0))
    served = experts.flatten() if kept is None else experts[kept]
    assert torch.equal(torch.bincount(served, minlength=8), load(experts, 8).clamp(max=slots))


def test_transformers_45441_a_negative_bias_opens_no_masked_group(build, text):
    model = build("deepseek_v3")
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    router = gates.routers[0]
    scores = torch.rand(50, 8, generator=torch.Generator().manual_seed(0)) - 5.0  # as a strongly negative bias leaves
    groups = router.choose(scores) // 4
    assert torch.equal(groups[:, 0], groups[:, 1])
    with torch.no_grad():
        router.module.e_score_correction_bias -= 5.0
        seen = []
        router.module.register_forward_hook(lambda _module, _args, output: seen.append(output[2]))
        model.eval()(input_ids=text)
    assert torch.equal(seen[0][:, 0] // 4, seen[0][:, 1] // 4)


@pytest.mark.parametrize("rule", [LossFree(bias_update_rate=0.01), QuantileBalancing(centered=False)], ids=repr)
def test_torchtitan_1506_recentring_changes_no_selection(rule):
    scores = torch.rand(64, 8, generator=torch.Generator().manual_seed(0))
    bias = torch.randn(8, generator=torch.Generator().manual_seed(1)) / 10
    plain, centered = scores + bias, scores + (bias - bias.mean())
    assert torch.equal(plain.topk(2).indices, centered.topk(2).indices)


@pytest.mark.parametrize("kwargs", [{"use_reentrant": True}, {"use_reentrant": False}], ids=str)
def test_torchtitan_3146_ties_are_broken_in_recomputation_as_before(build, text, family, step, close, kwargs):
    """Equal router rows, a capacity that drops: every choice is a tie."""
    results = []
    for checkpointing in (None, kwargs):
        model = build(family)
        if checkpointing:
            model.gradient_checkpointing_enable(checkpointing)
        gates = attach(model, balancer=SwitchLoss(coef=0.1), capacity=Capacity(factor=1.0, reroute=True))
        for router in gates.routers:
            torch.nn.init.constant_(router.weight, 0.01)
        results.append(step(model, gates, text))
    assert all(torch.equal(results[0][0][layer], results[1][0][layer]) for layer in results[0][0])
    close(results[0][1], results[1][1])


def test_torchtitan_2450_deterministic_algorithms_run_without_nan(build, text, step):
    torch.use_deterministic_algorithms(True)
    try:
        model = build("qwen3_moe")
        stack = Stack(QuantileBalancing(), SwitchLoss(coef=0.1, scope="sequence"))
        gates = attach(model, balancer=stack, capacity=Capacity(factor=1.0, reroute=True))
        _, gradients = step(model, gates, text)
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    assert all(bias.isfinite().all() for bias in gates.biases().values())


def test_transformers_48690_the_coefficient_does_not_grow_with_accumulation(build, text, step, close):
    same, found = text[:1].repeat(4, 1), []
    for accumulation in (1, 4):
        model = build("qwen3_moe")
        gates = attach(model, balancer=SwitchLoss(coef=1.0, scope="micro"), accumulation=accumulation)
        found.append(step(model, gates, same, accumulation)[1])
    close(*found)


def test_qwen_2501_11873_the_global_gradient_is_that_of_the_counts_so_far(build, text):
    """Σ_e f_e·∂P_e with f of all micro-batches up to this one; nothing else is minimized here."""
    model = build("qwen3_moe")
    model.train()
    gates = attach(model, balancer=SwitchLoss(coef=1.0, scope="global"), accumulation=2)
    for rows in text.split(2):
        (0 * model(input_ids=rows, use_cache=False).logits.sum()).backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    gates.detach()
    model.zero_grad()
    seen, counts = {}, {}
    for router in gates.routers:
        router.module.register_forward_hook(
            lambda _module, _args, output, layer=router.layer: seen.update({layer: output})
        )
    for rows in text.split(2):
        model(input_ids=rows, use_cache=False)
        total = 0.0
        for layer, (logits, _, experts) in seen.items():
            counts[layer] = counts.get(layer, 0) + torch.bincount(experts.flatten(), minlength=8)
            share = counts[layer] / counts[layer].sum()
            total = total + 8 * (share * logits.softmax(1).mean(0)).sum() / 2
        total.backward()
    expected = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, rtol=1e-4, atol=1e-7), name


@pytest.mark.parametrize("factor", [2.0, 1.25, 1.0, 0.8, 0.5])
def test_trap_1_the_bias_moves_and_balances_at_every_capacity(build, text, factor, step):
    model = build("glm4_moe")
    gates = attach(model, balancer=LossFree(bias_update_rate=2e-2), capacity=Capacity(factor=factor))
    seen = []
    for _ in range(25):
        step(model, gates, text)
        gates.assert_active()
        seen.append(gates.metrics()[0]["max_violation"])
    assert sum(seen[-5:]) / 5 < 0.6 * seen[0]


def test_trap_3_nothing_random_happens_in_evaluation(build, text):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer(), capacity=Capacity(eval_factor=0.5, drop_policy="random"))
    with torch.no_grad():
        state = torch.get_rng_state()
        outputs = [model(input_ids=text).logits for _ in range(2)]
    assert torch.equal(*outputs)
    assert torch.equal(torch.get_rng_state(), state)
    assert gates.steps == 0
