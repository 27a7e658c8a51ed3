"""Every worked example of the page on rules and interfaces: which test holds it, those that stand in none, and why."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trimtab.inspection.foreign_loads import rank_balance
from trimtab.moe.balancers import Context, behavior
from trimtab.moe.balancers.layer_pool import LayerPool
from trimtab.moe.capacity import room
from trimtab.moe.router import Formula
from trimtab.moe.routing import Routing, max_violation, scores_of
from trimtab.settings.rules import KimiQuantileBalancing, LossFree, PooledSwitchLoss

HERE = Path(__file__).parent
ORACLES = HERE.parents[2] / "shared" / "design" / "rules-oracles.json"
pytestmark = pytest.mark.skipif(not ORACLES.is_file(), reason="the design pages are not beside this clone")

# The test that holds an example, and a number of it that stands there.
HELD = {
    "qb_megatron_microbatch_mean": ("balancers/test_logit_quantile.py", "0.43, 0.635, -0.555, -0.51"),
    "qb_k3_histogram": ("balancers/test_kimi_quantile.py", "-0.171875, -0.159375, 0.153125, 0.178125"),
    "qb_k3_histogram_fractional_target_with_padding": ("balancers/test_kimi_quantile.py", "-1.15, 1.106"),
    "qb_marin_topk": ("balancers/test_logit_quantile.py", "-0.6225"),
    "qb_shard_grouping_dependence": ("balancers/test_logit_quantile.py", "[99.5, 1.5]"),
    "qb_alternating_solver": ("balancers/test_logit_quantile.py", "[[5, 4, 3, 4]] * 6"),
    "smebu": ("balancers/test_smebu.py", "-0.000319626489, 4.4666488e-05"),
    "llal_soft_bias": ("balancers/test_soft_clipped.py", "-0.75, 0.25, 0.25, 0.25"),
    "seq_aux_loss_trinity": ("balancers/test_switch.py", "9.895828361e-05"),
    "mqb_sequence": ("balancers/test_sequences.py", "0.85, 0.45, 0.65, 0.35"),
    "causal_bias_forms": ("balancers/test_sequences.py", "0.525, -0.075, -0.075, -0.375"),
    "modality_bias": ("balancers/test_modality.py", "text, image = [6, 2, 0, 0], [0, 0, 3, 1]"),
    "replay_probabilities": ("test_route_replay.py", '["replay_probabilities"]'),
    "replay_alignment": ("test_route_forms.py", '["replay_alignment"]'),
    "upcycle_utility": ("test_expert_upcycle.py", "[1, 1, 1, 3, 3, 3]"),
    "reap_saliency": ("../inspection/test_expert_saliency.py", "0.6661642108, 1.0762796658, 1.4295935303"),
    "imatrix_counts": ("../inspection/test_foreign_loads.py", "[512, 300, 100, 112], 512"),
    "silent_death_flag": ("../inspection/test_expert_condition.py", "[0.08, 0.09, 1.3, 1.4, 1.35, 1.2, 1.5]"),
}
HERE_BELOW = {
    "alf_sign_and_recentred", "te_qb_tie_rule", "v4_gate", "anticipatory_routing", "load_metrics", "capacity_drop",
    "trl_router_aux",
}  # fmt: skip
NOT_HELD = {
    "phi_balance_loss_2nd_hand": "not built: the paper's body could not be read",
    "swiglu_clamp_v4": "an activation of transformers' DeepSeek-V4, which is not ours",
    "situ_glu_k3": "an activation of Kimi K3, which is not ours",
    "adamw_eps_attenuation": "arithmetic of an optimizer, which is not ours",
}


def example(name):
    oracle = json.loads(ORACLES.read_text())[name]
    return oracle["inputs"], oracle["expected"]


def test_none_is_left_out():
    assert set(json.loads(ORACLES.read_text())) == HELD.keys() | HERE_BELOW | NOT_HELD.keys()


@pytest.mark.parametrize("name", HELD)
def test_the_test_that_holds_it_has_its_numbers(name):
    file, number = HELD[name]
    assert number in (HERE / file).read_text()


def test_the_sign_rule_plain_and_recentred():
    given, expected = example("alf_sign_and_recentred")
    plain, centred = (behavior(LossFree(bias_update_rate=given["gamma"], centered=c)) for c in (False, True))
    states = {"plain": torch.zeros(4), "recentred": torch.zeros(4)}
    for step, load in enumerate(given["loads"], start=1):
        for name, rule in (("plain", plain), ("recentred", centred)):
            states[name] = rule.update(states[name], torch.tensor(load).long(), step)
            assert states[name].tolist() == pytest.approx(expected["after_step"][step - 1][name], abs=1e-9)


def test_a_tie_at_the_cutoff_leaves_a_token_with_k_experts():
    """Which of equal experts is left out is up to a kernel; the cutoff, which the rule learns from, is the same."""
    given, expected = example("te_qb_tie_rule")
    biased = torch.tensor(given["s_plus_b"])
    best = biased.topk(given["k"] + 1).values
    assert best[:, -1].tolist() == expected["cutoff"]
    rule = behavior(KimiQuantileBalancing())
    counts = []
    for order in ([0, 1, 2, 3, 4], [0, 1, 3, 2, 4]):  # the same token with two of its equals exchanged
        logits = torch.logit(biased[:, order])
        experts = biased[:, order].topk(given["k"]).indices
        routing = Routing(logits=logits, experts=experts, weights=experts.float(), score_function="sigmoid")
        context = Context(training=True, num_experts_per_tok=given["k"], score_function="sigmoid", logits=logits)
        counts.append(rule.observe(routing, rule.initial(5), context))
    assert torch.equal(*counts)


def test_the_gate_of_deepseek_v4_and_its_tokens_with_experts_of_a_table():
    given, expected = example("v4_gate")
    scores = scores_of(torch.tensor([given["logits"]]), "sqrtsoftplus")
    assert scores[0].tolist() == pytest.approx(expected["scores"], abs=1e-6)
    formula = Formula(renormalize=True, scale=given["route_scale"])
    chosen = (scores + torch.tensor(given["b"])).topk(given["k"]).indices
    for experts, name in ((chosen, "weights"), (torch.tensor([given["hash_idx"]]), "hash_weights")):
        assert formula.weights(scores, experts)[0].tolist() == pytest.approx(expected[name], abs=1e-6)
    assert chosen[0].tolist() == expected["indices"]


def test_experts_of_earlier_parameters_weighed_by_present_ones():
    """What replay does with the routes of an earlier copy; the rule around it is not built."""
    given, expected = example("anticipatory_routing")
    hidden = torch.tensor(given["x"])
    before, now = (scores_of(hidden @ torch.tensor(given[name]).T, "sqrtsoftplus") for name in ("W_old", "W_current"))
    experts = before.topk(given["K"]).indices
    assert experts.tolist() == expected["indices_old"]
    assert now.topk(given["K"]).indices.tolist() == expected["indices_current_not_used"]
    weights = Formula(renormalize=True, scale=given["route_scale"]).weights(now, experts)
    assert np.allclose(weights.numpy(), expected["weights"], atol=1e-6)


def test_measures_of_loads_and_of_ranks():
    given, expected = example("load_metrics")
    assert [max_violation(torch.tensor(load)) for load in given["loads"]] == expected["maxvio"]
    balance = rank_balance(np.array(given["loads"]), given["ranks"])
    assert balance["rank_loads"] == expected["rank_loads"]
    for engine in ("sglang", "vllm"):
        assert balance[f"{engine}_balancedness"] == pytest.approx(expected[f"{engine}_balancedness"], abs=1e-9)


def test_room_and_drops_of_a_capacity():
    given, expected = example("capacity_drop")
    load = np.array(given["loads"])
    for factor, row in zip(given["cf"], expected, strict=True):
        slots = room(factor, tokens=8, num_experts=4, num_experts_per_tok=2)
        assert slots == row["C"]
        assert 1 - np.minimum(load, slots).sum() / load.sum() == pytest.approx(row["drop"])


def test_the_pooled_loss_sees_no_imbalance_that_two_layers_cancel():
    given, expected = example("trl_router_aux")
    rule, pool = behavior(PooledSwitchLoss(coef=1.0)), LayerPool(4)
    alone, together = [], 0.0
    for name in ("logits_layer0", "logits_layer1"):
        logits = torch.tensor(given[name])
        experts = logits.topk(given["k"]).indices
        routing = Routing(logits=logits, experts=experts, weights=experts.float(), score_function="softmax")
        context = Context(training=True, num_experts_per_tok=given["k"], score_function="softmax", logits=logits)
        alone.append(float(rule.penalty(routing, context)))
        pool.add(routing)
        together += float(rule.penalty(routing, replace(context, pool=pool)))
    assert alone == pytest.approx([expected["aux_one_layer"]] * 2, abs=1e-6)
    assert together == pytest.approx(expected["aux_two_layers_pooled"], abs=1e-6)
