"""Capacity: which calls an expert keeps when more come than it has room for.

An expert has ⌈C·K·T / E⌉ slots for T tokens (Switch, arXiv 2101.03961, Eq. 3, for top-K): those of the batch, those of
each sequence, or a fixed number of them. Padding takes none. A dropped call has weight 0 and keeps its index, which
every expert implementation understands; unless asked otherwise, the weights of the calls that remain are not
renormalized (Megatron, Switch: the residual stream carries the token).

Training and evaluation are apart: a limit during decoding makes a sample depend on its batch mates, so evaluation is
dropless unless asked otherwise. Balancers see the load *before* drops unless told otherwise: a load counted after drops
is flat at C ≤ 1 whatever the demand, and a bias rule that reads it stops moving.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from trimtab.moe.routing import counted
from trimtab.settings.capacities import Capacity  # noqa: TC001 - can be imported from here too

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.settings.capacities import DropPolicy


def room(
    factor: float | None, *, tokens: int, num_experts: int, num_experts_per_tok: int, min_capacity: int = 1
) -> int | None:
    """Slots of one expert for T tokens: ⌈C·K·T / E⌉, at least ``min_capacity``; None when dropless.

    Exact in the decimal digits of C: 1.1 × 2 × 200 / 8 is 55, not 56.
    """
    if factor is None:
        return None
    return _room(factor, tokens, num_experts, num_experts_per_tok, min_capacity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """The room of an expert in each of S parts of a batch that compete among themselves.

    Args:
        slots: Slots of one expert in each part.
        tokens: Tokens of each part, without padding.
        part: [T] part of each token; None when there is one.
    """

    slots: tuple[int, ...]
    tokens: tuple[int, ...]
    part: Tensor | None = None

    @property
    def plenty(self) -> bool:
        """Whether nobody can be turned away: a token calls an expert at most once."""
        return all(slots >= tokens for slots, tokens in zip(self.slots, self.tokens, strict=True))

    def bucket(self, experts: Tensor, num_experts: int) -> Tensor:
        """Return [T, K] numbers below S·E: the expert in the part of the token."""
        return experts if self.part is None else experts + num_experts * self.part[:, None]

    def per_bucket(self, num_experts: int, device: torch.device) -> Tensor:
        """Return the slots [S·E] of each bucket."""
        if len(set(self.slots)) == 1:
            return torch.full((len(self.slots) * num_experts,), self.slots[0], device=device)
        return torch.tensor(self.slots).to(device, non_blocking=True).repeat_interleave(num_experts)


def rooms(
    limits: Capacity,
    factor: float | None,
    valid: Tensor | None,
    sequence: Tensor | None,
    *,
    shape: tuple[int, int, int],
    sizes: tuple[int, ...] | None = None,
) -> Rooms | None:
    """Return the rooms for a forward pass; None when dropless.

    Args:
        limits: The capacity.
        factor: Its factor for this pass.
        valid: [T] whether a token is text.
        sequence: [T] number of each token's sequence; None when there is one.
        shape: T, E and K.
        sizes: Tokens of text in each part that competes; None to count them, which reads them from the device.
    """
    if factor is None:
        return None
    total, num_experts, top_k = shape
    part = sequence if limits.scope == "sequence" else None
    if sizes is None and part is None:
        sizes = (total if valid is None else int(valid.sum()),)
    elif sizes is None:
        assert part is not None  # noqa: S101 - the case before
        text = part if valid is None else part[valid]
        sizes = tuple(torch.bincount(text, minlength=int(part.max()) + 1 if total else 0).tolist())
    slots = [_room(factor, limits.tokens or size, num_experts, top_k, limits.min_capacity) for size in sizes]
    return Rooms(slots=tuple(slots), tokens=sizes, part=part)


@lru_cache(maxsize=65536)
def _room(factor: float, tokens: int, num_experts: int, top_k: int, min_capacity: int) -> int:
    exact = Fraction(str(factor)) * top_k * tokens / num_experts
    return max(math.ceil(exact), min_capacity)


def keep(  # noqa: PLR0913 - the calls, their room, and what decides between them
    experts: Tensor,
    weights: Tensor,
    valid: Tensor | None,
    *,
    slots: int | Rooms | None,
    drop_policy: DropPolicy = "probs",
    generator: torch.Generator | None = None,
    num_experts: int | None = None,
) -> Tensor | None:
    """Decide which calls find room; on a GPU without waiting for it.

    Args:
        experts: [T, K] chosen experts; a token names each expert at most once.
        weights: [T, K] their weights, which order the calls under ``"probs"``; earlier tokens win ties.
        valid: [T] whether the token is text; padding never takes a slot. None when all tokens are text.
        slots: Room of each expert; None keeps everything.
        drop_policy: Who comes first.
        generator: Source of the ``"random"`` order.
        num_experts: E; None to read the largest expert that is called.

    Returns:
        [T, K] bool, or None when every valid call is kept and nothing is padding; on a GPU None only where that is
        known from the rooms alone.
    """
    calls = None if valid is None else valid[:, None].expand_as(experts)
    if isinstance(slots, int):
        slots = Rooms(slots=(slots,), tokens=(len(experts),))
    if slots is None or slots.plenty or not len(experts):
        return calls
    num_experts = num_experts or int(experts.max()) + 1
    room_of = slots.per_bucket(num_experts, experts.device)
    bucket = slots.bucket(experts, num_experts)
    # A processor has the answer at hand, and sorts nothing where all find room; a GPU would have to be waited for.
    if experts.device.type == "cpu":
        called = bucket if calls is None else bucket.masked_fill(~calls, len(room_of))
        if bool((counted(called, len(room_of) + 1)[:-1] <= room_of).all()):
            return calls
    return served(bucket, calls, room_of, priority(weights, drop_policy, generator))


def served(bucket: Tensor, asked: Tensor | None, room_of: Tensor, key: Tensor | None) -> Tensor:
    """Return which calls [T, K] are among the first of their bucket, as many as it has room for.

    Args:
        bucket: [T, K] where each call goes.
        asked: [T, K] whether there is a call; None when there are all.
        room_of: [B] slots of each bucket.
        key: [T, K] smaller first, in order where equal; None for the order they are in.
    """
    nowhere = len(room_of)
    target = bucket.flatten() if asked is None else bucket.masked_fill(~asked, nowhere).flatten()
    order = None if key is None else key.flatten().argsort(stable=True)
    target_ordered = target if order is None else target[order]
    grouped = target_ordered.argsort(stable=True)
    sorted_target = target_ordered[grouped]
    counts = counted(sorted_target, nowhere + 1)
    starts = counts.cumsum(0) - counts
    rank = torch.arange(len(target), device=target.device) - starts[sorted_target]
    room_with_nowhere = torch.cat([room_of, room_of.new_zeros(1)])
    kept_sorted = rank < room_with_nowhere[sorted_target]
    original = grouped if order is None else order[grouped]
    return torch.empty_like(kept_sorted).scatter_(0, original, kept_sorted).view_as(bucket)


def priority(weights: Tensor, drop_policy: DropPolicy, generator: torch.Generator | None) -> Tensor | None:
    """Key [T, K] of each call, smaller first; None when it is the order they are in."""
    if drop_policy == "probs":
        return -weights.detach()
    if drop_policy == "random":
        drawn = torch.randperm(weights.numel(), generator=generator)
        return (
            torch.empty_like(drawn)
            .scatter_(0, drawn, torch.arange(len(drawn)))
            .view_as(weights)
            .to(weights.device, non_blocking=True)
        )
    if drop_policy == "batch_priority":
        rank = (-weights.detach().amax(1)).argsort(stable=True).argsort()
        choice: Tensor = (-weights.detach()).argsort(dim=1, stable=True).argsort(1)
        return choice * len(weights) + rank[:, None]
    return None


def renormalized(weights: Tensor, kept: Tensor) -> Tensor:
    """Return weights [T, K], 0 where not kept, whose sum per token is what it was; 0 for tokens that keep nothing."""
    remaining = weights.masked_fill(~kept, 0)
    left = remaining.sum(-1, keepdim=True)
    return remaining * (weights.sum(-1, keepdim=True) / left.masked_fill(left == 0, 1))
