"""The soft-clipped update of Jin et al. (2026, appendix B) against worked examples and a version in NumPy."""

import numpy as np
import pytest
import torch

from trimtab.moe.balancers import behavior
from trimtab.moe.balancers.soft_clipped import soft_error
from trimtab.settings.rules import SoftClippedBias


def in_numpy(load):
    mean = load.mean()
    idle = np.maximum(0, (mean - load) / mean)
    busy = np.array([max(0, (calls - mean) / calls) if calls else 0.0 for calls in load])
    return idle * busy.sum() / (idle.sum() + 1e-12) - busy


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        ([10, 3, 2, 1], [-0.6, 0.1, 0.2, 0.3]),  # u = 0, 1/4, 1/2, 3/4; o = 0.6, 0, 0, 0; alpha = 0.4
        ([16, 0, 0, 0], [-0.75, 0.25, 0.25, 0.25]),
        ([4, 4, 4, 4], [0, 0, 0, 0]),
    ],
)
def test_worked_examples(load, expected):
    rule = behavior(SoftClippedBias(bias_update_rate=0.1))
    after = rule.update(torch.zeros(4), torch.tensor(load), 1)
    assert after.tolist() == pytest.approx([0.1 * value for value in expected], abs=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_any_load_sums_to_nothing_and_is_what_numpy_says(seed):
    loads = torch.randint(0, 90, (20, 12), generator=torch.Generator().manual_seed(seed)).double()
    steps = soft_error(loads)
    assert torch.allclose(steps.sum(1), torch.zeros(20, dtype=torch.float64), atol=1e-9)
    assert np.allclose(steps.numpy(), np.stack([in_numpy(load) for load in loads.numpy()]))
    assert float(steps.min()) > -1


def test_momentum_averages_steps():
    load, rule = torch.tensor([10, 3, 2, 1]), behavior(SoftClippedBias(bias_update_rate=0.1, momentum=0.9))
    state, moving, bias = rule.initial(4), np.zeros(4), np.zeros(4)
    for step in range(1, 6):
        state = rule.update(state, load, step)
        moving = 0.9 * moving + 0.1 * in_numpy(load.numpy())
        bias = bias + 0.1 * moving
    assert np.allclose(state.numpy(), np.concatenate([bias, moving]), atol=1e-6)


def test_a_step_without_calls_moves_nothing():
    for momentum in (0.0, 0.5):
        rule = behavior(SoftClippedBias(bias_update_rate=0.1, momentum=momentum))
        state = rule.update(rule.initial(4), torch.tensor([10, 3, 2, 1]), 1)
        assert torch.equal(rule.update(state, torch.zeros(4, dtype=torch.int64), 2), state)
