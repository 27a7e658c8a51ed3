"""SimBal against its definition."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.moe.balancers import behavior
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import SimBal


def test_value_is_the_distance_of_the_rows_from_right_angles(route, context_of, draw):
    routing = route(draw())
    rows = torch.randn(8, 16, generator=torch.Generator().manual_seed(3))
    context = dataclasses.replace(context_of(routing), router_weight=rows)
    expected = sum(abs(float(rows[i] @ rows[j]) - (i == j)) for i in range(8) for j in range(8))
    assert float(behavior(SimBal(coef=0.5)).penalty(routing, context)) == pytest.approx(0.5 * expected, rel=1e-5)
    orthonormal = torch.linalg.qr(rows.t()).Q.t()
    context = dataclasses.replace(context, router_weight=orthonormal)
    assert float(behavior(SimBal(coef=0.5)).penalty(routing, context)) == pytest.approx(0, abs=1e-5)


def test_without_the_weight_it_cannot_work(route, context_of, draw):
    routing = route(draw())
    context = dataclasses.replace(context_of(routing), router_weight=None)
    with pytest.raises(ConfigurationError, match="weight of the router"):
        behavior(SimBal(coef=0.5)).penalty(routing, context)


def test_more_experts_than_dimensions_are_refused():
    router = SimpleNamespace(
        name="layers.1.mlp.gate",
        weight=torch.zeros(40, 32),
        num_experts=40,
        num_experts_per_tok=2,
        renormalize=True,
        groups=None,
    )
    with pytest.raises(ConfigurationError, match="40 rows in 32 dimensions"):
        behavior(SimBal(coef=0.1)).check(router, Capacity())


def test_training_on_it_turns_the_rows_apart(build, text, step):
    model = build("qwen3_moe")
    gates = attach(model, balancer=SimBal(coef=1.0))
    gate = gates.routers[0].module

    def distance():
        rows = gate.weight.detach()
        return float((rows @ rows.t() - torch.eye(8)).abs().sum())

    before = distance()
    _, gradients = step(model, gates, text)
    name = next(name for name, p in model.named_parameters() if p is gate.weight)
    with torch.no_grad():
        gate.weight -= 1e-3 * gradients[name].sign()
    assert distance() < before
