"""Forecasts of a moving price: each kind of movement has one that is believed, and a change makes all forget."""

import itertools

import numpy as np
import pytest

from trimtab.moe.balancers.forecasts import FORECASTS, Forecasts

EXPERTS = 6
# What a unit of price moves: the Laplacian of a complete graph.
LAPLACIAN = (EXPERTS * np.eye(EXPERTS) - 1).astype(np.float32)


def fresh():
    return Forecasts(
        calm=np.zeros((), np.float32),
        error=np.zeros(FORECASTS, np.float32),
        level=np.zeros((FORECASTS, EXPERTS), np.float32),
        trend=np.zeros((FORECASTS, EXPERTS), np.float32),
    )


def run(prices, noise=0.03, changes=(0,)):
    """Return the error of each forecast of the next price, and N of the mean after each step."""
    drawn = np.random.default_rng(0)
    forecasts, errors, lengths, steps = fresh(), [], [], np.float32(0)
    for number, (price, following) in enumerate(itertools.pairwise(prices)):
        changed = np.asarray(number in changes)
        steps = np.float32(1) if changed else steps + 1
        seen = (price + noise * drawn.standard_normal(EXPERTS)).astype(np.float32)
        forecast, steps = forecasts.follow(seen, changed, np.asarray(steps, np.float32), LAPLACIAN)
        errors.append(np.sqrt(np.mean((forecast - following) ** 2)))
        lengths.append(float(steps))
    return np.array(errors), lengths


def test_where_nothing_moves_the_mean_of_all_steps_is_believed():
    errors, lengths = run(np.ones((300, EXPERTS)))
    assert lengths[-1] > 250
    assert errors[-100:].mean() < 0.03 / 8


def test_a_price_that_goes_on_as_it_went_is_anticipated():
    slope = np.linspace(-1, 1, EXPERTS) * 0.02
    prices = np.arange(200)[:, None] * slope
    errors, _ = run(prices)
    lag_of_a_mean_of_two = 1.5 * np.sqrt(np.mean(slope**2))
    assert errors[-50:].mean() < 1.5 * 0.03
    assert errors[-50:].mean() < 2 * lag_of_a_mean_of_two


def test_a_price_that_wanders_has_a_short_memory():
    drawn = np.random.default_rng(1)
    prices = np.cumsum(0.02 * drawn.standard_normal((400, EXPERTS)), 0)
    errors, lengths = run(prices)
    best = 0.02 * np.sqrt(0.5 + np.sqrt(0.25 + 2.25))  # a known filter: P = q(1 + √(1 + 4r/q))/2, q = 0.02², r = 0.03²
    assert errors[-200:].mean() < 1.2 * best
    assert max(lengths[-100:]) < 60


def test_when_prices_stand_still_again_the_mean_takes_over_afresh():
    slope = np.linspace(-1, 1, EXPERTS) * 0.02
    prices = np.minimum(np.arange(400), 150)[:, None] * slope
    errors, lengths = run(prices)
    assert lengths[140] <= 10
    assert lengths[-1] > 50
    assert errors[-50:].mean() < 0.03 / 5


def test_a_change_makes_all_forget():
    prices = np.concatenate([np.zeros((50, EXPERTS)), np.ones((51, EXPERTS))])
    errors, lengths = run(prices, changes=(0, 50))
    assert errors[50] < 0.06
    assert lengths[50] == 1


def test_cells_are_their_own():
    drawn = np.random.default_rng(2)
    both = [fresh(), fresh()]
    together = Forecasts(
        calm=np.zeros(2, np.float32),
        error=np.zeros((2, FORECASTS), np.float32),
        level=np.zeros((2, FORECASTS, EXPERTS), np.float32),
        trend=np.zeros((2, FORECASTS, EXPERTS), np.float32),
    )
    for number in range(30):
        seen = drawn.standard_normal((2, EXPERTS)).astype(np.float32)
        changed, steps = np.array([number == 0, number in {0, 9}]), np.full(2, number + 1, np.float32)
        found, _ = together.follow(seen, changed, steps, np.stack([LAPLACIAN, 2 * LAPLACIAN]))
        alone = [
            one.follow(seen[index], changed[index], steps[index], (index + 1) * LAPLACIAN)[0]
            for index, one in enumerate(both)
        ]
        assert found == pytest.approx(np.stack(alone), abs=1e-5)
