"""The auxiliary loss of Switch Transformers, over a sequence, a micro-batch or the whole optimizer step."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from trimtab.moe.balancers.interface import Context, LossBalancer
from trimtab.moe.routing import counted, scores_of

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
            value = _sequence_wise(
                scores, routing.select(routing.experts), routing.select(context.sequence), context.sizes
            )
        else:
            so_far = context.load_so_far if self.settings.scope == "global" else None
            counts = (routing.load if so_far is None else so_far).to(scores.dtype)
            share = counts / counts.sum()
            value = routing.num_experts * (scores @ share).mean()
        return self.settings.coef * value


def _sequence_wise(scores: Tensor, experts: Tensor, sequence: Tensor, sizes: tuple[int, ...] | None) -> Tensor:
    """Mean over sequences of E · Σ_e f_e·P_e; scores [T, E], experts [T, K], sequence [T], their sizes if known."""
    num_experts, per_tok = scores.shape[1], experts.shape[1]
    if sizes is None:
        present, row = sequence.unique(return_inverse=True)
        number = with_text = len(present)
    else:
        row, number, with_text = sequence, len(sizes), sum(size > 0 for size in sizes)
    # A sequence of padding has no calls and no scores.
    size = counted(row, number).clamp(min=1).to(scores.dtype)
    cell = row[:, None] * num_experts + experts
    calls = counted(cell, number * num_experts).view(-1, num_experts).to(scores.dtype)
    share = calls / (per_tok * size[:, None])
    mean_score = scores.new_zeros(number, num_experts).index_add(0, row, scores) / size[:, None]
    return num_experts * (share * mean_score).sum() / with_text
