"""ALF-LB's steps, against the update rules that other code bases have, typed in here."""

import pytest
import torch

from trimtab.moe.balancers import behavior
from trimtab.settings.rules import LossFree

COUNTS = torch.tensor([10, 3, 7, 0, 7, 15, 7, 8])


def megatron(bias, counts, rate):
    """get_updated_expert_bias: the average minus the counts, its sign times the rate."""
    average = counts.sum() / counts.shape[-1]
    return bias + torch.sign(average - counts) * rate


def olmo_core(bias, counts, gamma):
    """MoERouter.post_batch: score_bias += gamma * sign(ideal - actual)."""
    ideal = counts.sum(dim=-1, keepdim=True) / counts.shape[-1]
    return bias + gamma * (ideal - counts).sign()


def torchtitan(bias, counts, coefficient):
    """The optimizer's pre-hook: a signed step, from which its own mean is taken."""
    delta = coefficient * torch.sign(counts.mean() - counts)
    return bias + (delta - delta.mean())


@pytest.mark.parametrize("seed", range(5))
def test_sign_rule_is_what_megatron_and_olmo_core_do(seed):
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(0, 50, (16,), generator=generator)
    bias = torch.randn(16, generator=generator) / 100
    ours = behavior(LossFree(bias_update_rate=1e-3)).update(bias, counts, 5)
    assert torch.equal(ours, megatron(bias, counts.float(), 1e-3))
    assert torch.equal(ours, olmo_core(bias, counts.float(), 1e-3))


@pytest.mark.parametrize("seed", range(5))
def test_centered_sign_rule_is_what_torchtitan_does(seed):
    generator = torch.Generator().manual_seed(seed)
    counts, bias = torch.randint(0, 50, (16,), generator=generator), torch.randn(16, generator=generator) / 100
    ours = behavior(LossFree(bias_update_rate=1e-3, centered=True)).update(bias, counts, 1)
    assert torch.allclose(ours, torchtitan(bias, counts.float(), 1e-3), rtol=0, atol=1e-8)
    assert float(ours.mean()) == pytest.approx(float(bias.mean()), abs=1e-8)


def test_proportional_rule_is_relative_to_the_mean_and_conserves_the_sum():
    counts = torch.tensor([10, 3, 7, 0])
    rule = behavior(LossFree(bias_update_rate=0.1, update="proportional"))
    result = rule.update(torch.zeros(4), counts, 1)
    assert torch.allclose(result, 0.1 * (5 - counts.float()) / 5)
    assert abs(float(result.sum())) < 1e-7
    assert torch.allclose(result, rule.update(torch.zeros(4), counts * 1000, 1))


def test_rms_rule_has_steps_of_root_mean_square_u():
    """kexue.fm 10757: b <- b - a (F - Q) / RMS(F - Q), with F the shares and Q the uniform ones."""
    shares = COUNTS / COUNTS.sum()
    off = shares - 1 / 8
    expected = -0.01 * off / off.square().mean().sqrt()
    rule = behavior(LossFree(bias_update_rate=0.01, update="rms"))
    result = rule.update(torch.zeros(8), COUNTS, 1)
    assert torch.allclose(result, expected, atol=1e-8)
    assert float(result.square().mean().sqrt()) == pytest.approx(0.01)
    assert not rule.update(torch.zeros(8), torch.full((8,), 5), 1).any()


@pytest.mark.parametrize(("schedule", "power"), [("constant", 0.0), ("inv_sqrt", 0.5), ("inv", 1.0)])
def test_schedules(schedule, power):
    rule = behavior(LossFree(bias_update_rate=0.3, schedule=schedule))
    assert [rule.step_size(n) for n in (1, 4, 100)] == pytest.approx([0.3 / n**power for n in (1, 4, 100)])


def test_a_frozen_bias_rests_for_the_last_part_of_the_run():
    rule = behavior(LossFree(bias_update_rate=0.1, freeze_at=0.95, total_steps=100))
    bias, moved = torch.zeros(8), []
    for step in range(1, 101):
        after = rule.update(bias, COUNTS, step)
        moved.append(not torch.equal(after, bias))
        assert rule.resting(step) == (not moved[-1])
        bias = after
    assert moved == [True] * 95 + [False] * 5


def test_clipping_bounds_the_bias_and_nothing_else():
    rule = behavior(LossFree(bias_update_rate=0.1, clip=0.25))
    bias = torch.zeros(8)
    for step in range(1, 6):
        bias = rule.update(bias, COUNTS, step)
    plain = behavior(LossFree(bias_update_rate=0.1)).update(torch.zeros(8), COUNTS, 1)
    assert torch.equal(bias, (plain.sign() * 0.25))
    assert torch.equal(rule.update(torch.zeros(8), COUNTS, 1), plain)


def test_leading_axes_are_cells_of_their_own():
    rule = behavior(LossFree(bias_update_rate=0.1, update="rms", centered=True))
    counts, bias = torch.stack([COUNTS, COUNTS.flip(0)]), torch.zeros(2, 8)
    alone = [rule.update(bias[row], counts[row], 3) for row in range(2)]
    assert torch.allclose(rule.update(bias, counts, 3), torch.stack(alone))


# After each load, the plain bias and the one that is centred once a step, as Trinity Nano and Mini are trained.
STEPS = [
    ([10, 3, 2, 1], [-1, 1, 1, 1], [-1.5, 0.5, 0.5, 0.5]),
    ([8, 4, 3, 1], [-2, 1, 2, 2], [-2.75, 0.25, 1.25, 1.25]),
    ([4, 4, 4, 4], [-2, 1, 2, 2], [-2.75, 0.25, 1.25, 1.25]),
]


def test_centring_the_step_keeps_a_bias_centred_as_centring_the_bias_does():
    """arXiv 2602.17004, Eq. 19 to 23: b less its mean after each step; from no bias that is the same."""
    plain, centred = (behavior(LossFree(bias_update_rate=1e-3, centered=centered)) for centered in (False, True))
    state = [torch.zeros(4), torch.zeros(4)]
    for step, (load, *expected) in enumerate(STEPS, 1):
        state = [
            rule.update(bias, torch.tensor(load), step) for rule, bias in zip((plain, centred), state, strict=True)
        ]
        for bias, thousandths in zip(state, expected, strict=True):
            assert bias.tolist() == pytest.approx([value / 1000 for value in thousandths], abs=1e-9)
