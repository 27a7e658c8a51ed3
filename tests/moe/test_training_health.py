"""Each sign of sick routing: told once when it is there, and never of a healthy run."""

import warnings

import pytest
import torch

from trimtab.errors import BalancerWarning
from trimtab.moe.attach import attach
from trimtab.moe.training_health import WINDOW, TrainingHealth
from trimtab.settings.rules import LossFree, NoBalancer

EVEN = torch.full((8,), 50)


@pytest.fixture
def health(build):
    routers = attach(build("qwen3_moe"), balancer=NoBalancer()).routers
    return TrainingHealth(routers, scored=True)


def run(health, loads, *, biases=None, windows=1):
    """Feed steps with these calls of layer 1; layer 2 is even."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(WINDOW * windows):
            bias = {} if biases is None else {1: biases(step // WINDOW)}
            health.after_step({1: loads(step // WINDOW), 2: EVEN}, bias)
    assert all(issubclass(entry.category, BalancerWarning) for entry in caught)
    return [str(entry.message) for entry in caught]


def with_expert(calls):
    load = EVEN.clone()
    load[5] = calls
    return load


def test_a_dead_expert_is_told_once(health):
    (message,) = run(health, lambda _window: with_expert(1), windows=3)
    assert (
        "layers.1.mlp.gate: expert 5 got less than a tenth of the mean load over 20 steps (20 of 7020 calls)" in message
    )


@pytest.mark.parametrize("calls", [50, 12])
def test_a_rare_expert_is_not_dead(health, calls):
    assert not run(health, lambda _window: with_expert(calls), windows=3)


def test_of_few_calls_nothing_is_told(health):
    assert not run(health, lambda _window: torch.tensor([1, 0, 0, 0, 1, 0, 0, 0]), windows=3)


def test_a_collapse_is_told_once(health):
    narrow = torch.tensor([180, 180, 7, 7, 7, 7, 6, 6])
    (message,) = run(health, lambda window: EVEN if window == 0 else narrow, windows=4)
    assert "entropy of the load is collapsing: 3.1 of 8 experts" in message
    assert "8.0 were over the first 20 steps" in message


def test_a_router_that_begins_collapsed_is_told(health):
    (message,) = [m for m in run(health, lambda _window: torch.tensor([398, 2, 0, 0, 0, 0, 0, 0])) if "entropy" in m]
    assert "1.0 of 8 experts" in message


def test_an_uneven_load_that_stays_is_no_collapse(health):
    uneven = torch.tensor([150, 80, 50, 40, 30, 20, 20, 10])
    assert not run(health, lambda _window: uneven, windows=4)


def test_a_bias_that_runs_away_is_told_once(health):
    (message,) = run(health, lambda _w: EVEN, biases=lambda w: torch.linspace(0, 0.5 * (w + 1), 8), windows=6)
    assert "the bias runs away: it spreads over 1.50 and goes on growing (1.00 20 steps ago)" in message


@pytest.mark.parametrize("size", [lambda _window: 0.9, lambda _window: 1.5, lambda window: 2.0 - 0.2 * window])
def test_a_bias_that_stays_does_not_run_away(health, size):
    assert not run(health, lambda _w: EVEN, biases=lambda w: torch.linspace(0, size(w), 8), windows=5)


def test_a_bias_that_is_not_finite_is_told(health):
    (message,) = run(health, lambda _w: EVEN, biases=lambda _w: torch.full((8,), torch.nan), windows=2)
    assert "not finite" in message


def test_biases_of_other_scores_have_no_such_range(build):
    routers = attach(build("qwen3_moe"), balancer=NoBalancer()).routers
    health = TrainingHealth(routers, scored=False)
    assert not run(health, lambda _w: EVEN, biases=lambda w: torch.linspace(0, 3.0 * w, 8), windows=4)


def steps(model, text, number, spoil=lambda: None):
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    health = TrainingHealth(gates.routers, scored=True)
    spoil()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(number):
            model(input_ids=text[:1, :8], labels=text[:1, :8]).loss.backward()
            health.after_backward(model.parameters())
            model.zero_grad()
            gates.update()
    return [str(entry.message) for entry in caught if "gradient for" in str(entry.message)]


def test_a_router_without_a_gradient_is_told_once(build, text):
    model = build("qwen3_moe").train()
    router = model.model.layers[1].mlp.gate

    def detach():
        router.register_forward_hook(lambda _m, _a, out: tuple(part.detach() for part in out))

    (message,) = steps(model, text, WINDOW + 3, detach)
    assert "layers.1.mlp.gate had no gradient for 20 steps, and is to be trained" in message


def test_a_router_that_learns_or_rests_is_not_told(build, text):
    model = build("qwen3_moe").train()
    model.model.layers[2].mlp.gate.weight.requires_grad_(requires_grad=False)
    assert not steps(model, text, WINDOW + 1)


def test_without_any_gradient_nothing_can_be_told(build):
    """As under ZeRO, which keeps gradients elsewhere."""
    model = build("qwen3_moe").train()
    health = TrainingHealth(attach(model, balancer=NoBalancer()).routers, scored=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(WINDOW + 1):
            health.after_backward(model.parameters())


def test_a_healthy_run_has_no_sign(build, text):
    model = build("glm4_moe").train()
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-3))
    health = TrainingHealth(gates.routers, scored=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for step in range(3 * WINDOW):
            rows = torch.randint(3, 64, (4, 32), generator=torch.Generator().manual_seed(step))
            model(input_ids=rows, labels=rows).loss.backward()
            health.after_backward(model.parameters())
            optimizer.step()
            optimizer.zero_grad()
            gates.update()
            health.after_step(gates.step_loads(), gates.biases())
