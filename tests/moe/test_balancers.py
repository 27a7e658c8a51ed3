"""Every balancer keeps the contract, and agrees with the formulas of others."""

import dataclasses

import pytest
import torch
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers import (
    BiasBalancer,
    Context,
    LossBalancer,
    LossFree,
    NoBalancer,
    RouterZLoss,
    Stack,
    SwitchLoss,
)
from trimtab.moe.routing import Routing

EVERY = [
    NoBalancer(),
    LossFree(bias_update_rate=1e-2),
    LossFree(bias_update_rate=1e-2, rule="proportional", schedule="inv_sqrt", centered=True),
    SwitchLoss(coef=0.1, scope="sequence"),
    SwitchLoss(coef=0.1, scope="micro"),
    SwitchLoss(coef=0.1, scope="global"),
    RouterZLoss(coef=1e-3),
    Stack(LossFree(bias_update_rate=1e-2), SwitchLoss(coef=1e-4, scope="sequence"), RouterZLoss(coef=1e-3)),
]
contract = pytest.mark.parametrize("balancer", EVERY, ids=repr)


def route(logits, score_function="sigmoid", top_k=2, valid=None):
    scores = logits.sigmoid() if score_function == "sigmoid" else logits.softmax(-1)
    experts = scores.topk(top_k).indices
    return Routing(
        logits=logits,
        experts=experts,
        weights=scores.gather(1, experts),
        score_function=score_function,
        valid=valid,
    )


def context_of(routing, sequence=None, load_so_far=None):
    return Context(
        training=True,
        num_experts_per_tok=routing.num_experts_per_tok,
        score_function=routing.score_function,
        valid=routing.valid,
        load_so_far=load_so_far,
        sequence=sequence,
    )


def draw(tokens=64, experts=8, seed=0, skew=1.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(tokens, experts, generator=generator) + skew * torch.linspace(-1, 1, experts)


# The contract, over every balancer


@contract
def test_a_balancer_is_a_frozen_value(balancer):
    assert hash(balancer) == hash(eval(repr(balancer)))  # noqa: S307 - its own repr
    assert balancer == eval(repr(balancer))  # noqa: S307 - its own repr
    names = [field.name for field in dataclasses.fields(balancer)] if dataclasses.is_dataclass(balancer) else ["bias"]
    for name in names:
        with pytest.raises((AttributeError, dataclasses.FrozenInstanceError)):
            setattr(balancer, name, 1)


@contract
def test_methods_are_pure(balancer):
    logits, state = draw(), torch.linspace(-0.1, 0.1, 8)
    routing = route(logits)
    copies = logits.clone(), state.clone()
    first = [
        balancer.select(routing.scores, state, context_of(routing)),
        balancer.penalty(routing, context_of(routing)),
        balancer.observe(routing, state, context_of(routing)),
        balancer.update(state, routing.load, 1),
    ]
    second = [
        balancer.select(routing.scores, state, context_of(routing)),
        balancer.penalty(routing, context_of(routing)),
        balancer.observe(routing, state, context_of(routing)),
        balancer.update(state, routing.load, 1),
    ]
    for one, two in zip(first, second, strict=True):
        assert torch.equal(one, two)
    assert torch.equal(logits, copies[0])
    assert torch.equal(state, copies[1])


@contract
def test_a_zero_state_selects_plain_top_k(balancer):
    routing = route(draw())
    assert torch.equal(balancer.select(routing.scores, balancer.initial(8), context_of(routing)), routing.scores)


@contract
@pytest.mark.parametrize("score_function", ["sigmoid", "softmax"])
def test_penalty_is_a_finite_scalar_whose_gradient_exists_exactly_when_promised(balancer, score_function):
    logits = draw().requires_grad_()
    routing = route(logits, score_function)
    value = balancer.penalty(routing, context_of(routing, torch.arange(64) // 16))
    assert value.shape == ()
    assert value.isfinite()
    assert value.requires_grad == balancer.has_penalty
    if balancer.has_penalty:
        (gradient,) = torch.autograd.grad(value, logits)
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0
    else:
        assert value == 0


@contract
def test_update_moves_exactly_the_rules_with_a_bias(balancer):
    state = torch.zeros(8)
    moved = balancer.update(state, torch.tensor([9, 1, 5, 5, 5, 5, 5, 5]), 1)
    assert (moved is not state) == balancer.has_bias
    if balancer.has_bias:
        assert moved[0] < 0 < moved[1]
        assert moved.dtype == torch.float32


@contract
@pytest.mark.parametrize("tokens", [0, 1])
def test_hardly_any_tokens(balancer, tokens):
    logits = draw(tokens).requires_grad_()
    routing = route(logits)
    value = balancer.penalty(routing, context_of(routing, torch.zeros(tokens, dtype=torch.int64)))
    assert value.isfinite()
    assert balancer.update(torch.zeros(8), routing.load, 1).isfinite().all()
    if tokens == 0:
        assert value == 0
        assert not balancer.update(torch.zeros(8), routing.load, 1).any()


@contract
def test_load_is_routed_unless_kept_is_asked_for(balancer):
    plain = route(draw())
    kept = torch.arange(64)[:, None].expand(64, 2) % 3 == 0
    routing = dataclasses.replace(plain, kept=kept)
    for signal, expected in (("routed", plain.load), ("kept", torch.bincount(plain.experts[kept], minlength=8))):
        context = dataclasses.replace(context_of(routing), load_signal=signal)
        assert torch.equal(balancer.observe(routing, balancer.initial(8), context), expected)


@contract
def test_padding_changes_nothing(balancer):
    logits = draw(40)
    valid = torch.arange(40) % 3 != 0
    padded, alone = route(logits, valid=valid), route(logits[valid])
    sequence = torch.arange(40) // 10
    assert torch.equal(
        balancer.observe(padded, balancer.initial(8), context_of(padded)),
        balancer.observe(alone, balancer.initial(8), context_of(alone)),
    )
    assert torch.allclose(
        balancer.penalty(padded, context_of(padded, sequence)),
        balancer.penalty(alone, context_of(alone, sequence[valid])),
    )


@contract
def test_padding_may_hold_anything(balancer):
    logits = draw(6).index_fill_(0, torch.tensor([1, 4]), float("nan")).requires_grad_()
    routing = route(logits, valid=torch.tensor([True, False, True, True, False, True]))
    value = balancer.penalty(routing, context_of(routing, torch.zeros(6, dtype=torch.int64)))
    assert value.isfinite()
    if balancer.has_penalty:
        assert torch.autograd.grad(value, logits)[0].isfinite().all()


def test_the_two_families_are_the_two_abstract_classes():
    assert {type(b) for b in EVERY if isinstance(b, BiasBalancer)} == {LossFree}
    assert {type(b) for b in EVERY if isinstance(b, LossBalancer)} == {NoBalancer, SwitchLoss, RouterZLoss}


@pytest.mark.parametrize(
    "make",
    [
        lambda: LossFree(bias_update_rate=0.0),
        lambda: LossFree(bias_update_rate=float("nan")),
        lambda: LossFree(bias_update_rate=1e-3, rule="sing"),
        lambda: LossFree(bias_update_rate=1e-3, schedule="linear"),
        lambda: SwitchLoss(coef=-1.0),
        lambda: SwitchLoss(coef=1.0, scope="batch"),
        lambda: RouterZLoss(coef=float("inf")),
        lambda: Stack(SwitchLoss(coef=1.0), SwitchLoss(coef=1.0)),
        lambda: Stack(LossFree(bias_update_rate=1e-3)),
        lambda: Stack(LossFree(bias_update_rate=1e-3), LossFree(bias_update_rate=1e-3)),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()


def test_a_wrong_name_brings_the_nearest_one():
    with pytest.raises(ConfigurationError) as caught:
        LossFree(bias_update_rate=1e-3, rule="sing")
    assert "'sign'" in caught.value.hint


# Update rules, as others write them


def test_sign_rule_is_what_megatron_and_olmo_core_do():
    counts = torch.tensor([10, 3, 7, 0, 7, 15, 7, 7])
    bias = torch.linspace(-0.01, 0.01, 8)
    # Megatron: average - tokens, sign, times rate (get_updated_expert_bias); OLMo-core: the same with its gamma.
    megatron = bias + (counts.float().mean() - counts).sign() * 1e-3
    assert torch.equal(LossFree(bias_update_rate=1e-3).update(bias, counts, 5), megatron)


def test_centered_sign_rule_is_what_torchtitan_does():
    counts, bias = torch.tensor([10, 3, 7, 0, 7, 15, 7, 8]), torch.zeros(8)
    delta = 1e-3 * torch.sign(counts.float().mean() - counts)
    expected = bias + (delta - delta.mean())
    result = LossFree(bias_update_rate=1e-3, centered=True).update(bias, counts, 1)
    assert torch.allclose(result, expected, rtol=0, atol=1e-9)
    scores = draw().sigmoid()
    plain = LossFree(bias_update_rate=1e-3).update(bias, counts, 1)
    assert torch.equal((scores + result).topk(2).indices, (scores + plain).topk(2).indices)


def test_proportional_rule_is_relative_to_the_mean_and_conserves_the_sum():
    counts = torch.tensor([10, 3, 7, 0])
    rule = LossFree(bias_update_rate=0.1, rule="proportional")
    result = rule.update(torch.zeros(4), counts, 1)
    assert torch.allclose(result, 0.1 * (5 - counts.float()) / 5)
    assert abs(float(result.sum())) < 1e-7
    assert torch.allclose(result, rule.update(torch.zeros(4), counts * 1000, 1))


@pytest.mark.parametrize(("schedule", "power"), [("constant", 0.0), ("inv_sqrt", 0.5), ("inv", 1.0)])
def test_schedules(schedule, power):
    rule = LossFree(bias_update_rate=0.3, schedule=schedule)
    assert [rule.step_size(n) for n in (1, 4, 100)] == pytest.approx([0.3 / n**power for n in (1, 4, 100)])


# Losses, as others write them


@pytest.mark.parametrize("score_function", ["sigmoid", "softmax"])
@pytest.mark.parametrize("top_k", [1, 2, 4])
def test_switch_loss_is_one_at_balance(score_function, top_k):
    logits = torch.zeros(64, 8)
    experts = (torch.arange(64)[:, None] + torch.arange(top_k)) % 8
    routing = Routing(logits=logits, experts=experts, weights=torch.ones(64, top_k), score_function=score_function)
    for scope in ("sequence", "micro", "global"):
        value = SwitchLoss(coef=0.5, scope=scope).penalty(routing, context_of(routing, torch.arange(64) // 8))
        assert float(value) == pytest.approx(0.5)


def test_switch_loss_is_megatrons_formula():
    logits = draw()
    routing = route(logits, "softmax", top_k=2)
    # switch_load_balancing_loss_func: sum(probs summed over tokens * tokens per expert) * E coeff / (k T T)
    aggregated, counts = logits.softmax(-1).sum(0), torch.bincount(routing.experts.flatten(), minlength=8)
    megatron = (aggregated * counts).sum() * (8 * 0.01 / (2 * 64 * 64))
    assert torch.allclose(SwitchLoss(coef=0.01).penalty(routing, context_of(routing)), megatron)


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_switch_loss_is_transformers_over_k_for_one_layer(top_k):
    logits = draw(seed=3)
    routing = route(logits, "softmax", top_k)
    theirs = load_balancing_loss_func((logits,), num_experts=8, top_k=top_k)
    assert torch.allclose(SwitchLoss(coef=1.0).penalty(routing, context_of(routing)) * top_k, theirs)


def test_collapsed_layers_do_not_cancel_as_they_do_pooled():
    """transformers pools layers: two layers collapsed on different experts look balanced to it."""
    collapsed = [torch.full((64, 8), -20.0) for _ in range(4)]
    for layer, logits in enumerate(collapsed):
        logits[:, 2 * layer : 2 * layer + 2] = 20.0
    pooled = float(load_balancing_loss_func(tuple(collapsed), num_experts=8, top_k=2))
    per_layer = [SwitchLoss(coef=1.0).penalty(r, context_of(r)) for r in (route(c, "softmax") for c in collapsed)]
    assert pooled == pytest.approx(2.0)  # what it gives for perfect balance
    assert [float(value) for value in per_layer] == pytest.approx([4.0] * 4)


def test_sequence_scope_is_the_mean_of_each_sequence_alone():
    logits = draw(48, seed=2)
    sequence = torch.tensor([0] * 8 + [1] * 16 + [2] * 24)
    whole = route(logits)
    alone = [route(logits[sequence == s]) for s in range(3)]
    micro = [SwitchLoss(coef=1.0).penalty(r, context_of(r)) for r in alone]
    value = SwitchLoss(coef=1.0, scope="sequence").penalty(whole, context_of(whole, sequence))
    assert torch.allclose(value, torch.stack(micro).mean())


def test_scopes_agree_for_one_sequence_in_one_micro_batch():
    routing = route(draw())
    context = context_of(routing, torch.zeros(64, dtype=torch.int64))
    values = [SwitchLoss(coef=1.0, scope=s).penalty(routing, context) for s in ("sequence", "micro", "global")]
    assert torch.allclose(values[0], values[1])
    assert torch.allclose(values[1], values[2])


def test_global_scope_takes_its_shares_from_the_step_so_far():
    routing = route(draw())
    so_far = torch.tensor([100, 0, 0, 0, 0, 0, 0, 28])
    value = SwitchLoss(coef=1.0, scope="global").penalty(routing, context_of(routing, load_so_far=so_far))
    mean_score = (routing.scores / routing.scores.sum(1, keepdim=True)).mean(0)
    assert float(value) == pytest.approx(float(8 * (so_far / 128 * mean_score).sum()), rel=1e-5)


def test_a_gradient_step_on_the_switch_loss_lowers_the_load_of_the_busiest():
    logits = draw(skew=2.0).requires_grad_()
    routing = route(logits)
    (gradient,) = torch.autograd.grad(SwitchLoss(coef=1.0).penalty(routing, context_of(routing)), logits)
    busiest, idlest = int(routing.load.argmax()), int(routing.load.argmin())
    assert gradient[:, busiest].sum() > 0 > gradient[:, idlest].sum()


def test_z_loss():
    logits = draw()
    expected = 0.5 * (torch.exp(logits).sum(1).log() ** 2).mean()
    routing = route(logits)
    assert torch.allclose(RouterZLoss(coef=0.5).penalty(routing, context_of(routing)), expected)


def test_a_stack_adds_its_losses_and_moves_its_bias():
    stack, routing = EVERY[-1], route(draw())
    context = context_of(routing, torch.arange(64) // 16)
    parts = sum(loss.penalty(routing, context) for loss in stack.losses)
    assert torch.allclose(stack.penalty(routing, context), parts)
    bias = torch.zeros(8)
    assert torch.equal(stack.update(bias, routing.load, 3), stack.bias.update(bias, routing.load, 3))
