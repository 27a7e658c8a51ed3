"""Quantile Balancing: the bias is set to where the load would have been right, not stepped towards it."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from trimtab.moe.balancers import margins
from trimtab.moe.balancers.interface import BiasBalancer, Context

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing
    from trimtab.settings.rules import QuantileBalancing


@final
class QuantileBalancer(BiasBalancer):
    """What :class:`~trimtab.settings.rules.QuantileBalancing` does.

    Published implementations sort all tokens of a process. Sorted values do not add up, so what is observed here is a
    histogram [E, bins] of the margins s + b − α, whose quantile is exact to 1/8 of its size at worst; because the
    margin is taken with the present bias, that error shrinks with the correction and vanishes at the fixed point.
    """

    __slots__ = ("settings",)
    settings: QuantileBalancing

    def __init__(self, settings: QuantileBalancing) -> None:
        self.settings = settings

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
        after = state - (1 - self.settings.ema) * margins.from_top(counts, share + 1).to(state.dtype) * moved
        return after - after.mean(-1, keepdim=True) * moved if self.settings.centered else after
