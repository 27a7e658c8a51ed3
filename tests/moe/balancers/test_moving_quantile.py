"""Rules that read sequences: what they choose, that each sequence starts anew, and what they refuse in a model."""

import dataclasses

import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.moe.balancers import behavior
from trimtab.moe.routing import max_violation
from trimtab.settings.rules import CausalBias, MovingQuantileBalancing

RULES = [MovingQuantileBalancing(strength=1.0), CausalBias(rate=0.05)]


@pytest.fixture(params=RULES, ids=lambda rule: type(rule).__name__)
def rule(request):
    return request.param


def test_each_sequence_is_chosen_for_as_if_it_stood_alone(rule, route, context_of, draw):
    acting, state = behavior(rule), torch.linspace(-0.1, 0.1, 8)
    logits, sequence = draw(40), torch.tensor([0] * 25 + [1] * 15)
    routing = route(logits)
    whole = acting.select(routing.scores, state, dataclasses.replace(context_of(routing), sequence=sequence))
    parts = [route(part) for part in logits.split([25, 15])]
    alone = torch.cat([acting.select(part.scores, state, context_of(part)) for part in parts])
    assert torch.allclose(whole, alone, atol=1e-6)  # a sigmoid may round otherwise elsewhere in memory


def test_a_skewed_sequence_is_balanced_by_itself(rule, route, context_of, draw):
    acting, routing = behavior(rule), route(draw(512, skew=2.0))
    chosen = acting.select(routing.scores, acting.initial(8), context_of(routing)).topk(2).indices
    calls = torch.bincount(chosen.flatten(), minlength=8)
    assert max_violation(calls) < 0.25 * max_violation(routing.load)


def test_strength_nought_is_quantile_balancing(route, context_of, draw):
    acting, plain = behavior(MovingQuantileBalancing(strength=0.0)), behavior(MovingQuantileBalancing()).within_step
    routing, state = route(draw()), torch.linspace(-0.1, 0.1, 8)
    assert torch.equal(
        acting.select(routing.scores, state, context_of(routing)),
        plain.select(routing.scores, state, context_of(routing)),
    )
    seen = [one.observe(routing, state, context_of(routing)) for one in (acting, plain)]
    assert torch.equal(*seen)


def test_rows_of_a_model_are_sequences_and_a_cache_is_refused(rule, build, text):
    model = build("mixtral").eval()
    gates = attach(model, balancer=rule)
    with torch.no_grad():
        together = model(input_ids=text, use_cache=False).logits
        alone = torch.cat([model(input_ids=row[None], use_cache=False).logits for row in text])
        assert torch.allclose(together, alone, atol=1e-5)
        cached = model(input_ids=text[:1, :8], use_cache=True)
        with pytest.raises(ConfigurationError, match=r"8 earlier tokens lie in a cache.*\n.*use_cache=False"):
            model(input_ids=text[:1, 8:9], past_key_values=cached.past_key_values)
    gates.detach()


def test_scores_without_a_bound_are_refused(route, context_of, draw):
    routing = route(draw())
    context = dataclasses.replace(context_of(routing), score_function="sqrtsoftplus")
    with pytest.raises(ConfigurationError, match="softplus"):
        behavior(MovingQuantileBalancing()).select(routing.scores, torch.zeros(8), context)
