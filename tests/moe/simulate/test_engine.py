"""The simulator does what the rules' own acts do, seed by seed, step by step."""

import pytest
import torch

from trimtab.moe import capacity
from trimtab.moe.balancers import Context, behavior, dither, margins
from trimtab.moe.routing import Routing, drop_rate, max_violation
from trimtab.moe.simulate.engine import SimulatedArm, run
from trimtab.moe.simulate.streams import Fixed, Shape, Stationary
from trimtab.settings.rules import BIP, LossFree, NewtonBalancing, NoBalancer, QuantileBalancing

SHAPE = Shape(tokens=96, num_experts=8, num_experts_per_tok=2)
SEEDS = (3, 4)


def by_hand(arm, stream, seed, steps):
    """Route, drop, observe and update one seed with the objects of training."""
    draw, rule = stream.open(SHAPE, seed), behavior(arm.balancer)
    state = rule.initial(8)
    slots = capacity.room(arm.factor, tokens=96, num_experts=8, num_experts_per_tok=2)
    violations, drops = [], []
    for number in range(1, steps + 1):
        logits = draw(number)
        context = Context(training=True, num_experts_per_tok=2, score_function="sigmoid", load_signal=arm.signal)
        experts = rule.select(logits.sigmoid(), state, context).topk(2).indices
        weights = logits.sigmoid().gather(1, experts)
        kept = capacity.keep(experts, weights, None, slots=slots)
        routing = Routing(logits=logits, experts=experts, weights=weights, score_function="sigmoid", kept=kept)
        violations.append(max_violation(routing.load))
        drops.append(drop_rate(routing.load, routing.kept_load))
        state = rule.update(state, rule.observe(routing, state, context), number)
    return state, violations, drops


@pytest.mark.parametrize(
    "arm",
    [
        SimulatedArm(name="sign", balancer=LossFree(bias_update_rate=1e-2)),
        SimulatedArm(
            name="kept", balancer=LossFree(bias_update_rate=1e-2, update="proportional"), factor=0.8, signal="kept"
        ),
        SimulatedArm(name="newton", balancer=NewtonBalancing(), factor=1.0),
        SimulatedArm(name="quantile", balancer=QuantileBalancing()),
        SimulatedArm(name="bip", balancer=BIP()),
        SimulatedArm(name="none", balancer=NoBalancer()),
    ],
    ids=lambda arm: arm.name,
)
def test_all_seeds_at_once_are_each_seed_alone_step_for_step(arm):
    stream = Stationary(skew=2.0)
    (trace,) = run(stream, SHAPE, [arm], seeds=SEEDS, steps=12)
    for lane, seed in enumerate(SEEDS):
        state, violations, drops = by_hand(arm, stream, seed, 12)
        assert trace.max_violation[:, lane].tolist() == pytest.approx(violations, abs=1e-6)
        assert trace.dropped[:, lane].tolist() == pytest.approx(drops, abs=1e-6)
        assert torch.allclose(trace.state[lane], state, rtol=1e-5, atol=1e-6)


def test_rules_in_company_do_what_they_do_alone():
    arms = [
        SimulatedArm(name="a", balancer=LossFree(bias_update_rate=1e-2)),
        SimulatedArm(name="b", balancer=NewtonBalancing()),
    ]
    together = run(Stationary(), SHAPE, arms, seeds=SEEDS, steps=6)
    for arm, trace in zip(arms, together, strict=True):
        (alone,) = run(Stationary(), SHAPE, [arm], seeds=SEEDS, steps=6)
        assert torch.equal(alone.state, trace.state)


def test_below_capacity_one_a_bias_that_counts_kept_calls_stalls_and_padded_it_never_moves():
    """FRAMEWORKS 3.1: MaxVio 0.016 counted before drops; 1.66 after them at C = 0.5; no movement at all padded."""
    shape = Shape(tokens=512, num_experts=8)
    arms = [
        SimulatedArm(name=signal, balancer=LossFree(bias_update_rate=5e-3), factor=0.5, signal=signal)
        for signal in ("routed", "kept", "padded")
    ]
    routed, kept, padded = run(Fixed(), shape, arms, seeds=[0], steps=150)
    assert routed.max_violation[-1, 0] < 0.1
    assert kept.max_violation[-1, 0] > 0.5
    assert not padded.state.any()
    assert routed.dropped[-1, 0] == pytest.approx(0.5)


def test_what_comes_back_can_be_worked_with_and_rules_used_before_can_be_trained():
    """The simulator works in inference mode; nothing of it may be left in traces or in what rules keep."""
    (trace,) = run(
        Stationary(), SHAPE, [SimulatedArm(name="", balancer=NewtonBalancing(dither=1e-3))], seeds=SEEDS, steps=2
    )
    assert not any(getattr(trace, name).is_inference() for name in trace.__slots__)
    kept = (*margins._edges(), margins._bins(torch.device("cpu")), dither._directions(8))
    assert not any(tensor.is_inference() for tensor in kept)
