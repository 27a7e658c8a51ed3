"""Calls counted over some forward passes, and the drops a uniform router would have had."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from trimtab.moe.routing import expected_drops

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.capacity import Rooms
    from trimtab.moe.routing import Routing


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)
def zeros(num_experts: int) -> Tensor:
    """Return no calls [E], int64: one tensor for all who ask, to be added to and never changed in place."""
    return torch.zeros(num_experts, dtype=torch.int64)


@dataclass(slots=True)
class Tally:
    """Calls counted over some passes: ``routed`` and ``kept`` [E], tokens, drops expected of a uniform router.

    ``unread`` counts the passes in which padding could not be told from text. Counts are replaced and never changed in
    place, so that all empty tallies share their zeros.
    """

    routed: Tensor
    kept: Tensor
    tokens: int = 0
    expected_drops: float = 0.0
    unread: int = 0

    @classmethod
    def empty(cls, num_experts: int) -> Tally:
        """Return a tally of nothing."""
        return cls(zeros(num_experts), zeros(num_experts))

    def add(self, routing: Routing, rooms: Rooms | None, *, tokens: int, reroute: bool, unread: bool = False) -> None:
        """Count a routing of so many tokens of text that had these rooms; counts stay on its device."""
        nothing_dropped = routing.kept is None and self.kept is self.routed
        self.routed = _sum(self.routed, routing.load)
        self.kept = self.routed if nothing_dropped else _sum(self.kept, routing.kept_load)
        self.tokens += tokens
        self.unread += unread
        if rooms is not None:
            shape = (routing.num_experts, routing.num_experts_per_tok)
            self.expected_drops += _floor(rooms, *shape, reroute=reroute)


def _sum(counts: Tensor, more: Tensor) -> Tensor:
    """Add up on the device of what is counted: nothing counted so far lies where it was made."""
    return more if counts is zeros(len(more)) else counts.to(more.device) + more


def _floor(rooms: Rooms, num_experts: int, top_k: int, *, reroute: bool) -> float:
    """Drops of a uniform router; with rerouting, the calls for which there is no slot anywhere."""
    parts = list(zip(rooms.tokens, rooms.slots, strict=True))
    if reroute:
        return float(sum(max(0, top_k * tokens - num_experts * min(slots, tokens)) for tokens, slots in parts))
    return sum(expected_drops(tokens, num_experts, top_k, slots) for tokens, slots in parts)
