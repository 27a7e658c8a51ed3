"""Stress a fresh model's routers or experts before training, in place and reproducibly.

Initialization reaches a balancer through the rows of the router (how alike they are, how far apart their scores), so
most of these write there; two write the experts. A skew is written *along the mean input of the router*, so that it
scales with each token: a constant offset would be cancelled exactly by a bias, and would test nothing but its travel.

Experts as upcycling leaves them are in :mod:`trimtab.moe.upcycled_init`, what changes the input of the routers in
:mod:`trimtab.moe.depth_init`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.discovery import find_routers

if TYPE_CHECKING:
    from torch import Tensor, nn

    from trimtab.moe.router import Router


class ExpertInit(Protocol):
    """Something that changes a fresh model."""

    def apply(self, model: nn.Module, sample_batch: Tensor, generator: torch.Generator) -> None:
        """Change ``model`` in place.

        Args:
            model: A transformers model, before :func:`~trimtab.moe.attach.attach`.
            sample_batch: [B, S] token ids on which inputs are measured, where that is needed.
            generator: Source of every draw; draws do not depend on the model's weights.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Random:
    """The model as its own initialization left it: the reference."""

    def apply(self, model: nn.Module, sample_batch: Tensor, generator: torch.Generator) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledRouter:
    """Router rows times ``factor``: large ones saturate the scores, small ones flatten them."""

    factor: float

    def __post_init__(self) -> None:
        if not (self.factor > 0 and math.isfinite(self.factor)):
            raise ConfigurationError(f"ScaledRouter(factor={self.factor!r}) must be positive and finite")

    @torch.no_grad()
    def apply(self, model: nn.Module, sample_batch: Tensor, generator: torch.Generator) -> None:  # noqa: ARG002
        """Scale every router."""
        for router in find_routers(model):
            _rows(router).mul_(self.factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewedRouter:
    """A ``share`` of the experts of each layer favored by ``shift`` logits on average, in proportion to the token.

    Row e gains shift · m / |m|² with m the mean input of the router on the sample, so that the mean logit of e over
    the sample rises by exactly ``shift``.
    """

    shift: float
    share: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.shift):
            raise ConfigurationError(f"SkewedRouter(shift={self.shift!r}) must be finite")
        if not 0 < self.share < 1:
            raise ConfigurationError(f"SkewedRouter(share={self.share!r}) must lie between 0 and 1")

    @torch.no_grad()
    def apply(self, model: nn.Module, sample_batch: Tensor, generator: torch.Generator) -> None:
        """Skew every router, the first layer first, since it changes what the next one sees."""
        for router in find_routers(model):
            count = max(1, round(self.share * router.num_experts))
            favored = _draw(router.num_experts, count, generator)
            _shift_along_mean(model, router, favored, sample_batch, self.shift)


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasedRouter:
    """Every expert's mean logit shifted by a draw from N(0, ``std``²), in proportion to the token.

    Megatron's ``moe_router_force_biased`` adds such draws, fixed for each layer, to all logits; here they lie along the
    mean input as in :class:`SkewedRouter`, where training can undo them and a bias cannot cancel them.
    """

    std: float

    def __post_init__(self) -> None:
        if not (self.std > 0 and math.isfinite(self.std)):
            raise ConfigurationError(f"BiasedRouter(std={self.std!r}) must be positive and finite")

    @torch.no_grad()
    def apply(self, model: nn.Module, sample_batch: Tensor, generator: torch.Generator) -> None:
        """Shift every router, the first layer first."""
        for router in find_routers(model):
            shifts = self.std * torch.randn(router.num_experts, 1, generator=generator)
            _shift_along_mean(model, router, torch.arange(router.num_experts), sample_batch, shifts)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinRows:
    """Experts in ``groups`` groups whose members have equal router rows, up to ``noise`` (in row standard deviations).

    A bias cannot tell twins apart: where a group is larger than k, any difference moves all its tokens together.
    """

    groups: int
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.groups < 1 or not (self.noise >= 0 and math.isfinite(self.noise)):
            raise ConfigurationError(f"{self!r}: groups must be at least 1, noise not negative")

    @torch.no_grad()
    def apply(self, model: nn.Module, sample_batch: Tensor, generator: torch.Generator) -> None:  # noqa: ARG002
        """Give each group the row of its first member; which experts form a group is drawn."""
        for router in find_routers(model):
            if self.groups >= router.num_experts:
                raise ConfigurationError(f"{self!r}: {router.name} has {router.num_experts} experts, so nobody a twin")
            rows = _rows(router)
            order = _draw(router.num_experts, router.num_experts, generator)
            group = torch.empty_like(order)
            group[order] = torch.arange(len(order)) % self.groups
            first = torch.stack([rows[order[index]] for index in range(self.groups)])
            noise = torch.randn(rows.shape, generator=generator).to(rows) * rows.std() * self.noise
            rows.copy_(first[group.to(rows.device)] + noise)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdenticalExperts:
    """Every expert of a layer a copy of its first one, as after sparse upcycling (arXiv 2212.05055).

    With renormalized weights the layer's output then does not depend on the routing.
    """

    @torch.no_grad()
    def apply(self, model: nn.Module, sample_batch: Tensor, generator: torch.Generator) -> None:  # noqa: ARG002
        """Copy the first expert over the others."""
        for router in find_routers(model):
            for parameter in router.experts.parameters():
                parameter.copy_(parameter[:1].expand_as(parameter).clone())


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadExpert:
    """One expert of each layer that says nothing and is hardly ever asked.

    Its output projection is zero, and its router row is lowered by ``shift`` logits on average along the mean input.
    Gradients can still revive it.
    """

    shift: float = -6.0

    @torch.no_grad()
    def apply(self, model: nn.Module, sample_batch: Tensor, generator: torch.Generator) -> None:
        """Silence one drawn expert of each layer."""
        for router in find_routers(model):
            dead = _draw(router.num_experts, 1, generator)
            _down_projection(router)[dead] = 0
            _shift_along_mean(model, router, dead, sample_batch, self.shift)


def _rows(router: Router) -> Tensor:
    return router.weight


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
    rows = _rows(router)
    amount = shift if isinstance(shift, float) else shift.to(mean)
    rows[experts.to(rows.device)] += (amount * mean / mean.square().sum()).to(rows)


def _mean_input(model: nn.Module, router: Router, sample_batch: Tensor) -> Tensor:
    """Mean [H] over the tokens of the sample of what the router sees."""
    seen: list[Tensor] = []
    handle = router.module.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    training = model.training
    model.eval()
    try:
        model(input_ids=sample_batch)
    finally:
        handle.remove()
        model.train(training)
    return seen[0].flatten(0, -2).float().mean(0)
