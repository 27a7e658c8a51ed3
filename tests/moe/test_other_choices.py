"""Every balancer on routers limited to groups, and beside layers that have no router: right, or refused."""

import pytest
import torch

from trimtab.errors import ConfigurationError, UnsupportedModelError
from trimtab.moe.attach import attach
from trimtab.moe.discovery import find_routers
from trimtab.settings.rules import (
    BIP,
    LossFree,
    NewtonBalancing,
    NoBalancer,
    PooledSwitchLoss,
    QuantileBalancing,
    RouterZLoss,
    SimBal,
    Sinkhorn,
    Stack,
    SwitchLoss,
)

SWITCH = SwitchLoss(coef=0.1, scope="global")
WORK = [
    NoBalancer(),
    LossFree(bias_update_rate=1e-2),
    LossFree(bias_update_rate=1e-2, update="rms", centered=True),
    SwitchLoss(coef=0.1, scope="sequence"),
    SwitchLoss(coef=0.1, scope="micro"),
    SWITCH,
    PooledSwitchLoss(coef=0.1),
    RouterZLoss(coef=0.1),
    SimBal(coef=0.1),
    Stack(LossFree(bias_update_rate=1e-2), SWITCH),
]
REFUSED = [QuantileBalancing(), NewtonBalancing(), BIP(), Sinkhorn(), Stack(NewtonBalancing(), SWITCH)]


def chosen_within_groups(scores, bias):
    """DeepSeek-V3's choice, token by token: the group with the largest sum of its two best, then its two best."""
    found = []
    for row in (scores + bias).tolist():
        groups = [range(start, start + 4) for start in (0, 4)]
        best = max(groups, key=lambda group: sum(sorted((row[e] for e in group), reverse=True)[:2]))
        found.append(sorted(best, key=lambda e: -row[e])[:2])
    return found


@pytest.mark.parametrize("rule", WORK, ids=repr)
def test_under_groups_calls_are_those_chosen_and_the_bias_goes_against_them(build, text, rule):
    model = build("deepseek_v3")
    routers = find_routers(model)
    assert (routers[0].groups.count, routers[0].groups.chosen) == (2, 1)
    seen = [[] for _ in routers]
    for router, logits in zip(routers, seen, strict=True):
        router.module.register_forward_hook(lambda _m, _a, output, logits=logits: logits.append(output[0].detach()))
    gates = attach(model, balancer=rule)
    for _ in range(3):
        before = [gate.state[:8].clone() for gate in gates._gates]
        model.train()(input_ids=text, labels=text, use_cache=False).loss.backward()
        loads = [gate.tally.routed.clone() for gate in gates._gates]
        gates.update()
        for gate, bias, load, logits in zip(gates._gates, before, loads, seen, strict=True):
            wanted = chosen_within_groups(logits[-1].flatten(0, -2).sigmoid(), bias)
            assert load.tolist() == [sum(e in row for row in wanted) for e in range(8)]
            if gates.balancer.has_bias:
                moved = gate.state[:8] - bias
                assert moved[load.argmax()] < 0 < moved[load.argmin()]
    gates.detach()


def test_a_bias_balances_what_is_limited_to_groups(build, text):
    """From its own uneven start to well below half of it, counted by the model's own choice."""
    model = build("deepseek_v3")
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    violations = []
    for _ in range(60):
        model.train()(input_ids=text, use_cache=False)
        gates.update()
        violations.append(max(line["max_violation"] for line in gates.metrics()))
    assert sum(violations[-10:]) / 10 < 0.5 * violations[0]


@pytest.mark.parametrize("rule", REFUSED, ids=repr)
def test_rules_whose_margins_do_not_decide_under_groups_are_refused(build, text, rule):
    model = build("deepseek_v3")
    with pytest.raises(ConfigurationError, match="limits tokens to 1 of 2 groups") as caught:
        attach(model, balancer=rule)
    assert "LossFree" in caught.value.hint
    attach(model, balancer=NoBalancer()).detach()  # nothing was left behind


@pytest.mark.parametrize("rule", [QuantileBalancing(), NewtonBalancing(), BIP(), Sinkhorn()], ids=repr)
def test_where_all_experts_are_chosen_there_is_nothing_to_balance(build, rule):
    model = build("mixtral")
    for layer in model.model.layers:
        layer.mlp.gate.top_k = 8
    with pytest.raises(ConfigurationError, match="no load to balance"):
        attach(model, balancer=rule)


@pytest.mark.parametrize("rule", [*WORK, *REFUSED], ids=repr)
@pytest.mark.parametrize("family", ["glm4_moe", "qwen3_moe"])
def test_a_dense_first_layer_is_part_of_nothing(build, text, family, rule):
    """What a rule sees and does is that of the same layers in a model that has no dense one."""
    model = build(family)
    gates = attach(model, balancer=rule)
    assert [gate.router.layer for gate in gates._gates] == [1, 2]
    model.train()(input_ids=text, labels=text, use_cache=False).loss.backward()
    assert all(sum(load) == 2 * text.numel() for load in gates.loads().values())
    assert sorted(gates.loads()) == [1, 2]
    per_layer = [float(gate.penalty) for gate in gates._gates]
    gates.update()
    lines = gates.metrics()
    assert [line["layer"] for line in lines] == [1, 2]
    assert float(gates.penalty()) == pytest.approx(sum(per_layer))
    assert (sum(per_layer) > 0) == gates.balancer.has_penalty
    if gates.balancer.has_bias and not isinstance(rule, Sinkhorn):
        assert all(gate.state[:8].any() for gate in gates._gates)


def test_a_router_whose_weight_is_computed_is_refused_by_name(build):
    model = build("qwen3_moe")
    torch.nn.utils.parametrizations.weight_norm(model.model.layers[1].mlp.gate, "weight")
    with pytest.raises(UnsupportedModelError, match=r"layers\.1\.mlp\.gate \(ParametrizedQwen3MoeTopKRouter\)"):
        attach(model, balancer=NoBalancer())
