"""SMEBU against the equations of arXiv 2602.17004, section 2.2, worked out with NumPy in float64."""

import numpy as np
import pytest
import torch

from trimtab.moe.balancers import behavior
from trimtab.settings.rules import SMEBU

LOADS = torch.tensor([[10, 3, 2, 1], [8, 4, 3, 1], [4, 4, 4, 4]])
# The bias and the momentum after each of these steps from zero, at the published settings.
EXPECTED = {
    "bias": [
        [-0.000319626489, 4.4666488e-05, 0.000119535738, 0.000155424263],
        [-0.000745648993, 4.1797368e-05, 0.000269630532, 0.000434221093],
        [-0.000958660245, 4.0362808e-05, 0.000344677929, 0.000573619508],
    ],
    "momentum": [
        [-0.000319626489, 4.4666488e-05, 0.000119535738, 0.000155424263],
        [-0.000426022504, -2.86912e-06, 0.000150094794, 0.00027879683],
        [-0.000213011252, -1.43456e-06, 7.5047397e-05, 0.000139398415],
    ],
}


def in_numpy(loads, *, rate, sharpness, momentum):
    """Equations 24 to 28, as printed."""
    bias = moving = np.zeros(loads.shape[1])
    for load in loads.astype(float):
        mean = load.mean()
        delta = rate * np.tanh(sharpness * (mean - load) / mean)
        delta -= delta.mean()
        moving = momentum * moving + (1 - momentum) * delta
        bias = bias + moving
    return bias


def test_the_published_settings_are_the_defaults_and_give_the_worked_example():
    rule = behavior(SMEBU())
    assert (rule.settings.bias_update_rate, rule.settings.sharpness, rule.settings.momentum) == (5e-4, 2.0, 0.5)
    state = rule.initial(4)
    for index, load in enumerate(LOADS):
        state = rule.update(state, load, index + 1)
        assert state[:4].tolist() == pytest.approx(EXPECTED["bias"][index], abs=1e-9)
        assert state[4:].tolist() == pytest.approx(EXPECTED["momentum"][index], abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_other_settings_follow_the_equations(seed):
    loads = torch.randint(0, 200, (30, 16), generator=torch.Generator().manual_seed(seed))
    values = {"sharpness": 0.7, "momentum": 0.9}
    rule = behavior(SMEBU(bias_update_rate=0.02, **values))
    state = rule.initial(16)
    for index, load in enumerate(loads):
        state = rule.update(state, load, index + 1)
    assert np.allclose(state[:16].numpy(), in_numpy(loads.numpy(), rate=0.02, **values), atol=1e-6)


def test_without_momentum_an_even_load_moves_nothing_and_with_it_the_last_step_fades():
    even, uneven = torch.full((4,), 5), torch.tensor([9, 1, 5, 5])
    still = behavior(SMEBU(momentum=0.0))
    once = still.update(still.initial(4), uneven, 1)
    assert torch.equal(still.update(once, even, 2)[:4], once[:4])
    fading = behavior(SMEBU())
    once = fading.update(fading.initial(4), uneven, 1)
    twice = fading.update(once, even, 2)
    assert torch.allclose(twice[:4] - once[:4], 0.5 * once[4:])


def test_a_step_is_at_most_twice_lambda_and_a_step_without_calls_is_none():
    rule = behavior(SMEBU(momentum=0.0))
    one_for_all = torch.tensor([16, 0, 0, 0])
    state = rule.update(rule.initial(4), one_for_all, 1)
    assert float(state[:4].abs().max()) < 2 * 5e-4
    assert torch.equal(rule.update(state, torch.zeros(4, dtype=torch.int64), 2), state)


def test_leading_axes_are_cells_of_their_own():
    rule = behavior(SMEBU())
    states = torch.randn(3, 8, generator=torch.Generator().manual_seed(1)) / 100
    alone = torch.stack([rule.update(state, load, 1) for state, load in zip(states, LOADS, strict=True)])
    assert torch.equal(rule.update(states, LOADS, 1), alone)
