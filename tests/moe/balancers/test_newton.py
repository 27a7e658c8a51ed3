"""Newton balancing: its histogram against sorting, its fixed point against an exact solver, its promises one by one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.errors import ConfigurationError
from trimtab.moe import dual
from trimtab.moe.balancers import Context, behavior, margins
from trimtab.moe.routing import Routing, max_violation_floor
from trimtab.moe.simulate import measures
from trimtab.moe.simulate.engine import SimulatedArm, run
from trimtab.moe.simulate.streams import Drifting, Jumping, Shape, Stationary, Twins
from trimtab.settings.rules import NewtonBalancing

RULE = behavior(NewtonBalancing())
CONTEXT = Context(training=True, num_experts_per_tok=2, score_function="sigmoid")
SHAPE = Shape()
FLOOR = max_violation_floor(1024, 16, 2)


def route(logits, state):
    scores = logits.sigmoid()
    experts = (scores + state[: logits.shape[1]]).topk(2).indices
    return Routing(logits=logits, experts=experts, weights=scores.gather(1, experts), score_function="sigmoid")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.floats(1e-5, 10), rank=st.integers(1, 50))
def test_quantiles_are_those_of_sorting_to_a_bin(seed, scale, rank):
    values = scale * torch.randn(50, 3, generator=torch.Generator().manual_seed(seed))
    found = margins.from_top(margins.histogram(values), torch.full((3,), rank))
    exact = values.sort(dim=0, descending=True).values[rank - 1]
    assert torch.allclose(found, exact, rtol=1 / 8, atol=2.0**-23)


def test_what_it_observes_adds_up_over_micro_batches():
    logits = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    state = RULE.initial(8)
    state[-64:] = 0.05
    whole = RULE.observe(route(logits, state), state, CONTEXT)
    parts = sum(RULE.observe(route(part, state), state, CONTEXT) for part in logits.split(24))
    assert torch.equal(whole, parts)
    assert whole.shape == RULE.nothing(8).shape
    assert int(whole[:, -1].sum()) == 128


def test_a_step_without_tokens_changes_nothing():
    state = RULE.initial(8)
    assert torch.equal(RULE.update(state, RULE.nothing(8), 1), state)


def test_a_token_that_takes_every_expert_is_refused():
    logits = torch.randn(4, 2)
    with pytest.raises(ConfigurationError, match="2 of 2"):
        RULE.observe(route(logits, torch.zeros(2)), RULE.initial(2), CONTEXT)


def test_on_frozen_scores_it_ends_at_the_dual_optimum_of_the_exact_solver():
    scores = torch.rand(200, 6, generator=torch.Generator().manual_seed(2))
    optimum, state = dual.lp_optimum(scores, 2), RULE.initial(6)
    for step in range(1, 40):
        state = RULE.update(state, RULE.observe(route(torch.logit(scores), state), state, CONTEXT), step)
    reached = float(dual.dual_value(scores.double(), state[:6].double(), 2))
    assert optimum.value - 1e-6 <= reached <= optimum.value * (1 + 2e-4)


@pytest.fixture(scope="module")
def traces():
    arm = SimulatedArm(name="", balancer=RULE)
    return {
        skew: run(Stationary(skew=skew), SHAPE, [arm], seeds=[5], steps=100)[0].max_violation for skew in (3, 6, -6)
    }


@pytest.mark.parametrize("skew", [3, 6, -6])
def test_it_recovers_from_the_worst_starts(traces, skew):
    assert measures.recovery(traces[skew][:, 0], 0.5) <= 20


@pytest.mark.parametrize("skew", [3, 6, -6])
def test_it_settles_at_the_floor_within_fifty_batches(traces, skew):
    assert traces[skew][-50:].mean() < FLOOR + 0.02


def test_its_error_vanishes_on_a_stationary_stream():
    (trace,) = run(Stationary(), SHAPE, [SimulatedArm(name="", balancer=RULE)], seeds=[6], steps=120)
    regret = trace.dual - trace.dual[-40:].mean(0)
    assert trace.max_violation[-60:].mean() < FLOOR + 0.01
    assert float(trace.state[:, 16].min()) > 30  # N has grown with the run
    assert float(regret[60:80].mean()) < float(regret[:10].mean())


def test_it_notices_that_scores_have_changed():
    arm = SimulatedArm(name="", balancer=RULE)
    (jump,) = run(Jumping(at=60), SHAPE, [arm], seeds=[8], steps=90)
    assert jump.max_violation[70:, 0].max() < 0.5
    (drift,) = run(Drifting(), SHAPE, [arm], seeds=[8], steps=120)
    assert drift.max_violation[-40:].mean() < FLOOR + 0.08
    assert float(drift.state[:, 16].max()) < 100  # N stays at what the drift allows


def test_near_twins_are_told_apart_and_exact_ones_cannot_be():
    near, exact = (
        run(stream, SHAPE, [SimulatedArm(name="", balancer=RULE)], seeds=[9], steps=100)[0]
        for stream in (Twins(noise=1e-3), Twins())
    )
    assert near.max_violation[-30:].mean() < FLOOR + 0.05
    assert exact.max_violation[-30:].mean() > 0.5  # T6: no bias can


def test_below_capacity_one_it_still_balances_demand():
    (trace,) = run(Stationary(skew=3), SHAPE, [SimulatedArm(name="", balancer=RULE, factor=0.75)], seeds=[3], steps=60)
    assert trace.max_violation[-20:].mean() < FLOOR + 0.03
    assert float(trace.dropped[-20:].mean()) == pytest.approx(0.25, abs=0.005)
