"""Capacity: which calls an expert keeps when more come than it has room for.

An expert has ⌈C·K·T / E⌉ slots for the T tokens of a call to the model (Switch, arXiv 2101.03961, Eq. 3, for top-K);
padding takes none. A dropped call has weight 0 and keeps its index, which every expert implementation understands; the
weights of the calls that remain are not renormalized (Megatron, Switch: the residual stream carries the token).

Training and evaluation are apart: a limit during decoding makes a sample depend on its batch mates, so evaluation is
dropless unless asked otherwise. Balancers see the load *before* drops unless told otherwise: a load counted after drops
is flat at C ≤ 1 whatever the demand, and a bias rule that reads it stops moving.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, get_args

import torch

from trimtab.errors import ConfigurationError, nearest

if TYPE_CHECKING:
    from torch import Tensor

DropPolicy = Literal["probs", "position", "random"]
LoadSignal = Literal["routed", "kept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Room of an expert, and who gets it.

    Args:
        factor: Capacity factor C in training; None is dropless.
        eval_factor: The same in evaluation.
        drop_policy: ``"probs"`` keeps the calls of largest weight, ``"position"`` the first in the order of the batch
            (row after row), ``"random"`` a seeded draw that leaves the global random state alone.
        load_signal: What a balancer counts: calls ``"routed"`` (before drops) or ``"kept"``.
        min_capacity: Least slots of an expert.
        seed: Of the random policy.

    Raises:
        ConfigurationError: A factor is not positive and finite, or a name is unknown.
    """

    factor: float | None = None
    eval_factor: float | None = None
    drop_policy: DropPolicy = "probs"
    load_signal: LoadSignal = "routed"
    min_capacity: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("factor", "eval_factor"):
            check_factor(getattr(self, name), f"Capacity({name}=...)")
        if self.min_capacity < 0:
            raise ConfigurationError(f"Capacity(min_capacity={self.min_capacity!r}) must not be negative")
        for name, literal in (("drop_policy", DropPolicy), ("load_signal", LoadSignal)):
            value = getattr(self, name)
            if value not in get_args(literal):
                raise ConfigurationError(
                    f"Capacity({name}={value!r}) is unknown", hint=nearest(str(value), get_args(literal))
                )


def check_factor(factor: float | None, where: str) -> None:
    """Refuse a capacity factor nobody fits in.

    Raises:
        ConfigurationError: ``factor`` is neither None nor positive and finite.
    """
    if factor is not None and not (factor > 0 and math.isfinite(factor)):
        raise ConfigurationError(f"{where} must be positive and finite, got {factor!r}", hint="None means dropless")


def room(
    factor: float | None, *, tokens: int, num_experts: int, num_experts_per_tok: int, min_capacity: int = 1
) -> int | None:
    """Slots of one expert for T tokens: ⌈C·K·T / E⌉, at least ``min_capacity``; None when dropless.

    Exact in the decimal digits of C: 1.1 × 2 × 200 / 8 is 55, not 56.
    """
    if factor is None:
        return None
    exact = Fraction(str(factor)) * num_experts_per_tok * tokens / num_experts
    return max(math.ceil(exact), min_capacity)


def keep(
    experts: Tensor,
    weights: Tensor,
    valid: Tensor | None,
    *,
    slots: int | None,
    drop_policy: DropPolicy = "probs",
    generator: torch.Generator | None = None,
) -> Tensor | None:
    """Decide which calls find room.

    Args:
        experts: [T, K] chosen experts; a token names each expert at most once.
        weights: [T, K] their weights, which order the calls under ``"probs"``; earlier tokens win ties.
        valid: [T] whether the token is text; padding never takes a slot. None when all tokens are text.
        slots: Room of each expert; None keeps everything.
        drop_policy: Who comes first.
        generator: Source of the ``"random"`` order.

    Returns:
        [T, K] bool, or None when every valid call is kept and nothing is padding.
    """
    asked = None if valid is None else valid[:, None].expand_as(experts)
    if slots is None or slots >= len(experts):
        return asked
    flat = experts.flatten()
    last = int(flat.max())
    # Padding is sent to an expert of its own, behind the others, which has no room.
    target = flat if asked is None else torch.where(asked.flatten(), flat, last + 1)
    if int(torch.bincount(target)[: last + 1].max()) <= slots:
        return asked
    order = _priority(weights, drop_policy, generator)
    target_ordered = target if order is None else target[order]
    grouped = target_ordered.argsort(stable=True)
    sorted_target = target_ordered[grouped]
    counts = torch.bincount(sorted_target)
    starts = counts.cumsum(0) - counts
    rank = torch.arange(len(flat), device=flat.device) - starts[sorted_target]
    kept_sorted = rank < slots
    original = grouped if order is None else order[grouped]
    kept = torch.empty_like(kept_sorted).scatter_(0, original, kept_sorted).view_as(experts)
    return kept if asked is None else kept & asked


def _priority(weights: Tensor, drop_policy: DropPolicy, generator: torch.Generator | None) -> Tensor | None:
    """Order of the flattened calls, first served first; None when it is the order they are in."""
    if drop_policy == "probs":
        return weights.detach().flatten().argsort(descending=True, stable=True)
    if drop_policy == "random":
        return torch.randperm(weights.numel(), generator=generator).to(weights.device)
    return None
