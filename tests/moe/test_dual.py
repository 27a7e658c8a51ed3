"""Theorems of ALF-LB's dual (arXiv 2512.03915) on frozen and on random scores, with an exact solver as oracle."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.errors import ConfigurationError
from trimtab.moe import dual
from trimtab.moe.balancers import behavior
from trimtab.moe.routing import max_violation
from trimtab.settings.rules import LossFree


def draw(seed, tokens=60, experts=6):
    return torch.rand(tokens, experts, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def walk(rule, scores, top_k, steps=200):
    """Yield each step of a rule on frozen scores."""
    bias = torch.zeros(scores.shape[1], dtype=torch.float64)
    for number in range(1, steps + 1):
        after = rule.update(bias, dual.assign(scores, bias, top_k).sum(0), number)
        yield dual.Step(scores=scores, before=bias, after=after, top_k=top_k)
        bias = after


RULES = [
    behavior(LossFree(bias_update_rate=1e-3)),
    behavior(LossFree(bias_update_rate=1e-2)),
    behavior(LossFree(bias_update_rate=1e-1, schedule="inv_sqrt")),
    behavior(LossFree(bias_update_rate=1e-2, update="proportional")),
]


# T1: the identity


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("top_k", [1, 2, 4])
def test_t1_the_lagrangian_changes_by_benefit_minus_step(rule, top_k):
    for step in walk(rule, draw(top_k), top_k, steps=100):
        size = float(dual.dual_value(step.scores, step.before, top_k).abs())
        assert step.switching_benefit().min() >= -1e-12
        assert float(step.change()) == pytest.approx(float(step.predicted_change()), abs=1e-12 * size)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), top_k=st.integers(1, 4), scale=st.floats(1e-4, 10.0), experts=st.integers(4, 9))
def test_t1_holds_for_any_step_whatever(seed, top_k, scale, experts):
    scores = draw(seed, 24, experts)
    moves = scale * (draw(seed + 1, 2, experts) - 0.5)
    step = dual.Step(scores=scores, before=moves[0], after=moves[1], top_k=top_k)
    size = 1 + float(scores.abs().sum() + 24 * moves.abs().sum())
    assert float(step.change()) == pytest.approx(float(step.predicted_change()), abs=1e-12 * size)


def test_t1_for_the_proportional_rule_the_step_is_the_squared_imbalance():
    rule = behavior(LossFree(bias_update_rate=1e-2, update="proportional"))
    for step in walk(rule, draw(5), 2, steps=20):
        # p' − p = u (L − A)/L, so ε = u/L for every expert.
        epsilon = 1e-2 / dual.target(step.scores, 2)
        expected = step.switching_benefit().sum() - epsilon * step.excess.square().sum()
        assert float(step.predicted_change()) == pytest.approx(float(expected), abs=1e-12)


# T1b: descent


@pytest.mark.parametrize("top_k", [1, 2])
@pytest.mark.parametrize("rate", [1e-3, 1e-2])
def test_t1b_the_lagrangian_falls_while_swaps_do_not_exceed_half_the_imbalance(rate, top_k):
    steps = list(walk(behavior(LossFree(bias_update_rate=rate)), draw(7), top_k, steps=300))
    changes = [float(step.change()) for step in steps if step.descends()]
    assert changes
    assert max(changes) <= 1e-12


def test_t1b_too_large_a_step_breaks_the_condition_and_then_the_lagrangian_can_rise():
    steps = list(walk(behavior(LossFree(bias_update_rate=0.2)), draw(7), 2, steps=300))
    assert max(float(step.change()) for step in steps if not step.descends()) > 0


# T2: who moves where


@pytest.mark.parametrize("top_k", [1, 2, 4])
@pytest.mark.parametrize("rate", [1e-3, 1e-2])
def test_t2_an_overloaded_expert_gains_no_token_and_an_underloaded_one_loses_none(rate, top_k):
    moved = 0
    for step in walk(behavior(LossFree(bias_update_rate=rate)), draw(11), top_k):
        gained, lost = step.newly & ~step.chosen, step.chosen & ~step.newly
        assert not gained[:, step.excess > 0].any()
        assert not lost[:, step.excess < 0].any()
        moved += step.swaps()
    assert moved > 10


def test_t2_the_proportional_rule_never_moves_a_token_to_a_more_loaded_expert():
    for step in walk(behavior(LossFree(bias_update_rate=5e-2, update="proportional")), draw(13), 1):
        load = step.chosen.sum(0)
        assert (load[step.newly.int().argmax(1)] <= load[step.chosen.int().argmax(1)]).all()


# T3: the band


def deviations_after_entry(scores, top_k, rate, steps):
    """Return (largest m, largest |A − L| after the band was entered), or None if it never was."""
    crossings, loads = [], []
    for step in walk(behavior(LossFree(bias_update_rate=rate)), scores, top_k, steps):
        crossings.append(step.crossings())
        loads.append(float(step.excess.abs().max()))
    limit = dual.band(max(crossings), scores.shape[1])
    entry = next((index for index, load in enumerate(loads) if load <= limit), None)
    return None if entry is None else (max(crossings), max(loads[entry:]))


@pytest.mark.parametrize("copies", [1, 4])
@pytest.mark.parametrize("top_k", [1, 2])
def test_t3_a_load_within_the_band_stays_there(copies, top_k):
    held = []
    for seed in range(3):
        scores = draw(100 + seed, 12, 4).repeat_interleave(copies, 0)
        found = deviations_after_entry(scores, top_k, rate=5e-4, steps=400)
        assert found is not None
        crossings, worst = found
        assert worst <= dual.band(crossings, 4)
        held.append(crossings == copies)
    assert any(held)  # the multiplicity of tokens is the m that is seen


@pytest.mark.parametrize(("copies", "expected"), [(1, 3.0), (4, 12.0)])
def test_t3_the_band_is_attained(copies, expected):
    """SCIENCE 2.3: worst deviation after entry 3 = E − 1 with m = 1, and 12 with m = 4."""
    # Expert 0 is overloaded and three tokens are about to leave it, each for another expert: all leave in one step.
    gap = torch.tensor([1e-4, 1e-4, 1e-4], dtype=torch.float64)
    eager = torch.full((3, 4), -1.0, dtype=torch.float64)
    eager[:, 0] = 0.0
    eager[torch.arange(3), torch.arange(1, 4)] = -gap
    settled = torch.eye(4, dtype=torch.float64)[[0, 1, 1, 2, 2, 3, 3, 1, 2]]  # expert 0 has 4 of 12, the others fewer
    scores = torch.cat([eager, settled]).repeat_interleave(copies, 0)
    steps = list(walk(behavior(LossFree(bias_update_rate=1e-3)), scores, 1, steps=2))
    assert steps[0].crossings() == copies
    before, after = steps[0].excess, steps[1].excess
    assert float((after - before).abs().max()) == expected == dual.band(copies, 4)


def test_t3_atoms_a_share_of_identical_tokens_sets_a_floor_that_no_bias_crosses():
    for share, experts, top_k in itertools.product((0.1, 0.25, 0.5), (8, 16), (1, 2)):
        scores = draw(3, 200, experts)
        scores[: int(200 * share)] = scores[0]
        floor = dual.atom_floor(share, experts, top_k)
        for seed in range(30):
            bias = draw(seed, 1, experts)[0]
            assert max_violation(dual.assign(scores, bias, top_k).sum(0)) >= floor - 1e-9
    assert dual.atom_floor(0.25, 16, 2) == 1.0
    assert dual.atom_floor(0.25, 16, 1) == 3.0
    assert dual.atom_floor(0.01, 16, 2) == 0.0


# T4: gradient, Hessian, regret


def normal(seed, tokens, experts, dtype=torch.float64):
    return torch.randn(tokens, experts, generator=torch.Generator().manual_seed(seed), dtype=dtype)


BIAS = torch.tensor([0.1, -0.2, 0.05, 0.0], dtype=torch.float64)


def test_t4_the_gradient_is_the_load_less_its_target():
    scores = normal(1, 100_000, 4).sigmoid()
    step = 1e-3
    for expert in range(4):
        nudge = step * torch.eye(4, dtype=torch.float64)[expert]
        rise = dual.dual_value(scores, BIAS + nudge, 2) - dual.dual_value(scores, BIAS - nudge, 2)
        measured = float(rise) / (2 * step * len(scores))
        assert measured == pytest.approx(float(dual.gradient(scores, BIAS, 2)[expert]) / len(scores), abs=5e-4)


def test_t4_the_hessian_is_a_graph_laplacian_and_the_derivative_of_the_gradient():
    scores, step = normal(2, 200_000, 4).sigmoid(), 1e-2
    found = dual.hessian(scores, BIAS, 2, bandwidth=1e-2)
    columns = [
        (dual.gradient(scores, BIAS + nudge, 2) - dual.gradient(scores, BIAS - nudge, 2)) / (2 * step * len(scores))
        for nudge in step * torch.eye(4, dtype=torch.float64)
    ]
    # Sampling: √(w / 2hT) ≈ 0.013 on the diagonal; the bandwidth biases by O(h) of the entry, 0.015.
    assert torch.allclose(found, torch.stack(columns), atol=0.05)
    assert found.sum(1).abs().max() < 1e-9
    assert found[~torch.eye(4, dtype=torch.bool)].max() <= 0
    values = torch.linalg.eigvalsh(found)
    assert abs(float(values[0])) < 1e-9
    assert float(values[1]) > 0.1


def regrets(rules, steps, experts=4, tokens=64):
    """Regret [rules, steps] against the best fixed bias (0 by symmetry) on i.i.d. scores, all rules on the same."""
    generator = torch.Generator().manual_seed(4)
    bias = torch.zeros(len(rules), experts, dtype=torch.float64)
    bias[..., 0], bias[..., 1] = 0.3, -0.3  # a start away from the optimum
    paid = torch.zeros(len(rules), steps, dtype=torch.float64)
    for number in range(1, steps + 1):
        scores = torch.randn(tokens, experts, generator=generator, dtype=torch.float64).sigmoid()
        scores = scores.expand(len(rules), -1, -1)
        values = dual.dual_value(scores, bias, 1) - dual.dual_value(scores, torch.zeros_like(bias), 1)
        paid[:, number - 1] = values / tokens
        load = dual.assign(scores, bias, 1).sum(-2)
        bias = torch.stack([r.update(b, c, number) for r, b, c in zip(rules, bias, load, strict=True)])
    return paid.cumsum(1)


def test_t4_regret_grows_with_the_logarithm_for_1_over_n_and_linearly_for_a_constant_sign():
    scores = normal(9, 100_000, 4).sigmoid()
    modulus = float(torch.linalg.eigvalsh(dual.hessian(scores, torch.zeros(4, dtype=torch.float64), 1, 0.02))[1])
    # u/n of the relative error (L − A)/L is E·u/n of K/E − A/T, so that u = 1/Eλ makes steps of 1/λn.
    rules = [
        behavior(LossFree(bias_update_rate=1 / (4 * modulus), update="proportional", schedule="inv")),
        behavior(LossFree(bias_update_rate=1 / (4 * modulus), update="proportional", schedule="inv_sqrt")),
        behavior(LossFree(bias_update_rate=0.01)),
    ]
    early, late = 200, 3000
    regret = regrets(rules, late)
    ratio = (regret[:, -1] / regret[:, early - 1]).tolist()
    assert ratio[0] < math.log(late) / math.log(early) * 1.2
    assert ratio[1] < math.sqrt(late / early) * 1.2
    halves = [float(regret[2, late // 2] - regret[2, early]), float(regret[2, -1] - regret[2, late // 2])]
    assert halves[1] / (late / 2) == pytest.approx(halves[0] / (late / 2 - early), rel=0.2)
    # E‖A/T − K/E‖² is (1 − 1/E)/T at the optimum and at most 2 anywhere; the start is away from it for some steps.
    assert float(regret[0, -1]) < dual.regret_bound(0.75 / 64 + 2 * 10 / late, modulus, late) + float(regret[0, 9])


def test_t4_the_plain_rule_keeps_the_sum_of_biases_and_the_sign_rule_does_not():
    def final(rule):
        *_, last = walk(rule, draw(21), 2, steps=50)
        return abs(float(last.after.sum()))

    assert final(behavior(LossFree(bias_update_rate=1e-2, update="proportional"))) < 1e-12
    assert final(behavior(LossFree(bias_update_rate=1e-2))) > 1e-3
    assert final(behavior(LossFree(bias_update_rate=1e-2, centered=True))) < 1e-12


# T5: how far a bias gets


@pytest.mark.parametrize("rate", [1e-3, 1e-2])
def test_t5_biases_spread_by_at_most_twice_their_step_a_step(rate):
    for number, step in enumerate(walk(behavior(LossFree(bias_update_rate=rate)), draw(17), 2), start=1):
        assert float(step.after.abs().max()) <= number * rate * (1 + 1e-12)
        assert float(step.after.max() - step.after.min()) <= dual.spread_bound(rate, number) * (1 + 1e-12)


@pytest.mark.parametrize("rate", [1e-3, 1e-2])
def test_t5_the_worst_gap_of_scores_is_closed_between_the_two_bounds(rate):
    # Every token scores 1 at one expert and 0 or a trifle more at the other: half of them must cross the whole gap.
    scores = torch.stack([torch.ones(100), torch.linspace(0, 1e-6, 100)], 1).double()
    least, most = dual.recovery_bound(rate)
    steps = walk(behavior(LossFree(bias_update_rate=rate)), scores, 1, steps=int(most) + 1)
    closed = next(n for n, step in enumerate(steps, start=1) if step.newly.sum(0)[1] > 0)
    assert least - 1 <= closed <= most


@pytest.mark.parametrize(("rate", "low", "high"), [(1e-3, 60, 250), (1e-2, 6, 30)])
def test_t5_recovery_from_a_skew_takes_steps_in_inverse_proportion_to_the_rate(rate, low, high):
    """SCIENCE 2.3: two of 16 experts favored by 3 logits, 1,024 tokens: about 120 and 13 steps to MaxVio < 0.5."""
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal(size=(16, 32)) / 32**0.5)
    bias, rule = torch.zeros(16, dtype=torch.float64), behavior(LossFree(bias_update_rate=rate))
    for step in range(1, 400):
        scores = torch.from_numpy(rng.normal(size=(1024, 32))) @ rows.t()
        scores[:, :2] += 3
        load = dual.assign(scores.sigmoid(), bias, 2).sum(0)
        if max_violation(load) < 0.5:
            break
        bias = rule.update(bias, load, step)
    assert low <= step <= high


# T6: twin rows


def test_t6_any_difference_of_bias_moves_all_tokens_of_twin_rows_together():
    scores = draw(31, 300, 8)
    scores[:, :4] = scores[:, :1] + 1  # four twins that every token prefers, K = 2
    tiny = torch.zeros(8, dtype=torch.float64)
    tiny[1], tiny[3] = 1e-9, 2e-9
    load = dual.assign(scores, tiny, 2).sum(0)
    assert load.tolist() == [0, 300, 0, 300, 0, 0, 0, 0]


def test_t6_a_group_of_at_most_k_twins_is_chosen_whole_and_does_no_harm():
    scores = draw(32, 300, 8)
    scores[:, 1] = scores[:, 0]
    both = dual.assign(scores, torch.zeros(8, dtype=torch.float64), 2)
    # Whoever has one of two twins has the other, unless a third expert comes between a tie: never on distinct scores.
    first = scores[:, 0] == scores.max(1).values
    assert both[first][:, :2].all()


# The oracle


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), top_k=st.integers(1, 3))
def test_the_optimum_has_no_duality_gap_and_no_bias_goes_below_it(seed, top_k):
    scores = draw(seed, 24, 6)
    optimum = dual.lp_optimum(scores, top_k)
    assert float(dual.dual_value(scores, optimum.bias, top_k)) == pytest.approx(optimum.value, rel=1e-9)
    for other in range(5):
        assert float(dual.dual_value(scores, draw(other, 1, 6)[0], top_k)) >= optimum.value - 1e-9
    assert torch.allclose(optimum.assignment.sum(0), torch.full((6,), 24 * top_k / 6, dtype=torch.float64))
    assert torch.allclose(optimum.assignment.sum(1), torch.full((24,), float(top_k), dtype=torch.float64))


def test_the_optimum_of_a_tiny_problem_is_brute_forces():
    scores = draw(41, 6, 3)
    best = max(
        sum(float(scores[i, e]) for i, e in enumerate(choice))
        for choice in itertools.product(range(3), repeat=6)
        if all(choice.count(e) == 2 for e in range(3))
    )
    assert dual.lp_optimum(scores, 1).value == pytest.approx(best)


def test_alf_lb_with_a_falling_step_approaches_the_optimum():
    scores = draw(42, 120, 6)
    *_, last = walk(behavior(LossFree(bias_update_rate=0.1, schedule="inv")), scores, 2, steps=600)
    optimum = dual.lp_optimum(scores, 2).value
    assert optimum <= float(dual.dual_value(scores, last.after, 2)) < optimum * (1 + 1e-3)
    assert float(last.excess.abs().max()) <= 4


def test_the_oracle_refuses_what_it_cannot_solve():
    with pytest.raises(ConfigurationError, match="top_k=9"):
        dual.lp_optimum(draw(1), 9)
    with pytest.raises(ConfigurationError, match="finite"):
        dual.lp_optimum(torch.full((4, 2), float("nan")), 1)
