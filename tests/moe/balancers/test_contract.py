"""The contract that every balancer keeps."""

import copy
import dataclasses
import importlib.util
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers import Balancer, BatchBalancer, BiasBalancer, LossBalancer, behavior
from trimtab.moe.balancers.behaviors import BEHAVIORS
from trimtab.moe.balancers.interface import Ranked
from trimtab.moe.balancers.stack import StackBalancer
from trimtab.settings import rules
from trimtab.settings.rules import NoBalancer, Stack, SwitchLoss


def state_of(balancer, num_experts=8):
    """A state that something was learned in."""
    state = balancer.initial(num_experts).clone()
    state[:num_experts] = torch.linspace(-0.1, 0.1, num_experts)
    return state


def test_every_public_rule_is_under_contract():
    location = importlib.util.spec_from_file_location("every_balancer", Path(__file__).with_name("conftest.py"))
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    assert {type(rule) for rule in module.EVERY} == set(BEHAVIORS) == set(rules.RULES)


def test_a_balancer_is_known_by_its_settings(balancer):
    again = behavior(balancer.settings)
    assert again == balancer == balancer.settings
    assert balancer.settings == again
    assert hash(again) == hash(balancer) == hash(balancer.settings)
    assert repr(balancer) == repr(balancer.settings)
    assert balancer != NoBalancer() or isinstance(balancer.settings, NoBalancer)
    assert behavior(balancer) is balancer
    assert copy.deepcopy(balancer) == pickle.loads(pickle.dumps(balancer)) == balancer  # noqa: S301 - our own


class Own(BiasBalancer):
    """A rule of a user's own: it is its own setting."""

    def update(self, state, observed, step):  # noqa: ARG002
        return state


def test_a_rule_of_a_users_own_is_a_rule():
    rule = Own()
    assert behavior(rule) is rule.settings is rule
    assert rule == rule  # noqa: PLR0124
    assert rule != Own()
    stacked = behavior(Stack(rule, SwitchLoss(coef=0.1)))
    assert stacked.bias is rule
    with pytest.raises(ConfigurationError, match="no balancer"):
        behavior("loss_free")


def test_layers_that_learn_together_learn_what_each_would_alone(balancer, route, context_of, draw):
    """What gates rely on when they update all layers in one call."""
    assert balancer.in_cells
    states, seen = [], []
    for layer in range(3):
        routing, state = route(draw(seed=layer, skew=float(layer))), state_of(balancer)
        state[:8] *= layer
        for _ in range(layer + 1):  # of unlike ages
            observed = balancer.observe(routing, state, context_of(routing))
            state = balancer.update(state, observed, 1)
        states.append(state)
        seen.append(balancer.observe(routing, state, context_of(routing)))
    together = balancer.update(torch.stack(states), torch.stack(seen), 2)
    for state, observed, after in zip(states, seen, together, strict=True):
        assert torch.allclose(after, balancer.update(state, observed, 2), rtol=1e-6, atol=1e-7)


def test_a_rule_of_a_users_own_learns_layer_by_layer():
    assert not behavior(Own()).in_cells
    assert not behavior(Stack(Own(), SwitchLoss(coef=0.1))).in_cells


def test_methods_are_pure(balancer, route, context_of, draw):
    logits, state = draw(), state_of(balancer)
    routing, copies = route(logits), (logits.clone(), state.clone())

    def everything():
        observed = balancer.observe(routing, state, context_of(routing))
        return [
            balancer.select(routing.scores, state, context_of(routing)),
            balancer.penalty(routing, context_of(routing)),
            observed,
            balancer.update(state, observed, 1),
        ]

    for one, two in zip(everything(), everything(), strict=True):
        assert torch.equal(one, two)
    assert torch.equal(logits, copies[0])
    assert torch.equal(state, copies[1])


def test_a_fresh_state_selects_plain_top_k_in_evaluation(balancer, route, context_of, draw):
    routing = route(draw())
    seen = balancer.select(routing.scores, balancer.initial(8), context_of(routing, training=False))
    assert torch.equal(seen.topk(2).indices, routing.experts) == balancer.plain_at_rest


def test_selection_does_not_see_the_future_exactly_where_promised(balancer, route, context_of, draw):
    """The same prefix before two different continuations, given the state (arXiv 2408.15664, section 5.2)."""
    state, chosen = state_of(balancer), []
    for seed in (1, 2):
        routing = route(torch.cat([draw(32), draw(32, seed=seed, skew=-3.0 * seed)]))
        seen = balancer.select(routing.scores, state, context_of(routing))
        chosen.append(seen[:32].topk(2).indices.sort(1).values)
    assert torch.equal(*chosen) == balancer.causal


def test_evaluation_is_causal_for_every_rule(balancer, route, context_of, draw):
    state, long = state_of(balancer), route(draw(64))
    short = route(long.logits[:32])
    whole = balancer.select(long.scores, state, context_of(long, training=False))
    part = balancer.select(short.scores, state, context_of(short, training=False))
    assert torch.equal(whole[:32], part)


@pytest.mark.parametrize("score_function", ["sigmoid", "softmax"])
def test_penalty_is_a_finite_scalar_whose_gradient_exists_exactly_when_promised(
    balancer, score_function, route, context_of, draw
):
    logits = draw().requires_grad_()
    routing = route(logits, score_function)
    context = context_of(routing, torch.arange(64) // 16)
    value = balancer.penalty(routing, context)
    assert value.shape == ()
    assert value.isfinite()
    assert value.requires_grad == balancer.has_penalty
    if not balancer.has_penalty:
        assert value == 0
        return
    found = torch.autograd.grad(value, (logits, context.router_weight), allow_unused=True)
    gradients = [gradient for gradient in found if gradient is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert sum(float(gradient.abs().sum()) for gradient in gradients) > 0


def test_update_moves_exactly_the_rules_with_a_bias(balancer, route, context_of, draw):
    routing, state = route(draw(256, skew=2.0)), balancer.initial(8)
    observed = balancer.observe(routing, state, context_of(routing))
    moved = balancer.update(state, observed, 1)
    assert moved.dtype == torch.float32
    assert moved.shape == state.shape
    learns = balancer.has_bias and not balancer.resting(1)
    assert torch.equal(moved, state) == (not learns)
    if learns:
        busiest, idlest = int(routing.load.argmax()), int(routing.load.argmin())
        assert moved[busiest] < moved[idlest]


def test_what_is_observed_adds_up_over_micro_batches_and_processes(balancer, route, context_of, draw):
    state, whole = state_of(balancer), route(draw(64))
    parts = [route(part) for part in whole.logits.split([10, 30, 24])]
    seen = [balancer.observe(part, state, context_of(part)) for part in parts]
    assert all(one.shape == balancer.nothing(8).shape for one in seen)
    assert all(one.dtype == balancer.nothing(8).dtype for one in seen)
    total = sum(seen, balancer.nothing(8))
    if balancer.causal and not balancer.cuts_matter:
        sequence = torch.arange(3).repeat_interleave(torch.tensor([10, 30, 24]))
        assert torch.equal(total, balancer.observe(whole, state, context_of(whole, sequence)))
    assert balancer.update(state, total, 1).isfinite().all()


def test_what_was_found_before_spares_work_and_changes_nothing(balancer, route, context_of, draw):
    """Ranks at hand, and what ``select`` noted, give what ``observe`` finds by itself."""
    state, routing = state_of(balancer), route(draw(64))
    alone = balancer.observe(routing, state, context_of(routing))
    context = context_of(routing)
    selected = balancer.select(routing.scores.detach(), state, context)
    best = selected.topk(3, dim=-1)
    ranked = Ranked(selected=selected, values=best.values, experts=best.indices)
    known = dataclasses.replace(context, ranked=ranked if isinstance(balancer, BiasBalancer) else None)
    assert torch.equal(balancer.observe(routing, state, known), alone)
    # Notes are of one batch and state: another asked with the same context is found anew.
    other = route(draw(64, seed=9))
    fresh = balancer.observe(other, state, context_of(other))
    assert torch.equal(balancer.observe(other, state, context), fresh)
    moved = balancer.observe(routing, state + 0.5, context_of(routing))
    assert torch.equal(balancer.observe(routing, state + 0.5, context), moved)


@pytest.mark.parametrize("tokens", [0, 1])
def test_hardly_any_tokens(balancer, tokens, route, context_of, draw):
    logits = draw(tokens).requires_grad_()
    routing, state = route(logits), state_of(balancer)
    context = context_of(routing, torch.zeros(tokens, dtype=torch.int64))
    value = balancer.penalty(routing, context)
    assert value.isfinite()
    assert balancer.select(routing.scores.detach(), state, context).shape == (tokens, 8)
    observed = balancer.observe(routing, state, context)
    assert balancer.update(state, observed, 1).isfinite().all()
    if tokens == 0:
        assert value == 0
        assert torch.equal(observed, balancer.nothing(8))
        assert torch.equal(balancer.update(state, observed, 1), state)


def test_load_is_routed_unless_kept_is_asked_for(balancer, route, context_of, draw):
    plain = route(draw())
    kept = torch.arange(64)[:, None].expand(64, 2) % 3 == 0
    routing = dataclasses.replace(plain, kept=kept)
    if type(getattr(balancer, "bias", balancer)).observe is not Balancer.observe:
        pytest.skip("observes scores, not calls")
    for signal, expected in (("routed", plain.load), ("kept", torch.bincount(plain.experts[kept], minlength=8))):
        seen = balancer.observe(routing, balancer.initial(8), context_of(routing, load_signal=signal))
        assert torch.equal(seen, expected)


def test_padding_changes_nothing(balancer, route, context_of, draw):
    logits = draw(40)
    valid = torch.arange(40) % 3 != 0
    padded, alone = route(logits, valid=valid), route(logits[valid])
    sequence, state = torch.arange(40) // 10, state_of(balancer)
    contexts = context_of(padded, sequence), context_of(alone, sequence[valid])
    assert torch.equal(balancer.observe(padded, state, contexts[0]), balancer.observe(alone, state, contexts[1]))
    assert torch.allclose(balancer.penalty(padded, contexts[0]), balancer.penalty(alone, contexts[1]))
    seen = balancer.select(padded.scores, state, contexts[0])[valid]
    assert torch.equal(seen, balancer.select(alone.scores, state, contexts[1]))


def test_padding_may_hold_anything(balancer, route, context_of, draw):
    logits = draw(6).index_fill_(0, torch.tensor([1, 4]), float("nan")).requires_grad_()
    routing, state = route(logits, valid=torch.tensor([True, False, True, True, False, True])), state_of(balancer)
    context = context_of(routing, torch.zeros(6, dtype=torch.int64))
    value = balancer.penalty(routing, context)
    assert value.isfinite()
    assert balancer.update(state, balancer.observe(routing, state, context), 1).isfinite().all()
    assert balancer.select(routing.scores.detach(), state, context)[routing.valid].isfinite().all()
    if balancer.has_penalty:
        found = torch.autograd.grad(value, (logits, context.router_weight), allow_unused=True)
        assert all(gradient.isfinite().all() for gradient in found if gradient is not None)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), skew=st.floats(0, 4), step=st.integers(1, 99))
def test_experts_have_no_names(*, balancer, route, context_of, draw, seed, skew, step):
    """Renumbering the experts renumbers what is learned."""
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    state, logits = balancer.initial(8), draw(64, seed=seed, skew=skew)
    plain, renamed = route(logits), route(logits[:, order])
    after = [balancer.update(state, balancer.observe(r, state, context_of(r)), step) for r in (plain, renamed)]
    assert torch.allclose(after[0][:8][order], after[1][:8], atol=1e-6)


def test_each_rule_is_of_one_family(balancer):
    families = [isinstance(balancer, kind) for kind in (BiasBalancer, LossBalancer, BatchBalancer, StackBalancer)]
    assert sum(families) == 1
    assert balancer.causal == (not isinstance(balancer, BatchBalancer))
