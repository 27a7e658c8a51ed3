"""Rules that are no top-k, against loops that do what their equations say."""

import math

import numpy as np
import pytest
import torch

from trimtab.errors import ConfigurationError, UnsupportedModelError
from trimtab.moe.attach import attach
from trimtab.moe.simulate import measures, names
from trimtab.moe.simulate.choices import DynamicThreshold, ExpertChoice, leaked_bits
from trimtab.moe.simulate.engine import SimulatedArm, run
from trimtab.moe.simulate.streams import Shape, Stationary
from trimtab.settings.rules import LossFree, NoBalancer, Stack

SHAPE = Shape(tokens=90, num_experts=8, num_experts_per_tok=2)
STREAM = Stationary(skew=1.0)


def scores_of_batch(number=1, seed=5):
    return STREAM.open(SHAPE, seed)(number).sigmoid()


def chosen_by_experts(scores, taken):
    """Sort each expert's tokens; an expert takes the first ones."""
    rows = scores.tolist()
    best = [sorted(range(len(rows)), key=lambda t: -rows[t][e])[:taken] for e in range(len(rows[0]))]
    return [[t in best[e] for e in range(len(rows[0]))] for t in range(len(rows))]


@pytest.mark.parametrize(("factor", "taken"), [(None, 22), (2.0, 22), (1.0, 11), (0.01, 1), (99.0, 90)])
def test_each_expert_takes_the_tokens_that_score_highest_with_it(factor, taken):
    rule, scores = ExpertChoice(capacity_factor=factor), scores_of_batch()
    assert rule.taken(SHAPE) == taken
    chosen = rule.choose(scores[None], torch.zeros(1, 8), SHAPE)[0]
    assert chosen.tolist() == chosen_by_experts(scores, taken)
    assert chosen.sum(0).tolist() == [taken] * 8


def test_a_factor_that_means_a_whole_number_takes_it():
    shape = Shape(tokens=100, num_experts=8, num_experts_per_tok=2)
    assert ExpertChoice(capacity_factor=0.56).taken(shape) == 7  # 0.56 · 100 / 8 is 7.000000000000001 or just below


def test_later_tokens_change_what_experts_chose_before_and_never_what_a_threshold_did():
    before, state = scores_of_batch(), torch.full((1, 8), -0.6)
    after = before.clone()
    after[50:] = after[50:].flip(1) ** 0.5
    for rule in (ExpertChoice(), DynamicThreshold()):
        chosen = [rule.choose(scores[None], state, SHAPE)[0, :50] for scores in (before, after)]
        assert torch.equal(*chosen) == rule.causal


def test_what_expert_choice_tells_of_later_tokens_is_the_papers_example():
    assert leaked_bits(16, 2) == pytest.approx(5.61, abs=0.01)
    assert 9 * leaked_bits(16, 2) == pytest.approx(50.5, abs=0.1)


def threshold_by_hand(rule, bias, scores):
    """Return who is chosen and the bias after the batch, number by number."""
    rows, experts = scores.tolist(), range(8)
    chosen = [[row[e] + bias[e] > 0 for e in experts] for row in rows]
    if rule.rule == "quantile":
        share = 2 * len(rows) // 8
        found = [sorted((row[e] for row in rows), reverse=True)[share] for e in experts]
        return chosen, [rule.ema * bias[e] - (1 - rule.ema) * found[e] for e in experts]
    calls = [sum(row[e] for row in chosen) / len(rows) for e in experts]
    if rule.rule == "sign":
        return chosen, [bias[e] - rule.bias_update_rate * np.sign(calls[e] - 2 / 8) for e in experts]
    total = sum(calls)
    uneven = [np.sign(calls[e] / total - 1 / 8) if total else 0 for e in experts]
    step = [u - sum(uneven) / 8 + np.sign(total - 2) for u in uneven]
    return chosen, [bias[e] - rule.bias_update_rate * step[e] for e in experts]


THRESHOLDS = [
    DynamicThreshold(),
    DynamicThreshold(ema=0.9),
    DynamicThreshold(rule="sign", bias_update_rate=0.02),
    DynamicThreshold(rule="budget", bias_update_rate=0.02),
]


@pytest.mark.parametrize("rule", THRESHOLDS, ids=repr)
def test_a_threshold_moves_as_its_equation_says(rule):
    state = rule.initial(SHAPE, "sigmoid")[None]
    bias = state[0].tolist()
    for number in range(1, 7):
        scores = scores_of_batch(number)
        chosen = rule.choose(scores[None], state, SHAPE)
        wanted, bias = threshold_by_hand(rule, bias, scores)
        assert chosen[0].tolist() == wanted
        state = rule.update(state, scores[None], chosen.sum(1), SHAPE)
        assert state[0].tolist() == pytest.approx(bias, abs=1e-6)


def test_the_quantile_would_have_balanced_the_batch_it_comes_from():
    rule, scores = DynamicThreshold(), scores_of_batch()[None]
    state = rule.update(torch.zeros(1, 8), scores, torch.zeros(1, 8), SHAPE)
    assert rule.choose(scores, state, SHAPE).sum(1).tolist() == [[22] * 8]


@pytest.mark.parametrize("score_function", ["sigmoid", "softmax"])
def test_the_bias_to_start_from_is_what_bisection_finds(score_function):
    """Su's way, kexue.fm 10815: halve until a common bias gives K experts a token."""
    shape = Shape(tokens=1, num_experts=16, num_experts_per_tok=2)
    logits = torch.randn(40_000, 16, generator=torch.Generator().manual_seed(3)) * 1.5
    scores = logits.sigmoid() if score_function == "sigmoid" else logits.softmax(-1)
    low, high = -1.0, 0.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if float((scores + middle > 0).sum(1).float().mean()) > 2 else (middle, high)
    bias = DynamicThreshold(logit_std=1.5).initial(shape, score_function)
    assert bias.tolist() == pytest.approx([low] * 16, abs=0.005)
    assert not DynamicThreshold(logit_std=0.0).initial(shape, score_function).any()


@pytest.mark.parametrize("rule", [ExpertChoice(capacity_factor=3.0), *THRESHOLDS], ids=repr)
@pytest.mark.parametrize("factor", [None, 0.6])
def test_a_trace_says_what_happened_batch_for_batch(rule, factor):
    slots = 90 if factor is None else math.ceil(factor * 2 * 90 / 8)
    seeds, steps = (3, 4), 5
    (trace,) = run(STREAM, SHAPE, [SimulatedArm(name="", balancer=rule, factor=factor)], seeds=seeds, steps=steps)
    for lane, seed in enumerate(seeds):
        state = rule.initial(SHAPE, "sigmoid")[None]
        for number in range(1, steps + 1):
            scores = scores_of_batch(number, seed)
            chosen = rule.choose(scores[None], state, SHAPE)[0]
            calls = [[t for t in range(90) if chosen[t, e]] for e in range(8)]
            kept = [sorted(ts, key=lambda t, e=e: -float(scores[t, e]))[:slots] for e, ts in enumerate(calls)]
            served = [sum(t in ts for ts in kept) for t in range(90)]
            seen = {name: float(getattr(trace, name)[number - 1, lane]) for name in trace.__slots__[:7]}
            load, total = [len(ts) for ts in calls], sum(map(len, calls))
            assert seen["max_violation"] == pytest.approx(max(load) / (total / 8) - 1, abs=1e-5)
            assert seen["dropped"] == pytest.approx(1 - sum(map(len, kept)) / total, abs=1e-5)
            affinity = sum(float(scores[t, e]) for e, ts in enumerate(kept) for t in ts) / 90
            assert seen["affinity"] == pytest.approx(affinity, abs=1e-5)
            assert seen["served"] == pytest.approx(sum(served) / 90, abs=1e-5)
            assert seen["alone"] == pytest.approx(served.count(0) / 90, abs=1e-6)
            state = rule.update(state, scores[None], chosen.sum(0)[None], SHAPE)
        assert torch.allclose(trace.state[lane], state[0], atol=1e-6)


def test_top_k_serves_k_experts_or_what_room_leaves():
    arms = [SimulatedArm(name="", balancer=NoBalancer(), factor=factor) for factor in (None, 0.5)]
    dropless, tight = run(STREAM, SHAPE, arms, seeds=[1], steps=2)
    assert torch.equal(dropless.served, torch.full((2, 1), 2.0))
    assert not dropless.alone.any()
    assert torch.allclose(tight.served, 2 * (1 - tight.dropped))
    assert (tight.alone > 0.1).all()


def test_cells_of_rules_that_are_no_top_k():
    arms = [
        SimulatedArm(name=text, balancer=names.rule(text)) for text in ("ExpertChoice()", "DynamicThreshold(ema=0.5)")
    ]
    cells, _ = measures.run(("iid", STREAM), SHAPE, arms, seeds=[1], steps=24)
    assert [cell.regret for cell in cells] == [None, None]  # the dual is that of top-k
    experts, threshold = cells
    assert (experts.tail, experts.dropped, experts.recovery) == (0, 0, 0)
    assert experts.experts_per_token == pytest.approx(22 * 8 / 90)
    assert threshold.experts_per_token == pytest.approx(2, rel=0.05)
    assert 0.02 < experts.unserved < 0.3
    assert experts.affinity > 1  # not bound to two experts a token


def test_a_batch_that_nobody_wants_is_no_division_by_zero():
    rule = DynamicThreshold(rule="budget", bias_update_rate=0.1)
    arm = SimulatedArm(name="", balancer=rule, start=torch.full((1, 8), -2.0))
    (trace,) = run(STREAM, SHAPE, [arm], seeds=[1], steps=1)
    assert (float(trace.served), float(trace.alone), float(trace.max_violation), float(trace.dropped)) == (0, 1, 0, 0)
    assert torch.allclose(trace.state, torch.full((1, 8), -1.9))


@pytest.mark.parametrize("rule", [ExpertChoice(), DynamicThreshold()], ids=repr)
def test_no_model_can_be_attached_to_and_no_stack_holds_them(rule):
    with pytest.raises(ConfigurationError, match="exactly K experts a token") as caught:
        attach(torch.nn.Linear(2, 2), balancer=rule)
    assert "trimtab simulate" in caught.value.hint
    with pytest.raises(ConfigurationError):
        Stack(rule, LossFree(bias_update_rate=1e-3))
    with pytest.raises(UnsupportedModelError):  # a rule is let through to the model
        attach(torch.nn.Linear(2, 2), balancer=LossFree(bias_update_rate=1e-3))


@pytest.mark.parametrize(
    "text",
    [
        "ExpertChoice(capacity_factor=0)",
        "DynamicThreshold(rule='sign')",
        "DynamicThreshold(bias_update_rate=1e-3)",
        "DynamicThreshold(rule='sgn', bias_update_rate=1e-3)",
        "DynamicThreshold(rule='sign', bias_update_rate=-1)",
        "DynamicThreshold(rule='budget', bias_update_rate=1e-3, ema=0.5)",
        "DynamicThreshold(ema=1.0)",
        "DynamicThreshold(logit_std=-1)",
        "Choice()",
    ],
)
def test_what_cannot_work_is_refused(text):
    with pytest.raises(ConfigurationError):
        names.rule(text)
