"""Rerouting, against calls served one at a time."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.moe.capacity import priority, rooms
from trimtab.moe.reroute import reroute
from trimtab.settings.capacities import Capacity


def one_by_one(choice, weight, top_k, slots, policy):
    """Gale and Shapley with one offer at a time: {(token, slot): expert}."""
    tokens, num_experts = choice.shape
    wishes = [[e for e in row.argsort(descending=True, stable=True).tolist() if row[e] > -math.inf] for row in choice]
    rest = [wish[top_k:] for wish in wishes]
    holds = {e: [] for e in range(num_experts)}
    waiting = [(t, s, wishes[t][s]) for t in range(tokens) for s in range(top_k)]

    def before(call, expert):
        t, s = call
        return (-float(weight[t, expert]) if policy == "probs" else 0.0, t * top_k + s)

    while waiting:
        t, s, expert = waiting.pop(0)
        holds[expert].append((t, s))
        holds[expert].sort(key=lambda call: before(call, expert))
        waiting += [(*lost, rest[lost[0]].pop(0)) for lost in holds[expert][slots:] if rest[lost[0]]]
        del holds[expert][slots:]
    return {call: expert for expert, calls in holds.items() for call in calls}


def drawn(seed, tokens, num_experts):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(tokens, num_experts, generator=generator) + torch.linspace(1, 0, num_experts)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    tokens=st.integers(1, 14),
    num_experts=st.integers(2, 6),
    slots=st.integers(0, 8),
    policy=st.sampled_from(["probs", "position"]),
)
def test_one_expert_a_token_is_the_stable_matching(seed, tokens, num_experts, slots, policy):
    choice = drawn(seed, tokens, num_experts)
    experts = choice.topk(1).indices
    limits = Capacity(factor=1.0, min_capacity=0)
    found = rooms(limits, 1e-9, None, None, shape=(tokens, num_experts, 1))
    found = type(found)(slots=(slots,), tokens=(tokens,))
    ours, kept = reroute(experts, choice, choice if policy == "probs" else None, None, found, None)
    theirs = one_by_one(choice, choice, 1, slots, policy)
    assert {(int(t), int(s)): int(ours[t, s]) for t, s in kept.nonzero()} == theirs


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    tokens=st.integers(1, 30),
    top_k=st.integers(1, 3),
    slots=st.integers(1, 12),
    policy=st.sampled_from(["probs", "position", "random", "batch_priority"]),
)
def test_nobody_is_turned_away_while_a_place_is_free(seed, tokens, top_k, slots, policy):
    choice = drawn(seed, tokens, 6)
    experts = choice.topk(top_k).indices
    weights = choice.gather(1, experts)
    found = rooms(Capacity(factor=1.0), 1.0, None, None, shape=(tokens, 6, top_k))
    found = type(found)(slots=(slots,), tokens=(tokens,))
    key = priority(weights, policy, torch.Generator().manual_seed(0))
    ours, kept = reroute(experts, choice, choice if policy == "probs" else None, None, found, key)
    load = torch.bincount(ours[kept], minlength=6)
    assert int(load.max()) <= slots
    assert all(len(set(row[mask].tolist())) == int(mask.sum()) for row, mask in zip(ours, kept, strict=True))
    free = (load < slots).nonzero().flatten().tolist()
    for token in (~kept).any(1).nonzero().flatten().tolist():
        assert set(free) <= set(ours[token][kept[token]].tolist())
    assert torch.equal(ours[~kept], experts[~kept])


def test_by_position_a_later_token_changes_nothing_for_an_earlier_one():
    choice = drawn(3, 40, 6)
    found = rooms(Capacity(factor=1.0, tokens=30), 1.0, None, None, shape=(40, 6, 2))
    results = []
    for tokens in (25, 40):
        part = choice[:tokens]
        results.append(reroute(part.topk(2).indices, part, None, None, found, None))
    assert torch.equal(results[0][0], results[1][0][:25])
    assert torch.equal(results[0][1], results[1][1][:25])


def test_forbidden_experts_are_never_offered():
    choice = drawn(4, 20, 6)
    choice[:, 4:] = -math.inf
    found = rooms(Capacity(factor=1.0, tokens=6), 1.0, None, None, shape=(20, 6, 2))
    ours, kept = reroute(choice.topk(2).indices, choice, choice, None, found, None)
    assert int(ours[kept].max()) < 4
