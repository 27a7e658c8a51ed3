"""Which calls find room, against a loop over calls."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers import behavior
from trimtab.moe.capacity import keep, renormalized, room, rooms
from trimtab.moe.routing import Routing, max_violation
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import LossFree

POLICIES = ["probs", "position", "random", "batch_priority"]


def one_by_one(experts, weights, valid, slots, policy):
    """Serve calls in their order of priority."""
    tokens, top_k = experts.shape
    calls = [(t, s) for t in range(tokens) for s in range(top_k) if valid is None or valid[t]]
    if policy == "probs":
        calls.sort(key=lambda call: (-float(weights[call]), call))
    if policy == "batch_priority":
        calls.sort(key=lambda call: (call[1], -float(weights[call[0]].max()), call[0]))
    taken, kept = {}, torch.zeros(tokens, top_k, dtype=torch.bool)
    for call in calls:
        expert = int(experts[call])
        if slots is None or taken.get(expert, 0) < slots:
            taken[expert] = taken.get(expert, 0) + 1
            kept[call] = True
    return kept


@st.composite
def routings(draw):
    num_experts = draw(st.integers(1, 8))
    top_k = draw(st.integers(1, num_experts))
    tokens = draw(st.integers(0, 20))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    scores = torch.rand(tokens, num_experts, generator=generator)
    if draw(st.booleans()):
        scores = (scores * 3).round() / 3  # ties
    weights, experts = scores.topk(top_k)
    valid = torch.rand(tokens, generator=generator) < 0.7 if draw(st.booleans()) else None
    return experts, weights, valid, num_experts, draw(st.integers(0, 25))


@settings(max_examples=150, deadline=None)
@given(routings(), st.sampled_from(["probs", "position", "batch_priority"]))
def test_kept_calls_are_those_served_one_by_one(routing, policy):
    experts, weights, valid, _, slots = routing
    kept = keep(experts, weights, valid, slots=slots, drop_policy=policy)
    expected = one_by_one(experts, weights, valid, slots, policy)
    assert torch.equal(torch.ones_like(expected) if kept is None else kept, expected)


@settings(max_examples=100, deadline=None)
@given(routings(), st.sampled_from(POLICIES))
def test_no_expert_exceeds_its_room_and_none_with_room_refuses(routing, policy):
    experts, weights, valid, num_experts, slots = routing
    generator = torch.Generator().manual_seed(0)
    kept = keep(experts, weights, valid, slots=slots, drop_policy=policy, generator=generator)
    if kept is None:
        kept = torch.ones_like(experts, dtype=torch.bool)
    asked = experts if valid is None else experts[valid]
    demand = torch.bincount(asked.flatten(), minlength=num_experts)
    served = torch.bincount(experts[kept], minlength=num_experts)
    assert torch.equal(served, demand.clamp(max=slots))
    if valid is not None:
        assert not kept[~valid].any()


def test_probs_keeps_the_largest_weights_of_each_expert():
    experts = torch.tensor([[0], [0], [0], [1]])
    weights = torch.tensor([[0.2], [0.9], [0.5], [0.1]])
    kept = keep(experts, weights, None, slots=2)
    assert kept.flatten().tolist() == [False, True, True, True]


def test_position_keeps_the_first_tokens_even_among_hundreds():
    """torch.topk on a 0/1 map, which others use for this, keeps arbitrary ones."""
    experts = torch.zeros(512, 1, dtype=torch.int64)
    kept = keep(
        experts, torch.rand(512, 1, generator=torch.Generator().manual_seed(0)), None, slots=77, drop_policy="position"
    )
    assert kept.flatten().nonzero().flatten().tolist() == list(range(77))


def test_position_with_a_fixed_room_never_reconsiders_a_prefix():
    generator = torch.Generator().manual_seed(0)
    weights, experts = torch.rand(64, 8, generator=generator).topk(2)
    whole = keep(experts, weights, None, slots=5, drop_policy="position")
    prefix = keep(experts[:32], weights[:32], None, slots=5, drop_policy="position")
    assert torch.equal(whole[:32], prefix)


def test_random_follows_its_generator_and_leaves_the_global_state_alone():
    experts, weights = torch.zeros(100, 1, dtype=torch.int64), torch.ones(100, 1)
    before = torch.get_rng_state()
    draws = [
        keep(experts, weights, None, slots=50, drop_policy="random", generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    # Not a position order in disguise: about half of the first half is kept.
    assert 15 <= int(draws[0][:50].sum()) <= 35


@pytest.mark.parametrize(
    ("factor", "tokens", "num_experts", "top_k", "expected"),
    [
        (1.0, 512, 8, 2, 128),
        (1.25, 512, 8, 2, 160),
        (1.0, 5, 4, 1, 2),
        (1.1, 200, 8, 2, 55),  # 55.00000000000001 in binary floating point
        (0.1, 30, 3, 1, 1),
        (1.0, 1, 8, 2, 1),
        (2.0, 4, 2, 2, 8),  # more room than tokens: dropless
        (1.0, 0, 8, 2, 1),
        (None, 100, 8, 2, None),
    ],
)
def test_room(factor, tokens, num_experts, top_k, expected):
    assert room(factor, tokens=tokens, num_experts=num_experts, num_experts_per_tok=top_k) == expected


@given(
    factor=st.sampled_from([0.5, 0.75, 1.0, 1.1, 1.25, 1.3, 2.0]),
    tokens=st.integers(1, 5000),
    num_experts=st.integers(1, 64),
    data=st.data(),
)
def test_room_is_the_exact_ceiling(factor, tokens, num_experts, data):
    top_k = data.draw(st.integers(1, num_experts))
    slots = room(factor, tokens=tokens, num_experts=num_experts, num_experts_per_tok=top_k)
    assert slots == max(1, math.ceil(Fraction(str(factor)) * top_k * tokens / num_experts))
    assert room(factor, tokens=tokens, num_experts=num_experts, num_experts_per_tok=top_k, min_capacity=9) == max(
        slots, 9
    )


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("factor", [2.0, 1.25, 1.0, 0.8, 0.5])
def test_a_balanced_router_keeps_its_share(policy, factor):
    experts = (torch.arange(64)[:, None] + torch.tensor([0, 4])) % 8
    slots = room(factor, tokens=64, num_experts=8, num_experts_per_tok=2)
    kept = keep(experts, torch.rand(64, 2), None, slots=slots, drop_policy=policy, generator=torch.Generator())
    share = 1.0 if kept is None else float(kept.float().mean())
    assert share == pytest.approx(min(1.0, slots / 16))


def test_nothing_is_made_where_nothing_is_dropped():
    experts, weights = torch.zeros(4, 1, dtype=torch.int64), torch.ones(4, 1)
    assert keep(experts, weights, None, slots=None) is None
    assert keep(experts, weights, None, slots=4) is None
    valid = torch.tensor([True, True, False, True])
    assert keep(experts, weights, valid, slots=None).flatten().tolist() == valid.tolist()


@pytest.mark.parametrize("factor", [2.0, 1.25, 1.0, 0.8, 0.5])
def test_a_bias_driven_by_kept_calls_stalls_where_routed_calls_balance(factor):
    """FRAMEWORKS 3.1 without padding to capacity: fixed skewed logits, 512 tokens, 8 experts, top-2."""
    logits = torch.randn(512, 8, generator=torch.Generator().manual_seed(0)) + torch.linspace(1.5, -1.5, 8)
    scores, rule = logits.sigmoid(), behavior(LossFree(bias_update_rate=1e-3))
    violation = {}
    for signal in ("routed", "kept"):
        bias = torch.zeros(8)
        for step in range(1, 1001):
            experts = (scores + bias).topk(2).indices
            weights = scores.gather(1, experts)
            slots = room(factor, tokens=512, num_experts=8, num_experts_per_tok=2)
            routing = Routing(
                logits=logits,
                experts=experts,
                weights=weights,
                score_function="sigmoid",
                kept=keep(experts, weights, None, slots=slots),
            )
            bias = rule.update(bias, routing.load if signal == "routed" else routing.kept_load, step)
        violation[signal] = max_violation(routing.load)
    assert violation["routed"] < 0.06
    if factor <= 0.8:
        assert violation["kept"] > 0.5


def test_padding_to_capacity_hides_all_imbalance_from_the_bias():
    """Megatron with moe_pad_expert_input_to_capacity: every count is the capacity, so no sign is ever other than 0."""
    bias = torch.zeros(8)
    assert torch.equal(behavior(LossFree(bias_update_rate=1e-3)).update(bias, torch.full((8,), 128), 1), bias)


@pytest.mark.parametrize(
    "settings_",
    [
        {"factor": 0.0},
        {"factor": -1.0},
        {"eval_factor": float("inf")},
        {"factor": float("nan")},
        {"drop_policy": "prob"},
        {"load_signal": "served"},
        {"min_capacity": -1},
        {"tokens": 0},
        {"scope": "row"},
    ],
)
def test_impossible_capacities_are_refused(settings_):
    with pytest.raises(ConfigurationError):
        Capacity(**settings_)


def test_a_wrong_policy_brings_the_nearest_one():
    with pytest.raises(ConfigurationError) as caught:
        Capacity(drop_policy="prob")
    assert "'probs'" in caught.value.hint


@settings(max_examples=60, deadline=None)
@given(routings(), st.sampled_from(["probs", "position", "batch_priority"]), st.sampled_from([0.5, 1.0, 1.5]))
def test_sequences_compete_among_themselves_alone(routing, policy, factor):
    """One batch of three sequences is the three sequences, one at a time."""
    experts, weights, valid, num_experts, _ = routing
    sequence, limits = torch.arange(len(experts)) % 3, Capacity(factor=factor, scope="sequence", drop_policy=policy)
    found = rooms(limits, factor, valid, sequence, shape=(len(experts), num_experts, experts.shape[1]))
    kept = keep(experts, weights, valid, slots=found, drop_policy=policy)
    kept = torch.ones_like(experts, dtype=torch.bool) if kept is None else kept
    for number in range(3):
        mine = sequence == number
        text = None if valid is None else valid[mine]
        tokens = int(mine.sum()) if text is None else int(text.sum())
        slots = room(factor, tokens=tokens, num_experts=num_experts, num_experts_per_tok=experts.shape[1])
        assert torch.equal(kept[mine], one_by_one(experts[mine], weights[mine], text, slots, policy))


def test_a_fixed_room_does_not_depend_on_the_batch():
    limits = Capacity(factor=1.25, tokens=64)
    for size in (1, 64, 500):
        assert rooms(limits, 1.25, None, None, shape=(size, 8, 2)).slots == (20,)
    assert rooms(Capacity(), None, None, None, shape=(9, 8, 2)) is None


def test_prefix_stable_is_what_it_says():
    assert Capacity(factor=1.0, drop_policy="position", scope="sequence", tokens=32).prefix_stable
    for other in ({"drop_policy": "probs"}, {"scope": "batch"}, {"tokens": None}):
        asked = {"factor": 1.0, "drop_policy": "position", "scope": "sequence", "tokens": 32} | other
        assert not Capacity(**asked).prefix_stable


def test_dropped_weight_goes_to_the_calls_that_remain():
    weights = torch.tensor([[0.6, 0.3], [0.5, 0.5], [0.2, 0.1]], requires_grad=True)
    kept = torch.tensor([[True, False], [False, False], [True, True]])
    result = renormalized(weights, kept)
    assert torch.allclose(result, torch.tensor([[0.9, 0.0], [0.0, 0.0], [0.2, 0.1]]))
    assert torch.autograd.grad(result.sum(), weights)[0].isfinite().all()
