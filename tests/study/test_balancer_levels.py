"""Every rule can be named in a study file, becomes the rule it names, or is refused with its place."""

import dataclasses
import json

import pytest

from trimtab.errors import StudyError
from trimtab.moe import balancers
from trimtab.study.balancer_levels import balancer, check_with
from trimtab.study.decode import encode
from trimtab.study.levels import CapacityLevel, ModelLevel
from trimtab.study.stages import balancer as build
from trimtab.study.stages import capacity_of

TABLES = {
    balancers.NoBalancer: {"rule": "none"},
    balancers.LossFree: {"rule": "loss_free", "bias_update_rate": 1e-3, "update": "rms", "clip": 1.0, "freeze_at": 0.9},
    balancers.QuantileBalancing: {"rule": "quantile", "ema": 0.5},
    balancers.NewtonBalancing: {"rule": "newton"},
    balancers.BIP: {"rule": "bip", "iterations": 8},
    balancers.Sinkhorn: {"rule": "sinkhorn"},
    balancers.SwitchLoss: {"rule": "switch", "coef": 0.01, "scope": "micro"},
    balancers.PooledSwitchLoss: {"rule": "hf_compat", "coef": 0.01, "times_accumulation": True},
    balancers.RouterZLoss: {"rule": "z_loss", "coef": 0.001},
    balancers.SimBal: {"rule": "simbal", "coef": 0.1},
    balancers.Stack: {
        "rule": "stack",
        "bias": {"rule": "loss_free", "bias_update_rate": 1e-3},
        "losses": [{"rule": "switch", "coef": 1e-4, "scope": "sequence"}],
    },
}


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)
def test_every_rule_has_a_table_and_survives_its_cell(kind):
    level = balancer(TABLES[kind], "study.balancers.x")
    rule = build(level, 1000)
    assert type(rule) is kind
    again = balancer(json.loads(json.dumps(encode(level))), "cell.balancer")
    assert build(again, 1000) == rule
    if kind is balancers.LossFree:
        assert (rule.freeze_at, rule.total_steps, rule.rule, rule.clip) == (0.9, 1000, "rms", 1.0)
    if kind is balancers.Stack:
        assert repr(rule).startswith("Stack(LossFree(bias_update_rate=0.001")


def test_all_settings_of_a_capacity_reach_it():
    level = CapacityLevel(
        factor=1.0, drop_policy="position", scope="sequence", tokens=64, reroute=True, renormalize=True
    )
    made = capacity_of(level)
    assert {f.name: getattr(made, f.name) for f in dataclasses.fields(level)} == dataclasses.asdict(level)
    assert made.prefix_stable


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"rule": "losfree"}, "unknown balancer"),
        ({"rule": "quantile", "ema": 1.0}, r"ema: 1.0 is not in"),
        ({"rule": "bip", "iterations": 0}, "iterations: must be positive"),
        ({"rule": "sinkhorn", "tolerance": 0.0}, "tolerance"),
        ({"rule": "loss_free", "bias_update_rate": 0.1, "freeze_at": 2.0}, "freeze_at"),
        ({"rule": "loss_free", "bias_update_rate": 0.1, "clip": -1.0}, "clip"),
        ({"rule": "stack", "bias": {"rule": "switch", "coef": 0.1}, "losses": []}, "bias.rule"),
        ({"rule": "stack", "bias": {"rule": "quantile"}, "losses": []}, "losses"),
        ({"rule": "stack", "bias": {"rule": "quantile"}, "losses": [{"rule": "bip"}]}, r"losses\[0\]"),
        ({"rule": "stack", "bias": {"rule": "quantile"}}, "missing key 'losses'"),
        ({"rule": "stack", "bais": {}}, "unknown key 'bais'"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(table, message):
    with pytest.raises(StudyError, match=message) as caught:
        balancer(table, "study.balancers.x")
    assert "study.balancers.x" in caught.value.message


def test_what_does_not_go_together_is_refused():
    model, kept = ModelLevel(), CapacityLevel(factor=1.0, load_signal="kept")
    quantile = balancer({"rule": "quantile"}, "x")
    check_with(quantile, model, CapacityLevel(), "x")
    with pytest.raises(StudyError, match="kept"):
        check_with(quantile, model, kept, "x")
    with pytest.raises(StudyError, match="all experts"):
        check_with(quantile, ModelLevel(num_experts=2, num_experts_per_tok=2), CapacityLevel(), "x")
    with pytest.raises(StudyError, match="right angles"):
        check_with(balancer({"rule": "simbal", "coef": 0.1}, "x"), ModelLevel(num_experts=200), CapacityLevel(), "x")
    with pytest.raises(StudyError, match="nothing is dropped"):
        CapacityLevel(reroute=True).check("study.capacities.c")
