"""Every rule reads from a study, survives its cell and an attachment, or is refused with its place."""

import dataclasses
import json
import pickle

import pytest

from trimtab.errors import ConfigurationError, SettingError, StudyError
from trimtab.settings import rules
from trimtab.settings.capacities import Capacity
from trimtab.settings.rule_tables import from_record, read_rule, to_record
from trimtab.settings.rules import (
    BIP,
    LossFree,
    NewtonBalancing,
    NoBalancer,
    QuantileBalancing,
    RouterZLoss,
    SimBal,
    Sinkhorn,
    Stack,
    SwitchLoss,
)
from trimtab.settings.shapes import RouterShape

ROUTER = RouterShape(name="mlp.gate", num_experts=8, num_experts_per_tok=2, hidden_size=32, renormalize=True)


def through_json(values):
    return json.loads(json.dumps(values, allow_nan=False))


@pytest.mark.parametrize(
    "rule",
    [
        NewtonBalancing(dither=1e-3),
        LossFree(bias_update_rate=0.1 + 0.2, update="proportional", schedule="inv", centered=True),
        LossFree(bias_update_rate=1e-3, freeze_at=0.9, total_steps=10),
        Stack(LossFree(bias_update_rate=1e-3), SwitchLoss(coef=0.1, scope="micro"), RouterZLoss(coef=1e-3)),
    ],
    ids=repr,
)
def test_a_rule_is_a_frozen_value_and_its_record_is_exact(rule):
    assert from_record(through_json(to_record(rule)), "here") == rule
    assert pickle.loads(pickle.dumps(rule)) == rule  # noqa: S301 - our own
    assert hash(rule) == hash(eval(repr(rule), vars(rules)))  # noqa: S307 - its own repr
    for field in dataclasses.fields(rule):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(rule, field.name, 1)


def test_attachments_of_earlier_versions_are_read():
    old = {"bias_update_rate": 0.1, "rule": "rms", "schedule": "constant", "centered": False, "clip": None,
           "freeze_at": 0.5, "total_steps": 10}  # fmt: skip
    assert from_record({"class": "LossFree", "settings": old}, "here") == LossFree(
        bias_update_rate=0.1, update="rms", freeze_at=0.5, total_steps=10
    )
    assert LossFree(bias_update_rate=0.1, rule="rms") == LossFree(bias_update_rate=0.1, update="rms")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"class": "Balancer"}, "unknown rule 'Balancer'"),
        ({"class": "LossFree", "settings": {"bias_update_rate": 1.0, "momentum": 0.9}}, "here: unknown key 'momentum'"),
        ({"class": "LossFree", "settings": {"bias_update_rate": -1.0}}, "here.bias_update_rate: must be positive"),
        ({"class": "Stack", "parts": []}, "bias"),
        ({"class": None, "is": "Own()"}, "not one of trimtab's rules"),
    ],
)
def test_a_record_that_cannot_be_built_is_refused(values, message):
    with pytest.raises(ConfigurationError, match=message):
        from_record(values, "here")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "missing key 'rule'"),
        ({"rule": "losfree"}, "rule: unknown balancer 'losfree'"),
        ({"rule": ["loss_free"]}, "rule: unknown balancer"),
        ({"rule": "quantile", "ema": 1.0}, r"ema: must be in \[0, 1\), got 1.0"),
        ({"rule": "bip", "iterations": 0}, "iterations: must be at least 1"),
        ({"rule": "sinkhorn", "tolerance": 0.0}, "tolerance: must be positive"),
        ({"rule": "newton", "dither": -1.0}, "dither: must be not negative"),
        ({"rule": "newton", "dither": float("inf")}, "dither: must be not negative and finite, got inf"),
        ({"rule": "loss_free"}, "missing key 'bias_update_rate'"),
        ({"rule": "loss_free", "bias_update_rate": True}, "bias_update_rate: expected float, got True"),
        ({"rule": "loss_free", "bias_update_rate": 0.1, "freeze_at": 2.0}, "freeze_at: must be between 0 and 1"),
        ({"rule": "loss_free", "bias_update_rate": 0.1, "clip": -1.0}, "clip: must be positive, got -1.0"),
        ({"rule": "loss_free", "bias_update_rate": 0.1, "update": "sing"}, "update: 'sing' is not known"),
        ({"rule": "loss_free", "bias_update_rate": 0.1, "total_steps": 9}, "total_steps=9 does nothing"),
        ({"rule": "stack", "bias": {"rule": "switch", "coef": 0.1}, "losses": []}, "bias.rule: 'switch' is no bias"),
        ({"rule": "stack", "bias": {"rule": "quantile"}, "losses": []}, "losses: expected a list of tables"),
        ({"rule": "stack", "bias": {"rule": "quantile"}, "losses": [{"rule": "bip"}]}, r"losses\[0\].rule: 'bip'"),
        ({"rule": "stack", "bias": {"rule": "quantile"}}, "missing key 'losses'"),
        ({"rule": "stack", "bais": {}}, "unknown key 'bais'"),
        ({"rule": "stack", "bias": 3}, "bias: expected a table, got 3"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(table, message):
    with pytest.raises(StudyError, match=message) as caught:
        read_rule(table, "study.balancers.x")
    assert "study.balancers.x" in caught.value.message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LossFree(bias_update_rate=0.0), r"LossFree\(bias_update_rate=...\): must be positive, got 0.0"),
        (lambda: LossFree(bias_update_rate=float("nan")), "positive and finite, got nan"),
        (lambda: LossFree(bias_update_rate=1e-3, schedule="linear"), "'linear' is not known"),
        (lambda: LossFree(bias_update_rate=1e-3, clip=0.0), "clip"),
        (lambda: LossFree(bias_update_rate=1e-3, total_steps=100), "does nothing without freeze_at"),
        (lambda: LossFree(bias_update_rate=1e-3, freeze_at=1.5, total_steps=100), "between 0 and 1"),
        (lambda: LossFree(1e-3), "given by name"),
        (lambda: SwitchLoss(coef=-1.0), "coef"),
        (lambda: SwitchLoss(coef=1.0, scope="batch"), "'batch' is not known"),
        (lambda: RouterZLoss(coef=float("inf")), "finite"),
        (lambda: QuantileBalancing(ema=1.0), "ema"),
        (lambda: BIP(iterations=1.5), "expected int, got 1.5"),
        (lambda: Sinkhorn(max_iterations=0), "at least 1"),
        (lambda: Stack(SwitchLoss(coef=1.0), SwitchLoss(coef=1.0)), "expected BiasRule"),
        (lambda: Stack(BIP(), SwitchLoss(coef=1.0)), "expected BiasRule"),
        (lambda: Stack(LossFree(bias_update_rate=1e-3)), "losses after its bias rule"),
        (lambda: Stack(LossFree(bias_update_rate=1e-3), LossFree(bias_update_rate=1e-3)), "expected LossRule"),
    ],
)
def test_python_is_told_the_same(make, message):
    with pytest.raises(SettingError, match=message):
        make()


def test_a_wrong_name_brings_the_nearest_one():
    with pytest.raises(ConfigurationError) as caught:
        LossFree(bias_update_rate=1e-3, update="sing")
    assert "'sign'" in caught.value.hint
    with pytest.raises(StudyError) as caught:
        read_rule({"rule": "loss_fre"}, "x")
    assert "did you mean 'loss_free'" in caught.value.hint


def test_a_run_tells_a_rule_its_length():
    rule = LossFree(bias_update_rate=1e-3, freeze_at=0.9)
    assert rule.for_run(100).total_steps == 100
    assert rule.for_run(100).for_run(7).total_steps == 100
    assert Stack(rule, SwitchLoss(coef=0.1)).for_run(100).bias.total_steps == 100
    assert NewtonBalancing().for_run(100) == NewtonBalancing()


def test_what_does_not_go_together_is_refused():
    kept = Capacity(factor=1.0, load_signal="kept")
    QuantileBalancing().check_fit(ROUTER, Capacity())
    NewtonBalancing().check_fit(ROUTER, kept)
    for rule in (QuantileBalancing(), BIP(), Sinkhorn(), Stack(QuantileBalancing(), SwitchLoss(coef=1.0))):
        with pytest.raises(ConfigurationError, match="kept"):
            rule.check_fit(ROUTER, kept)
    every = dataclasses.replace(ROUTER, num_experts=2)
    for rule in (QuantileBalancing(), NewtonBalancing()):
        with pytest.raises(ConfigurationError, match="chooses all its experts"):
            rule.check_fit(every, Capacity())
        with pytest.raises(ConfigurationError, match="1 of 2 groups"):
            rule.check_fit(dataclasses.replace(ROUTER, groups=(1, 2)), Capacity())
    with pytest.raises(ConfigurationError, match="right angles"):
        SimBal(coef=0.1).check_fit(dataclasses.replace(ROUTER, num_experts=64), Capacity())
    NoBalancer().check_fit(every, kept)
