"""Stresses of a fresh model's routers and experts before training, in place and reproducibly.

Initialization reaches a balancer through the rows of the router (how alike they are, how far apart their scores), so
most of these write there; two write the experts. A skew is written *along the mean input of the router*, so that it
scales with each token: a constant offset would be cancelled exactly by a bias, and would test nothing but its travel.

What can be set in each is in :mod:`trimtab.settings.initializations`. Experts as upcycling leaves them are in
:mod:`trimtab.moe.upcycled_init`, what changes the input of the routers in :mod:`trimtab.moe.depth_init`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers.interface import shape_of
from trimtab.moe.discovery import find_routers

if TYPE_CHECKING:
    from torch import Tensor, nn

    from trimtab.moe.router import Router
    from trimtab.moe.stressed import Stressed
    from trimtab.settings import initializations


def leave(_init: initializations.Random, on: Stressed) -> None:
    """Do nothing."""


def scale(init: initializations.ScaledRouter, on: Stressed) -> None:
    """Scale every router."""
    for router in find_routers(on.model):
        router.weight.mul_(init.factor)


def skew(init: initializations.SkewedRouter, on: Stressed) -> None:
    """Skew every router, the first layer first, since it changes what the next one sees."""
    for router in find_routers(on.model):
        count = max(1, round(init.share * router.num_experts))
        favored = _draw(router.num_experts, count, on.generator)
        _shift_along_mean(on.model, router, favored, on.sample_batch, init.shift)


def bias(init: initializations.BiasedRouter, on: Stressed) -> None:
    """Shift every router, the first layer first."""
    for router in find_routers(on.model):
        shifts = init.std * torch.randn(router.num_experts, 1, generator=on.generator)
        _shift_along_mean(on.model, router, torch.arange(router.num_experts), on.sample_batch, shifts)


def prompt(init: initializations.PromptRouter, on: Stressed) -> None:
    """Give each router rows that point to the mean inputs of the sample's texts."""
    for router in find_routers(on.model):
        inputs = _inputs(on.model, router, on.sample_batch)
        texts = inputs.view(len(on.sample_batch), -1, inputs.shape[-1])
        for expert in range(router.num_experts):
            # Further experts than texts get a later piece of a text.
            text, piece = expert % len(texts), expert // len(texts)
            pieces = -(-router.num_experts // len(texts))
            mean = texts[text].chunk(pieces)[piece].mean(0)
            router.weight[expert] = (init.norm * mean / mean.norm()).to(router.weight)


def twin(init: initializations.TwinRows, on: Stressed) -> None:
    """Give each group the row of its first member; which experts form a group is drawn."""
    for router in find_routers(on.model):
        init.check_fit(shape_of(router))
        rows = router.weight
        order = _draw(router.num_experts, router.num_experts, on.generator)
        group = torch.empty_like(order)
        group[order] = torch.arange(len(order)) % init.groups
        first = torch.stack([rows[order[index]] for index in range(init.groups)])
        noise = torch.randn(rows.shape, generator=on.generator).to(rows) * rows.std() * init.noise
        rows.copy_(first[group.to(rows.device)] + noise)


def copy_first(_init: initializations.IdenticalExperts, on: Stressed) -> None:
    """Copy the first expert over the others."""
    for router in find_routers(on.model):
        for parameter in router.experts.parameters():
            parameter.copy_(parameter[:1].expand_as(parameter).clone())


def kill(init: initializations.DeadExpert, on: Stressed) -> None:
    """Silence one drawn expert of each layer."""
    for router in find_routers(on.model):
        dead = _draw(router.num_experts, 1, on.generator)
        _down_projection(router)[dead] = 0
        _shift_along_mean(on.model, router, dead, on.sample_batch, init.shift)


def _down_projection(router: Router) -> Tensor:
    weight = getattr(router.experts, "down_proj", None)
    if not isinstance(weight, torch.Tensor) or weight.ndim != 3:
        raise ConfigurationError(f"DeadExpert: the experts beside {router.name} have no down_proj [E, H, I]")
    return weight


def _draw(num_experts: int, count: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(num_experts, generator=generator)[:count]


def _shift_along_mean(
    model: nn.Module, router: Router, experts: Tensor, sample_batch: Tensor, shift: float | Tensor
) -> None:
    """Shift the mean logits of ``experts`` by ``shift``, one number or [experts, 1]."""
    mean = _mean_input(model, router, sample_batch)
    rows = router.weight
    amount = shift if isinstance(shift, float) else shift.to(mean)
    rows[experts.to(rows.device)] += (amount * mean / mean.square().sum()).to(rows)


def _mean_input(model: nn.Module, router: Router, sample_batch: Tensor) -> Tensor:
    """Mean [H] over the tokens of the sample of what the router sees."""
    return _inputs(model, router, sample_batch).mean(0)


def _inputs(model: nn.Module, router: Router, sample_batch: Tensor) -> Tensor:
    """What the router sees of the sample, [T, H]."""
    seen: list[Tensor] = []
    handle = router.module.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    training = model.training
    model.eval()
    try:
        model(input_ids=sample_batch)
    finally:
        handle.remove()
        model.train(training)
    return seen[0].flatten(0, -2).float()
