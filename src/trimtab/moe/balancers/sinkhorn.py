"""Sinkhorn routing (S-BASE): this batch's most even assignment, softened by entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers.checks import positive, refuse_unsolvable
from trimtab.moe.balancers.interface import BatchBalancer, Context

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.capacity import Capacity
    from trimtab.moe.router import Router


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sinkhorn(BatchBalancer):
    """S-BASE (arXiv 2202.01169, section 3; Megatron's ``sinkhorn``): top-k of d₁ · exp(logits) · d₀.

    d₀ and d₁ make all rows sum to 1/T and all columns to 1/E; alternately, until no log of d₁ moves by more than
    ``tolerance``. In log space, so that large logits do not overflow. Not causal, and different in evaluation, where
    plain top-k routes: a known mismatch of the method. Weights come from the router's own scores, not from the plan.

    Refuses K = E, group-limited routing and ``load_signal="kept"``.

    Args:
        tolerance: When to stop.
        max_iterations: When to stop at the latest.

    Raises:
        ConfigurationError: A value is not positive.
    """

    tolerance: float = 1e-4
    max_iterations: int = 100

    def __post_init__(self) -> None:
        positive(self.tolerance, "Sinkhorn(tolerance=...)")
        if self.max_iterations < 1:
            raise ConfigurationError(f"Sinkhorn(max_iterations={self.max_iterations!r}) must be at least 1")

    def check(self, router: Router, capacity: Capacity) -> None:
        """Refuse what the class docstring says.

        Raises:
            ConfigurationError: With the reason.
        """
        refuse_unsolvable(self, router, capacity)

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
        for _ in range(self.max_iterations):
            rows = -(logits + columns).logsumexp(1, keepdim=True)
            after = -(logits + rows).logsumexp(0)
            after -= after.mean()
            moved, columns = (after - columns).abs().max(), after
            if moved < self.tolerance:
                break
        return columns


def _log_odds(scores: Tensor, context: Context) -> Tensor:
    """Logits [T, E] up to one number a token, which Sinkhorn does not see."""
    tiny = torch.finfo(scores.dtype).tiny
    if context.score_function == "softmax":
        return scores.clamp(min=tiny).log()
    return scores.clamp(tiny, 1 - 2.0**-24).logit()
