"""Where the calls of one routing go: kept, rerouted or dropped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from trimtab.moe.capacity import keep, priority, rooms
from trimtab.moe.reroute import reroute

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from trimtab.moe.capacity import Rooms
    from trimtab.moe.routing import Routing
    from trimtab.settings.capacities import Capacity


@torch.no_grad()
def place(  # noqa: PLR0913 - a routing, its limits, and what is known of the pass
    routing: Routing,
    limits: Capacity,
    factor: float | None,
    sequence: Tensor | None,
    *,
    choice: Callable[[], Tensor],
    seed: tuple[int, ...],
    sizes: tuple[int, ...] | None = None,
) -> tuple[Routing, Rooms | None]:
    """Return the routing with ``kept`` decided, its calls rerouted if the capacity says so, and the rooms there were.

    Args:
        routing: As chosen.
        limits: The capacity.
        factor: Its factor for this pass; None is dropless.
        sequence: [T] number of each token's sequence.
        choice: Gives the scores [T, E] that top-k saw; called only when a call has to be rerouted.
        seed: What the random policy draws from.
        sizes: Tokens of text in each part that competes, where they are known.
    """
    shape = (len(routing.experts), routing.num_experts, routing.num_experts_per_tok)
    slots = rooms(limits, factor, routing.valid, sequence, shape=shape, sizes=sizes)
    kept = _keep(routing, limits, slots, seed)
    if slots is None or not limits.reroute or not _turned_away(routing, kept):
        return replace(routing, kept=kept), slots
    text_calls = None if routing.valid is None else routing.valid[:, None].expand_as(routing.experts)
    key = priority(routing.weights, limits.drop_policy, _generator(limits, seed))
    weight = _weight_of_all(routing) if limits.drop_policy == "probs" else None
    experts, served = reroute(routing.experts, choice(), weight, text_calls, slots, key)
    return replace(routing, experts=experts, kept=served, demanded=routing.experts), slots


def _keep(routing: Routing, limits: Capacity, found: Rooms | None, seed: tuple[int, ...]) -> Tensor | None:
    return keep(
        routing.experts,
        routing.weights,
        routing.valid,
        slots=found,
        drop_policy=limits.drop_policy,
        generator=None if found is None else _generator(limits, seed),
        num_experts=routing.num_experts,
    )


def _generator(limits: Capacity, seed: tuple[int, ...]) -> torch.Generator | None:
    """A draw of this layer and pass, so that a resumed run and a recomputed layer drop the same calls."""
    if limits.drop_policy != "random":
        return None
    return torch.Generator().manual_seed(hash(seed) % 2**63)  # a tuple of integers hashes the same in every process


def _turned_away(routing: Routing, kept: Tensor | None) -> bool:
    if kept is None:
        return False
    return not bool(kept.all() if routing.valid is None else kept[routing.valid].all())


def _weight_of_all(routing: Routing) -> Tensor:
    """Weight [T, E] that each token would have with each expert, on the scale of its present weights."""
    scores = routing.scores
    chosen = scores.gather(1, routing.experts).sum(1, keepdim=True)
    return scores * (routing.weights.sum(1, keepdim=True).to(scores.dtype) / chosen)
