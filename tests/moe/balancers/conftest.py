"""Routings to try balancers on, and one of every balancer."""

import pytest
import torch

from trimtab.moe.balancers import Context, behavior
from trimtab.moe.routing import Routing
from trimtab.settings.rules import (
    BIP,
    SMEBU,
    CausalBias,
    KimiQuantileBalancing,
    LossFree,
    MarinQuantileBalancing,
    MegatronQuantileBalancing,
    ModalityLossFree,
    MovingQuantileBalancing,
    NewtonBalancing,
    NoBalancer,
    PooledSwitchLoss,
    QuantileBalancing,
    RouterZLoss,
    SimBal,
    Sinkhorn,
    SoftClippedBias,
    Stack,
    SwitchLoss,
)

EVERY = [
    NoBalancer(),
    LossFree(bias_update_rate=1e-2),
    LossFree(bias_update_rate=1e-2, update="proportional", schedule="inv_sqrt", centered=True),
    LossFree(bias_update_rate=1e-2, update="rms", clip=0.5, freeze_at=0.9, total_steps=100),
    ModalityLossFree(bias_update_rate=1e-2),
    SMEBU(),
    SoftClippedBias(bias_update_rate=1e-2),
    SoftClippedBias(bias_update_rate=1e-2, momentum=0.5),
    QuantileBalancing(),
    QuantileBalancing(ema=0.5, centered=False),
    MegatronQuantileBalancing(),
    MegatronQuantileBalancing(ema=0.5),
    MarinQuantileBalancing(),
    KimiQuantileBalancing(),
    NewtonBalancing(),
    MovingQuantileBalancing(),
    CausalBias(rate=0.05),
    BIP(iterations=3),
    Sinkhorn(),
    SwitchLoss(coef=0.1, scope="sequence"),
    SwitchLoss(coef=0.1, scope="micro"),
    SwitchLoss(coef=0.1, scope="global"),
    PooledSwitchLoss(coef=0.1),
    RouterZLoss(coef=1e-3),
    SimBal(coef=0.1),
    Stack(LossFree(bias_update_rate=1e-2), SwitchLoss(coef=1e-4, scope="sequence"), RouterZLoss(coef=1e-3)),
    Stack(QuantileBalancing(), SimBal(coef=0.1)),
    Stack(SMEBU(), SwitchLoss(coef=1e-4, scope="sequence", count="selection")),
]


@pytest.fixture(params=EVERY, ids=repr)
def balancer(request):
    return behavior(request.param)


def route_logits(logits, score_function="sigmoid", top_k=2, valid=None):
    scores = logits.sigmoid() if score_function == "sigmoid" else logits.softmax(-1)
    experts = scores.topk(top_k).indices
    return Routing(
        logits=logits,
        experts=experts,
        weights=scores.gather(1, experts),
        score_function=score_function,
        valid=valid,
    )


def context_for(routing, sequence=None, load_so_far=None, *, training=True, load_signal="routed"):
    rows = torch.randn(routing.num_experts, 16, generator=torch.Generator().manual_seed(1)).requires_grad_()
    return Context(
        training=training,
        num_experts_per_tok=routing.num_experts_per_tok,
        score_function=routing.score_function,
        logits=routing.logits,
        valid=routing.valid,
        load_so_far=load_so_far,
        sequence=sequence,
        load_signal=load_signal,
        router_weight=rows,
    )


def draw_logits(tokens=64, experts=8, seed=0, skew=1.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(tokens, experts, generator=generator) + skew * torch.linspace(-1, 1, experts)


@pytest.fixture
def route():
    return route_logits


@pytest.fixture
def context_of():
    return context_for


@pytest.fixture
def draw():
    return draw_logits
