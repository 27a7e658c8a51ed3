"""Experts as upcycling leaves them, in a fresh model: what a balancer meets there, without a dense model to start from.

The dense block is made of experts that the model has: one, or for virtual groups G of them side by side.
:mod:`trimtab.moe.upcycle` does the same to a trained checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.expert_init import per_expert_vectors, weight_name
from trimtab.moe.expert_layout import expert_layout
from trimtab.moe.upcycle import redraw
from trimtab.settings import initializations

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.expert_layout import ExpertLayout
    from trimtab.moe.stressed import Stressed


def copy_and_redraw(init: initializations.DropUpcycled, on: Stressed) -> None:
    """Copy and redraw the experts of every layer."""
    for router in on.routers:
        layout = expert_layout(router)
        matrices = matrices_by_column(layout, init)
        parts = tuple(views[0].clone() for views in matrices.values())
        for expert in range(layout.count):
            for (name, views), drawn in zip(
                matrices.items(), redraw(parts, init.drop_ratio, on.generator), strict=True
            ):
                on.write(f"{layout.full_name(name)}[{expert}]", views[expert], drawn, router.name)


def lay_out_groups(init: initializations.VirtualGroups, on: Stressed) -> None:
    """Lay out the experts and rows of every layer."""
    for router in on.routers:
        layout = expert_layout(router)
        if layout.count < router.num_experts:
            raise ConfigurationError(f"{init!r}: some experts beside {router.name} have no weights to be a shard")
        for name, parts in layout.pieces.items():
            factor = init.granularity if name in layout.output else 1
            shards = [factor * part for part in parts[: init.granularity]]
            for expert, part in enumerate(parts):
                on.write(f"{layout.full_name(name)}[{expert}]", part, shards[expert % init.granularity], router.name)
        first = torch.arange(router.num_experts) // init.granularity * init.granularity
        on.write(weight_name(router), router.weight, router.weight[first.to(router.weight.device)], router.name)
        for name, per_expert in per_expert_vectors(router):
            on.write(name, per_expert, per_expert[first.to(per_expert.device)], router.name)


def add_noise(init: initializations.NoisyCopies, on: Stressed) -> None:
    """Add noise to the experts of every layer."""
    for router in on.routers:
        layout = expert_layout(router)
        for name, parts in layout.pieces.items():
            for expert, part in enumerate(parts):
                noise = init.std * part.std() * torch.randn(part.shape, generator=on.generator).to(part)
                on.write(f"{layout.full_name(name)}[{expert}]", part, part + noise, router.name)


def wither(init: initializations.DyingExpert, on: Stressed) -> None:
    """Shrink one drawn expert of each layer."""
    for router in on.routers:
        layout = expert_layout(router)
        chosen = int(torch.randint(layout.count, (1,), generator=on.generator))
        on.experts[router.name] = (chosen,)
        for name, parts in layout.pieces.items():
            on.write(f"{layout.full_name(name)}[{chosen}]", parts[chosen], parts[chosen] * init.factor, router.name)


def double(init: initializations.DoubledExperts, on: Stressed) -> None:
    """Redraw the first half of the experts, and copy them over the second, with their rows."""
    for router in on.routers:
        layout = expert_layout(router)
        if layout.count < router.num_experts:
            raise ConfigurationError(f"{init!r}: some experts beside {router.name} have no weights to be copied to")
        matrices, half = matrices_by_column(layout, init), router.num_experts // 2
        drawn = [
            redraw(tuple(views[expert].clone() for views in matrices.values()), init.drop_ratio, on.generator)
            for expert in range(half)
        ]
        inward = [index for index, name in enumerate(matrices) if name not in layout.output]
        norms = torch.stack([torch.stack([parts[i].norm() for i in inward]).norm() for parts in drawn])
        source = torch.cat([torch.arange(half), doubling_order(norms)])
        for expert in range(router.num_experts):
            for (name, views), made in zip(matrices.items(), drawn[int(source[expert])], strict=True):
                on.write(f"{layout.full_name(name)}[{expert}]", views[expert], made, router.name)
        rows = router.weight
        on.write(weight_name(router), rows, rows[source.to(rows.device)], router.name)
        for name, per_expert in per_expert_vectors(router):
            on.write(name, per_expert, per_expert[source.to(per_expert.device)], router.name)


def doubling_order(norms: Tensor) -> Tensor:
    """Return which of E/2 experts each new slot copies: by norm, the first of them up to three times."""
    ranked = norms.argsort(descending=True, stable=True).tolist()
    return torch.tensor([expert for expert in ranked for _ in range(3)][: len(ranked)])


def matrices_by_column(layout: ExpertLayout, init: object) -> dict[str, list[Tensor]]:
    """Return each expert's matrices as views [I, H], a row for each intermediate column: gate, up and down.

    A matrix that holds gate and up one after the other counts as two.

    Raises:
        ConfigurationError: There are biases, or shapes do not say which axis is which.
    """
    hidden = layout.router.weight.shape[1]
    output = layout.output
    shapes = ", ".join(f"{name} {list(parts[0].shape)}" for name, parts in layout.pieces.items())
    refusal = ConfigurationError(
        f"{init!r}: an expert beside {layout.router.name} holds {shapes}, of which it is not known which column goes"
        f" with which (hidden size {hidden})"
    )
    if any(parts[0].ndim != 2 for parts in layout.pieces.values()) or len(output) != 1:
        raise refusal
    ((last, last_parts),) = output.items()
    width = last_parts[0].numel() // hidden
    transposed = _transposed(layout, last, width)
    if transposed is None or last_parts[0].shape not in {(width, hidden), (hidden, width)}:
        raise refusal
    views: dict[str, list[Tensor]] = {}
    for name, parts in layout.pieces.items():
        turned = [part.T if transposed else part for part in parts]
        if name == last:
            inward = layout.flat or transposed
            views[name] = [part if inward else part.T for part in parts]
        elif turned[0].shape == (2 * width, hidden):
            views[f"{name}:gate"], views[f"{name}:up"] = (
                list(half) for half in zip(*(part.chunk(2) for part in turned), strict=True)
            )
        elif turned[0].shape == (width, hidden):
            views[name] = turned
        else:
            raise refusal
    return views


def _transposed(layout: ExpertLayout, last: str, width: int) -> bool | None:
    """Tell whether maps are stored [in, out] and not [out, in], by the first shape that can be one of them alone."""
    if layout.flat:
        return False
    hidden = layout.router.weight.shape[1]
    if width != hidden:
        return bool(layout.pieces[last][0].shape == (width, hidden))
    fused = next((parts[0].shape for parts in layout.pieces.values() if parts[0].numel() == 2 * width * hidden), None)
    return None if fused is None else bool(fused[0] == hidden)


def __getattr__(name: str) -> type[initializations.Initialization]:
    if name in initializations.BY_CLASS:
        return initializations.BY_CLASS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
