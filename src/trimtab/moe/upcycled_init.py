"""Experts as upcycling leaves them, in a fresh model: what a balancer meets there, without a dense model to start from.

The dense block is made of experts that the model has: one, or for virtual groups G of them side by side.
:mod:`trimtab.moe.upcycle` does the same to a trained checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.discovery import find_routers
from trimtab.moe.upcycle import redraw

if TYPE_CHECKING:
    from torch import Tensor, nn

    from trimtab.moe.router import Router


@dataclass(frozen=True, slots=True, kw_only=True)
class DropUpcycled:
    """Copies of a layer's first expert, each with a share of its intermediate columns drawn anew (arXiv 2502.19261).

    The columns are drawn for each expert, their new values from the normal distribution with the mean and standard
    deviation of what they held, matrix by matrix. 0 makes identical experts, 1 unrelated ones.
    """

    drop_ratio: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.drop_ratio <= 1:
            raise ConfigurationError(f"DropUpcycled(drop_ratio={self.drop_ratio!r}) must lie between 0 and 1")

    @torch.no_grad()
    def apply(self, model: nn.Module, sample_batch: Tensor, generator: torch.Generator) -> None:  # noqa: ARG002
        """Copy and redraw the experts of every layer."""
        for router in find_routers(model):
            gate_up, down = _projections(router, self)
            parts = (*gate_up[0].clone().chunk(2), down[0].T.clone())
            for expert in range(router.num_experts):
                gate, up, turned = redraw(parts, self.drop_ratio, generator)
                gate_up[expert].copy_(torch.cat([gate, up]))
                down[expert].copy_(turned.T)


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualGroups:
    """Experts as granular upcycling lays them out (arXiv 2410.07524): G shards, and groups with equal router rows.

    The first G experts of a layer are the shards of a dense block G times as wide; expert e holds shard e mod G, and
    the G experts of a virtual group have the router row of its first one, so that top-k takes whole groups and the
    layer is that dense block, whatever the routing, until the bias or the gradient tells members apart. Weights of a
    shard sum to 1/G, which a factor G on ``down_proj`` makes up for.

    Refuses k or E that are no multiple of G, and routers whose weights do not sum to 1.
    """

    granularity: int

    def __post_init__(self) -> None:
        if self.granularity < 1:
            raise ConfigurationError(f"VirtualGroups(granularity={self.granularity!r}) must be at least 1")

    @torch.no_grad()
    def apply(self, model: nn.Module, sample_batch: Tensor, generator: torch.Generator) -> None:  # noqa: ARG002
        """Lay out the experts and rows of every layer."""
        routers = find_routers(model)
        for router in routers:
            self._check(router)
        for router in routers:
            gate_up, down = _projections(router, self)
            shard = torch.arange(router.num_experts) % self.granularity
            gate_up.copy_(gate_up[shard])
            down.copy_(self.granularity * down[shard])
            router.weight.copy_(router.weight[torch.arange(router.num_experts) // self.granularity * self.granularity])

    def _check(self, router: Router) -> None:
        for name, count in (("num_experts", router.num_experts), ("num_experts_per_tok", router.num_experts_per_tok)):
            if count % self.granularity:
                raise ConfigurationError(
                    f"{self!r}: {router.name} has {name}={count}, no multiple of it, so top-k would cut through a group"
                )
        if not router.renormalize:
            raise ConfigurationError(
                f"{self!r}: the weights of {router.name} do not sum to 1, so its output would depend on the routing"
            )


def _projections(router: Router, init: object) -> tuple[Tensor, Tensor]:
    """Return gate_up_proj [E, 2I, H] and down_proj [E, H, I] of the experts beside a router."""
    hidden = router.weight.shape[1]
    found = [getattr(router.experts, name, None) for name in ("gate_up_proj", "down_proj")]
    gate_up, down = (one if isinstance(one, torch.Tensor) and one.ndim == 3 else None for one in found)
    if gate_up is None or down is None or gate_up.shape[2] != hidden or 2 * down.shape[2] != gate_up.shape[1]:
        raise ConfigurationError(
            f"{init!r}: the experts beside {router.name} have no gate_up_proj [E, 2I, H] and down_proj [E, H, I]"
        )
    return gate_up, down
