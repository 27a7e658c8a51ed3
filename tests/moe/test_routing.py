"""Routing statistics against their definitions, and their floors against simulation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from trimtab.moe import routing
from trimtab.moe.routing import Routing


def simulate_uniform(tokens, num_experts, top_k, draws):
    rng = np.random.default_rng(0)
    for _ in range(draws):
        chosen = rng.random((tokens, num_experts)).argpartition(top_k - 1, axis=1)[:, :top_k]
        yield np.bincount(chosen.ravel(), minlength=num_experts)


@pytest.mark.parametrize(
    ("tokens", "num_experts", "top_k"),
    [(1024, 16, 2), (4096, 8, 2), (4096, 16, 2), (64, 8, 2), (16, 8, 2), (256, 64, 8), (300, 8, 7), (500, 32, 1)],
)
def test_max_violation_floor_is_what_a_uniform_router_shows(tokens, num_experts, top_k):
    loads = simulate_uniform(tokens, num_experts, top_k, 400)
    values = [load.max() / (tokens * top_k / num_experts) - 1 for load in loads]
    error = np.std(values) / math.sqrt(len(values))
    floor = routing.max_violation_floor(tokens, num_experts, top_k)
    assert floor == pytest.approx(np.mean(values), rel=0.02, abs=3 * error)


def test_max_violation_floor_at_its_edges():
    assert routing.max_violation_floor(1, 8, 2) == 3.0  # the one token's experts have 4 times the mean
    assert routing.max_violation_floor(0, 8, 2) == 0.0
    assert routing.max_violation_floor(100, 4, 4) == 0.0
    assert routing.max_violation_floor(1024, 16, 2) == pytest.approx(0.153, abs=0.002)
    assert routing.max_violation_floor(10**7, 16, 2) < 0.002


@pytest.mark.parametrize(
    ("num_experts", "top_k", "mean", "expected"),
    [(1000, 1, 1, 0.101), (1000, 1, 16, 0.0224), (1000, 1, 128, 8e-5), (8, 1, 32, 0.0054), (16, 1, 64, 0.0011)],
)
def test_drop_floor_agrees_with_known_values_at_factor_1_25(num_experts, top_k, mean, expected):
    tokens, room = mean * num_experts // top_k, math.ceil(1.25 * mean)
    assert routing.drop_floor(tokens, num_experts, top_k, room) == pytest.approx(expected, rel=0.15)


def test_drop_floor_is_what_a_uniform_router_drops():
    loads = list(simulate_uniform(256, 8, 2, 2000))
    dropped = np.mean([np.maximum(load - 70, 0).sum() / 512 for load in loads])
    assert routing.drop_floor(256, 8, 2, 70) == pytest.approx(dropped, rel=0.05)


@given(tokens=st.integers(0, 60), num_experts=st.integers(2, 9), top_k=st.integers(1, 9), room=st.integers(0, 70))
def test_expected_drops_is_the_sum_over_the_binomial(tokens, num_experts, top_k, room):
    top_k = min(top_k, num_experts)
    counts = np.arange(tokens + 1)
    chances = binom.pmf(counts, tokens, top_k / num_experts)
    expected = num_experts * float((np.maximum(counts - room, 0) * chances).sum())
    assert routing.expected_drops(tokens, num_experts, top_k, room) == pytest.approx(expected, abs=1e-9)


def test_dropless_has_no_drop_floor():
    assert routing.drop_floor(100, 8, 2, None) == 0.0
    assert routing.drop_floor(0, 8, 2, 3) == 0.0


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=40))
def test_statistics_of_a_load(calls):
    load = torch.tensor(calls)
    violation, spread = routing.max_violation(load), routing.entropy(load)
    assert 0 <= violation <= len(calls) - 1 + 1e-9
    assert -1e-12 <= spread <= 1 + 1e-12
    if sum(calls):
        mean = sum(calls) / len(calls)
        assert violation == pytest.approx((max(calls) - mean) / mean)
        assert routing.dead_experts(load) == sum(call < 0.1 * mean for call in calls)
        if max(calls) == sum(calls):
            assert violation == pytest.approx(len(calls) - 1)
            assert spread == pytest.approx(0)
    else:
        assert (violation, spread, routing.dead_experts(load)) == (0.0, 1.0, 0)


def test_equal_loads_are_balanced():
    load = torch.full((16,), 7)
    assert (routing.max_violation(load), routing.dead_experts(load)) == (0.0, 0)
    assert routing.entropy(load) == pytest.approx(1)


def test_drop_rate_and_bias_spread():
    assert routing.drop_rate(torch.tensor([6, 2]), torch.tensor([4, 2])) == pytest.approx(0.25)
    assert routing.drop_rate(torch.tensor([0, 0]), torch.tensor([0, 0])) == 0.0
    assert routing.bias_spread(torch.tensor([0.5, -0.25, 0.0])) == 0.75
    assert routing.bias_spread(None) == 0.0


def test_loads_leave_padding_and_dropped_calls_out():
    made = Routing(
        logits=torch.zeros(3, 4),
        experts=torch.tensor([[0, 1], [1, 2], [1, 3]]),
        weights=torch.ones(3, 2),
        score_function="sigmoid",
        kept=torch.tensor([[True, True], [False, True], [False, False]]),
        valid=torch.tensor([True, True, False]),
    )
    assert made.load.tolist() == [1, 2, 1, 0]
    assert made.kept_load.tolist() == [1, 1, 1, 0]
    assert made.select(made.experts).tolist() == [[0, 1], [1, 2]]
    assert (made.num_experts, made.num_experts_per_tok) == (4, 2)


def test_scores_are_float32_whatever_the_logits():
    logits = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.bfloat16)
    for name in ("sigmoid", "softmax"):
        scores = routing.scores_of(logits, name)
        assert scores.dtype == torch.float32
        assert torch.equal(scores, routing.scores_of(logits.float(), name))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_counts_on_a_device_are_those_of_bincount(dtype):
    drawn = torch.randint(0, 7, (50, 2), generator=torch.Generator().manual_seed(2)).to(dtype)
    expected = torch.bincount(drawn.flatten(), minlength=9)
    assert torch.equal(routing.counted_on_device(drawn.flatten(), 9), expected)
    assert torch.equal(routing.counted(drawn, 9), expected)
