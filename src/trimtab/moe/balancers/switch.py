"""The auxiliary loss of Switch Transformers, over a sequence, a micro-batch or the whole optimizer step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

import torch

from trimtab.moe.balancers.checks import known, positive
from trimtab.moe.balancers.interface import Context, LossBalancer
from trimtab.moe.routing import scores_of

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing

Scope = Literal["sequence", "micro", "global"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchLoss(LossBalancer):
    """The auxiliary loss of Switch Transformers (arXiv 2101.03961, Eq. 4) for top-k, per layer, 1 at balance.

    coef · E · Σ_e f_e·P_e, with f_e the share of calls that went to e (counted, before drops) and P_e the mean score.
    Sigmoid scores are first divided by their sum over experts (arXiv 2412.19437, Eq. 19). Where a bias moves the
    selection, f is counted from the top-k of the scores without it (same paper, Eq. 18).

    Args:
        coef: Coefficient α.
        scope: Whose calls f counts: each ``"sequence"`` for itself (then the mean over sequences), the ``"micro"``
            batch, or ``"global"``, the optimizer step so far over all micro-batches and processes (arXiv 2501.11873).
    """

    coef: float
    scope: Scope = "micro"

    def __post_init__(self) -> None:
        positive(self.coef, "SwitchLoss(coef=...)")
        known(self.scope, Scope, "SwitchLoss(scope=...)")

    @property
    def counts_step(self) -> bool:
        """Only the global scope does."""
        return self.scope == "global"

    def penalty(self, routing: Routing, context: Context) -> Tensor:
        """Return coef · E · Σ f·P; 0 for a batch of padding."""
        # Rows of text first: padding may hold anything, NaN included, and must not reach the gradient.
        scores = scores_of(routing.select(routing.logits), routing.score_function)
        if not len(scores):
            return routing.logits.new_zeros(())
        if routing.score_function == "sigmoid":
            scores = scores / scores.sum(-1, keepdim=True)
        if self.scope == "sequence" and context.sequence is not None:
            value = _sequence_wise(scores, routing.select(routing.experts), routing.select(context.sequence))
        else:
            so_far = context.load_so_far if self.scope == "global" else None
            counts = (routing.load if so_far is None else so_far).to(scores.dtype)
            share = counts / counts.sum()
            value = routing.num_experts * (scores @ share).mean()
        return self.coef * value


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
