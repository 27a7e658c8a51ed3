"""Sinkhorn routing (S-BASE): this batch's most even assignment, softened by entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from trimtab.moe.balancers.interface import BatchBalancer, Context

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.settings.rules import Sinkhorn


@final
class SinkhornBalancer(BatchBalancer):
    """What :class:`~trimtab.settings.rules.Sinkhorn` does."""

    __slots__ = ("settings",)
    settings: Sinkhorn

    def __init__(self, settings: Sinkhorn) -> None:
        self.settings = settings

    def select(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:  # noqa: ARG002 - nothing is kept
        """Return log scores + log d₁ of the text in training, which has the top-k of the plan; the scores elsewhere."""
        text = scores if context.valid is None else scores[context.valid]
        if not (context.training and len(text)):
            return scores
        odds = _log_odds(scores, context)
        return odds + self._solve(odds if context.valid is None else odds[context.valid])

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:  # noqa: ARG002 - nothing is learned
        """Return the state as it is."""
        return state

    def _solve(self, logits: Tensor) -> Tensor:
        """Return log d₁ [E]; d₀ is one factor a row, which changes no top-k."""
        columns = torch.zeros_like(logits[0])
        moving = torch.ones((), dtype=torch.bool, device=logits.device)
        for _ in range(self.settings.max_iterations):
            rows = -(logits + columns).logsumexp(1, keepdim=True)
            after = -(logits + rows).logsumexp(0)
            after -= after.mean()
            moved, columns = (after - columns).abs().max(), torch.where(moving, after, columns)
            moving &= moved >= self.settings.tolerance
            # To know on a GPU that it may stop would be to wait for it: the rounds that are left change nothing.
            if logits.device.type == "cpu" and not moving:
                break
        return columns


def _log_odds(scores: Tensor, context: Context) -> Tensor:
    """Logits [T, E] up to one number a token, which Sinkhorn does not see."""
    tiny = torch.finfo(scores.dtype).tiny
    if context.score_function == "softmax":
        return scores.clamp(min=tiny).log()
    return scores.clamp(tiny, 1 - 2.0**-24).logit()
