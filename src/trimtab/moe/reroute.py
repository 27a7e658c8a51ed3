"""Rerouting: a call that one expert has no room for goes to the token's next best.

Deferred acceptance (Gale and Shapley): every call without room is offered to the next best expert of its token that has
not turned the token down, and an expert keeps the first calls it has been offered, in the order of the drop policy. The
outcome does not depend on the order of offers: no token and expert would both rather have each other. With the policy
``"position"`` it is what serving the tokens one after the other gives, so it stays prefix-stable.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from trimtab.moe.capacity import served

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.capacity import Rooms


def reroute(
    experts: Tensor, choice: Tensor, weight: Tensor | None, asked: Tensor | None, rooms: Rooms, key: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Find a place for every call that can have one.

    Args:
        experts: [T, K] chosen experts.
        choice: [T, E] scores that top-k saw; −∞ where a token must not go.
        weight: [T, E] weight of every token with every expert, to order calls by (``"probs"``); None to use ``key``.
        asked: [T, K] whether the call is text; None when all are.
        rooms: The room of the experts.
        key: [T, K] order of the calls, smaller first, in order where equal or None; not read with ``weight``.

    Returns:
        [T, K] experts, and [T, K] whether each serves. A call that nobody has room for keeps its first expert.
    """
    tokens, num_experts = choice.shape
    room_of = rooms.per_bucket(num_experts, experts.device)
    rest, allowed = _next_best(experts, choice)
    current = experts.clone()
    active = torch.ones_like(experts, dtype=torch.bool) if asked is None else asked.clone()
    turned_down = torch.zeros(tokens, 1, dtype=torch.int64, device=experts.device)
    while True:
        order = key if weight is None else -weight.gather(1, current)
        kept = served(rooms.bucket(current, num_experts), active, room_of, order)
        rejected = active & ~kept
        if not bool(rejected.any()):
            return torch.where(kept, current, experts), kept
        ticket = turned_down + rejected.cumsum(1) - 1
        possible = rejected & (ticket < allowed)
        offered = rest.gather(1, ticket.clamp(0, rest.shape[1] - 1))
        current = torch.where(possible, offered, current)
        active &= ~(rejected & ~possible)
        turned_down = turned_down + rejected.sum(1, keepdim=True)


def _next_best(experts: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
    """Experts [T, E] not chosen, best first (then those that were), and how many [T, 1] of them are allowed."""
    others = choice.scatter(1, experts, -math.inf)
    return others.argsort(dim=1, descending=True, stable=True), (others > -math.inf).sum(1, keepdim=True)
