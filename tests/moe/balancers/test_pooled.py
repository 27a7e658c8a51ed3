"""The reproduction of transformers' auxiliary loss, value and gradient, against transformers itself."""

import pytest
import torch
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from trimtab.moe.attach import attach
from trimtab.moe.balancers import behavior
from trimtab.settings.rules import PooledSwitchLoss

CHECKPOINTING = {"off": None, "reentrant": {"use_reentrant": True}, "non_reentrant": {"use_reentrant": False}}


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_one_layer_is_transformers_value(top_k, route, context_of, draw):
    routing = route(draw(seed=3), "softmax", top_k)
    theirs = load_balancing_loss_func((routing.logits,), num_experts=8, top_k=top_k)
    assert torch.allclose(behavior(PooledSwitchLoss(coef=1.0)).penalty(routing, context_of(routing)), theirs)


@pytest.mark.parametrize("checkpointing", sorted(CHECKPOINTING))
@pytest.mark.parametrize("masked", [False, True])
def test_value_and_gradients_are_those_of_transformers_own_loss(build, text, step, close, checkpointing, masked):
    """The whole model: ours injected, theirs through output_router_logits, which pools the layers."""
    mask = torch.ones_like(text)
    if masked:
        mask[1, 9:], mask[3, 12:] = 0, 0
    labels = text.masked_fill(mask == 0, -100)
    model = build("mixtral")
    model.train()
    if CHECKPOINTING[checkpointing]:
        model.gradient_checkpointing_enable(CHECKPOINTING[checkpointing])
    gates = attach(model, balancer=PooledSwitchLoss(coef=0.25))
    model(input_ids=text, attention_mask=mask, labels=labels, use_cache=False).loss.backward()
    gates.update()
    ours = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    model = build("mixtral")
    model.train()
    model.router_aux_loss_coef = 0.25
    result = model(input_ids=text, attention_mask=mask, labels=labels, use_cache=False, output_router_logits=True)
    result.loss.backward()
    assert float(gates.penalty()) == pytest.approx(0.25 * float(result.aux_loss.detach()), rel=1e-5)
    close(ours, {name: p.grad for name, p in model.named_parameters() if p.grad is not None})


def test_accumulation_multiplies_it_only_where_that_is_to_be_reproduced(build, text, step):
    """With four equal micro-batches, transformers' Trainer penalizes four times as strongly."""
    same = text[:1].repeat(4, 1)
    values = []
    for times in (False, True):
        model = build("mixtral")
        gates = attach(model, balancer=PooledSwitchLoss(coef=0.25, times_accumulation=times), accumulation=4)
        step(model, gates, same, accumulation=4)
        values.append(float(gates.penalty()))
    assert values[1] == pytest.approx(4 * values[0], rel=1e-5)
