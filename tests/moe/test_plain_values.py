"""Balancers and capacities go through JSON and come back equal."""

import importlib.util
import json
from pathlib import Path

import pytest

from trimtab.errors import ConfigurationError
from trimtab.moe import plain_values
from trimtab.moe.balancers import BiasBalancer, LossFree, NewtonBalancing, RouterZLoss, Stack, SwitchLoss
from trimtab.moe.capacity import Capacity

# The contract of balancers is kept over these; each public rule is among them.
EVERY = Path(__file__).parent / "balancers" / "conftest.py"


def through_json(values):
    return json.loads(json.dumps(values, allow_nan=False))


def test_every_public_rule_comes_back_equal():
    location = importlib.util.spec_from_file_location("every_balancer", EVERY)
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    for rule in module.EVERY:
        assert plain_values.to_balancer(through_json(plain_values.of_balancer(rule)), "here") == rule
    assert {type(rule).__name__ for rule in module.EVERY} == set(plain_values._RULES)


@pytest.mark.parametrize(
    "rule",
    [
        NewtonBalancing(),
        LossFree(bias_update_rate=0.1 + 0.2, rule="proportional", schedule="inv", centered=True),
        Stack(LossFree(bias_update_rate=1e-3), SwitchLoss(coef=0.1, scope="global"), RouterZLoss(coef=1e-3)),
    ],
    ids=repr,
)
def test_settings_are_exact_and_stacks_nest(rule):
    assert plain_values.to_balancer(through_json(plain_values.of_balancer(rule)), "here") == rule


def test_capacities_come_back_equal():
    for limits in (Capacity(), Capacity(factor=1.1, eval_factor=2.0, drop_policy="random", min_capacity=4, seed=7)):
        assert plain_values.to_capacity(through_json(plain_values.of_capacity(limits)), "here") == limits


class Own(BiasBalancer):
    """A rule of somebody else's."""

    def update(self, state, observed, step):  # noqa: ARG002
        return state


def test_a_rule_of_the_users_own_is_asked_for():
    values = through_json(plain_values.of_balancer(Own()))
    with pytest.raises(ConfigurationError, match="not one of trimtab's rules") as caught:
        plain_values.to_balancer(values, "here")
    assert "balancer=" in caught.value.hint


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"class": "Balancer"}, "unknown rule 'Balancer'"),
        ({"class": "LossFree", "settings": {"bias_update_rate": 1.0, "momentum": 0.9}}, "momentum"),
        ({"class": "LossFree", "settings": {"bias_update_rate": -1.0}}, "bias_update_rate"),
        ({"class": "Stack", "parts": []}, "bias"),
    ],
)
def test_what_cannot_be_built_is_refused(values, message):
    with pytest.raises(ConfigurationError, match=message):
        plain_values.to_balancer(values, "here")
