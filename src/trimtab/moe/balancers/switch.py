"""The auxiliary loss of Switch Transformers, over a sequence, a micro-batch or the whole optimizer step."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from trimtab.moe.balancers.interface import Context, LossBalancer
from trimtab.moe.routing import scores_of

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing
    from trimtab.settings.rules import SwitchLoss


@final
class SwitchBalancer(LossBalancer):
    """What :class:`~trimtab.settings.rules.SwitchLoss` does."""

    __slots__ = ("settings",)
    settings: SwitchLoss

    def __init__(self, settings: SwitchLoss) -> None:
        self.settings = settings

    @property
    def counts_step(self) -> bool:
        """Only the global scope does."""
        return self.settings.scope == "global"

    def penalty(self, routing: Routing, context: Context) -> Tensor:
        """Return coef · E · Σ f·P; 0 for a batch of padding."""
        # Rows of text first: padding may hold anything, NaN included, and must not reach the gradient.
        scores = scores_of(routing.select(routing.logits), routing.score_function)
        if not len(scores):
            return routing.logits.new_zeros(())
        if routing.score_function == "sigmoid":
            scores = scores / scores.sum(-1, keepdim=True)
        if self.settings.count == "selection" and context.selection is not None:
            routing = routing.changed(experts=context.selection)
        if self.settings.scope == "sequence" and context.sequence is not None:
            value = _sequence_wise(scores, routing.select(routing.experts), routing.select(context.sequence))
        else:
            so_far = context.load_so_far if self.settings.scope == "global" else None
            counts = (routing.load if so_far is None else so_far).to(scores.dtype)
            share = counts / counts.sum()
            value = routing.num_experts * (scores @ share).mean()
        return self.settings.coef * value


def _sequence_wise(scores: Tensor, experts: Tensor, sequence: Tensor) -> Tensor:
    """Mean over sequences of E · Σ_e f_e·P_e; scores [T, E], experts [T, K], sequence [T]."""
    num_experts, per_tok = scores.shape[1], experts.shape[1]
    present, row = sequence.unique(return_inverse=True)
    size = torch.bincount(row).to(scores.dtype)
    cell = (row[:, None] * num_experts + experts).flatten()
    calls = torch.bincount(cell, minlength=len(present) * num_experts).view(-1, num_experts).to(scores.dtype)
    share = calls / (per_tok * size[:, None])
    mean_score = scores.new_zeros(len(present), num_experts).index_add(0, row, scores) / size[:, None]
    return num_experts * (share * mean_score).sum(1).mean()
