"""Experts as upcycling leaves them, in a fresh model: what a balancer meets there, without a dense model to start from.

The dense block is made of experts that the model has: one, or for virtual groups G of them side by side.
:mod:`trimtab.moe.upcycle` does the same to a trained checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers.interface import shape_of
from trimtab.moe.discovery import find_routers
from trimtab.moe.upcycle import redraw

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.router import Router
    from trimtab.moe.stressed import Stressed
    from trimtab.settings import initializations


def copy_and_redraw(init: initializations.DropUpcycled, on: Stressed) -> None:
    """Copy and redraw the experts of every layer."""
    for router in find_routers(on.model):
        gate_up, down = _projections(router, init)
        parts = (*gate_up[0].clone().chunk(2), down[0].T.clone())
        for expert in range(router.num_experts):
            gate, up, turned = redraw(parts, init.drop_ratio, on.generator)
            gate_up[expert].copy_(torch.cat([gate, up]))
            down[expert].copy_(turned.T)


def lay_out_groups(init: initializations.VirtualGroups, on: Stressed) -> None:
    """Lay out the experts and rows of every layer."""
    routers = find_routers(on.model)
    for router in routers:
        init.check_fit(shape_of(router))
    for router in routers:
        gate_up, down = _projections(router, init)
        shard = torch.arange(router.num_experts) % init.granularity
        gate_up.copy_(gate_up[shard])
        down.copy_(init.granularity * down[shard])
        router.weight.copy_(router.weight[torch.arange(router.num_experts) // init.granularity * init.granularity])


def add_noise(init: initializations.NoisyCopies, on: Stressed) -> None:
    """Add noise to the experts of every layer."""
    for router in find_routers(on.model):
        for stack in _projections(router, init):
            for matrix in stack:
                matrix.add_(init.std * matrix.std() * torch.randn(matrix.shape, generator=on.generator).to(matrix))


def wither(init: initializations.DyingExpert, on: Stressed) -> None:
    """Shrink one drawn expert of each layer."""
    for router in find_routers(on.model):
        chosen = int(torch.randint(router.num_experts, (1,), generator=on.generator))
        for stack in _projections(router, init):
            stack[chosen] *= init.factor


def double(init: initializations.DoubledExperts, on: Stressed) -> None:
    """Redraw the first half of the experts, and copy them over the second."""
    for router in find_routers(on.model):
        init.check_fit(shape_of(router))
        gate_up, down = _projections(router, init)
        half = router.num_experts // 2
        for expert in range(half):
            gate, up, turned = redraw(
                (*gate_up[expert].clone().chunk(2), down[expert].T.clone()), init.drop_ratio, on.generator
            )
            gate_up[expert].copy_(torch.cat([gate, up]))
            down[expert].copy_(turned.T)
        order = _doubling_order(gate_up[:half].norm(dim=(1, 2)))
        for stack in (gate_up, down, router.weight):
            stack[half:] = stack[order]


def _doubling_order(norms: Tensor) -> Tensor:
    """Return which of E/2 experts each new slot copies: by norm, the first of them up to three times."""
    ranked = norms.argsort(descending=True, stable=True).tolist()
    return torch.tensor([expert for expert in ranked for _ in range(3)][: len(ranked)])


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
