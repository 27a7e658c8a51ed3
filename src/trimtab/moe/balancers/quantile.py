"""Quantile Balancing: the bias is set to where the load would have been right, not stepped towards it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers import margins
from trimtab.moe.balancers.checks import refuse_unsolvable
from trimtab.moe.balancers.interface import BiasBalancer, Context

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.capacity import Capacity
    from trimtab.moe.router import Router
    from trimtab.moe.routing import Routing


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileBalancing(BiasBalancer):
    """Quantile Balancing (Su 2026, kexue.fm 11619; Megatron-LM PR 5349): one coordinate step on the dual of ALF-LB.

    α_i = (K+1)-th largest of s_i + b, q_j = (⌊KT/E⌋+1)-th largest over tokens of s_ij + b_j − α_i, b ← b − q: had the
    other biases stayed, expert j would have got exactly its share. There is no step size.

    Published implementations sort all tokens of a process. Sorted values do not add up, so what is observed here is a
    histogram [E, bins] of the margins s + b − α, whose quantile is exact to 1/8 of its size at worst; because the
    margin is taken with the present bias, that error shrinks with the correction and vanishes at the fixed point.

    Assumes nothing of the scores' range. Refuses K = E (no expert is ever not chosen), group-limited routing (α_i is
    not the threshold there) and ``load_signal="kept"`` (it does not count calls).

    Args:
        ema: Share of the old bias that is kept, 0 ≤ ema < 1 (Megatron's option); 0 is the published rule.
        centered: Take the mean off the bias; changes no selection.

    Raises:
        ConfigurationError: ``ema`` is out of range.
    """

    ema: float = 0.0
    centered: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.ema < 1:
            raise ConfigurationError(f"QuantileBalancing(ema={self.ema!r}) is not in [0, 1)")

    def check(self, router: Router, capacity: Capacity) -> None:
        """Refuse what the class docstring says.

        Raises:
            ConfigurationError: With the reason.
        """
        refuse_unsolvable(self, router, capacity)

    def nothing(self, num_experts: int) -> Tensor:
        """Return an empty histogram [E, bins], and behind it 0 calls."""
        return torch.zeros(num_experts, margins.BINS + 1, dtype=torch.int64)

    def observe(self, routing: Routing, state: Tensor, context: Context) -> Tensor:
        """Return the histogram [E, bins] of the margins s + b − α of the text, and behind it all experts' calls."""
        if context.ranked is not None:
            biased, threshold = context.ranked.selected, context.ranked.values[..., -1:]
        else:
            bias = state[..., None, : routing.num_experts].to(routing.logits.device)
            biased = routing.select(routing.scores.detach()) + bias
            threshold = biased.topk(context.num_experts_per_tok + 1, dim=-1).values[..., -1:]
        counts = margins.histogram(biased - threshold)
        calls = counts.new_full((*counts.shape[:-1], 1), biased.shape[-2] * context.num_experts_per_tok)
        return torch.cat([counts, calls], -1)

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:  # noqa: ARG002 - no schedule
        """Take the quantile off the bias [E]; a step without tokens moves none."""
        counts, calls = observed[..., : margins.BINS], observed[..., margins.BINS]
        share = calls // observed.shape[-2]
        moved = calls > 0
        after = state - (1 - self.ema) * margins.from_top(counts, share + 1).to(state.dtype) * moved
        return after - after.mean(-1, keepdim=True) * moved if self.centered else after
