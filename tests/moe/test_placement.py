"""Capacity in a whole model: sequences, rerouting, renormalization, recomputation and the future."""

import pytest
import torch

from trimtab.moe.attach import attach
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import LossFree, NoBalancer, SwitchLoss

STABLE = Capacity(factor=1.0, eval_factor=1.0, drop_policy="position", scope="sequence", tokens=16)


def outputs(model, gates):
    seen = {}
    for router in gates.routers:
        router.module.register_forward_hook(
            lambda _module, _args, output, layer=router.layer: seen.update({layer: output})
        )
    return seen


@pytest.mark.parametrize("reroute", [False, True])
def test_future_tokens_never_change_past_decisions_in_prefix_stable_mode(build, text, family, reroute):
    limits = Capacity(eval_factor=0.75, drop_policy="position", scope="sequence", tokens=16, reroute=reroute)
    assert limits.prefix_stable
    model = build(family).eval()
    gates = attach(model, balancer=NoBalancer(), capacity=limits)
    with torch.no_grad(), gates.measure() as lines:
        whole = model(input_ids=text).logits
        short = model(input_ids=text[:2, :9]).logits
        other = model(input_ids=torch.cat([text[:2, :9], text[2:, :7]], 1)).logits
    assert max(line["drop_rate"] for line in lines) > (0 if reroute else 0.02)
    assert torch.allclose(whole[:2, :9], short, atol=1e-5)
    assert torch.allclose(other[:, :9], short, atol=1e-5)


@pytest.mark.parametrize(
    "limits",
    [
        Capacity(eval_factor=0.75),
        Capacity(eval_factor=0.75, drop_policy="probs", scope="sequence", tokens=16),
        Capacity(eval_factor=0.75, drop_policy="position"),
    ],
    ids=repr,
)
def test_other_modes_do_let_the_future_in(build, text, limits):
    assert not limits.prefix_stable
    model = build("qwen3_moe").eval()
    attach(model, balancer=NoBalancer(), capacity=limits)
    with torch.no_grad():
        whole, short = model(input_ids=text).logits, model(input_ids=text[:2, :9]).logits
    assert not torch.allclose(whole[:2, :9], short, atol=1e-5)


@pytest.mark.parametrize("scope", ["batch", "sequence"])
def test_padded_and_unpadded_batches_keep_the_same_calls(build, text, family, scope):
    model = build(family).eval()
    gates = attach(model, balancer=NoBalancer(), capacity=Capacity(eval_factor=1.0, scope=scope, reroute=True))
    wide, mask = torch.cat([text, torch.zeros_like(text)], 1), torch.ones_like(text)
    with torch.no_grad(), gates.measure():
        narrow = model(input_ids=text).logits
        padded = model(input_ids=wide, attention_mask=torch.cat([mask, 0 * mask], 1)).logits
    assert torch.allclose(padded[:, :16], narrow, atol=1e-5)


@pytest.mark.parametrize("policy", ["probs", "position", "random", "batch_priority"])
@pytest.mark.parametrize("checkpointing", [{"use_reentrant": True}, {"use_reentrant": False}], ids=str)
def test_recomputation_reroutes_as_before(*, build, text, family, step, close, policy, checkpointing):
    results = []
    for kwargs in (None, checkpointing):
        model = build(family)
        if kwargs:
            model.gradient_checkpointing_enable(kwargs)
        limits = Capacity(factor=1.0, drop_policy=policy, reroute=True, renormalize=True)
        gates = attach(model, balancer=SwitchLoss(coef=0.1), capacity=limits)
        loads, gradients = step(model, gates, text)
        results.append((loads, gradients, gates.metrics()))
    close(results[0][1], results[1][1])
    assert results[0][2] == results[1][2]


def test_rerouting_drops_less_and_hides_no_demand(build, text, step):
    rates, loads = [], []
    for reroute in (False, True):
        model = build("qwen3_moe")
        gates = attach(model, balancer=LossFree(bias_update_rate=1e-2), capacity=Capacity(factor=1.0, reroute=reroute))
        seen = outputs(model, gates)
        loads.append(step(model, gates, text)[0][1])
        rates.append(gates.metrics()[0]["drop_rate"])
    assert rates[0] > 0.1 > rates[1]
    assert torch.equal(*loads)  # the first layer's demand, before rerouting
    _, weights, experts = seen[1]
    scores = seen[1][0].softmax(-1).gather(1, experts)
    expected = scores / scores.sum(1, keepdim=True)
    assert torch.allclose(weights, expected.masked_fill(weights == 0, 0), atol=1e-6)


def test_renormalized_weights_sum_to_one_where_anything_is_kept(build, text):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer(), capacity=Capacity(eval_factor=0.75, renormalize=True))
    seen = outputs(model, gates)
    with torch.no_grad():
        model(input_ids=text)
    sums = seen[1][1].sum(1)
    assert bool(((sums - 1).abs().lt(1e-5) | (sums == 0)).all())
    assert bool((sums == 0).any() | (seen[1][1] == 0).any())


@pytest.mark.parametrize("limits", [STABLE, Capacity(eval_factor=9.0), Capacity(eval_factor=0.01, reroute=True)])
@pytest.mark.parametrize("columns", [1, 16])
def test_edges(build, text, limits, columns):
    """C·K > E, one token as in decoding, less than a slot each (FRAMEWORKS 9.7)."""
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer(), capacity=limits)
    with torch.no_grad(), gates.measure() as lines:
        assert model(input_ids=text[:1, :columns]).logits.isfinite().all()
    assert 0 <= lines[0]["drop_rate"] <= 1
