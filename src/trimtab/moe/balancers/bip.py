"""BIP: solve the assignment of this batch before it is routed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers.checks import refuse_unsolvable
from trimtab.moe.balancers.interface import BatchBalancer, Context

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.capacity import Capacity
    from trimtab.moe.router import Router
    from trimtab.moe.routing import Routing


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BIP(BatchBalancer):
    """Balancing by binary integer programming (arXiv 2502.15451), the same assignment with ≤ for =.

    From the q of the step before, ``iterations`` times: p_i = max(0, (K+1)-th largest of s_i − q), q_j = max(0,
    (⌊KT/E⌋+1)-th largest over tokens of s_ij − p_i); then top-k of s − q routes this same batch. Balanced from the
    first step, but not causal: in training a token's experts depend on later tokens. In evaluation the last q is fixed.

    The state is −q, so that it adds like any bias; q of several micro-batches or processes is averaged by their tokens.
    Assumes scores that are not negative. Refuses K = E, group-limited routing and ``load_signal="kept"``.

    Args:
        iterations: Steps of the solver before each batch.

    Raises:
        ConfigurationError: ``iterations`` is not positive.
    """

    iterations: int = 4
    has_bias: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ConfigurationError(f"BIP(iterations={self.iterations!r}) must be at least 1")

    def check(self, router: Router, capacity: Capacity) -> None:
        """Refuse what the class docstring says.

        Raises:
            ConfigurationError: With the reason.
        """
        refuse_unsolvable(self, router, capacity)

    def nothing(self, num_experts: int) -> Tensor:
        """Return [E + 1] zeros: Σ tokens · q, and Σ tokens."""
        return torch.zeros(num_experts + 1, dtype=torch.float64)

    def select(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:
        """Return s − q, with q solved for the text of this batch in training."""
        return scores + (-self._prices(scores, state, context) if context.training else state[..., : scores.shape[-1]])

    def observe(self, routing: Routing, state: Tensor, context: Context) -> Tensor:
        """Return the q [E] that routed this batch times its tokens, and behind it the tokens."""
        prices = self._prices(routing.scores.detach(), state.to(routing.logits.device), context).double()
        tokens = len(routing.experts) if routing.valid is None else int(routing.valid.sum())
        return torch.cat([prices * tokens, prices.new_tensor([tokens])])

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:  # noqa: ARG002 - no schedule
        """Keep −q, the mean over tokens; a step without tokens keeps the old one."""
        tokens = observed[..., -1:]
        return torch.where(tokens > 0, -(observed[..., :-1] / tokens), state.double()).to(state.dtype)

    def _prices(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:
        """Return q [E] for this batch, solved for once: to observe is to be asked again what routed it."""
        seen = context.notes.get(self)
        if seen is None or not (torch.equal(seen[0], scores) and torch.equal(seen[1], state)):
            # A copy of the state, which a gate moves in place.
            seen = context.notes[self] = (scores, state.clone(), self._solve(scores, state, context))
        return seen[2]

    def _solve(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:
        """Return q [E] for the text among ``scores`` [T, E]."""
        text = scores if context.valid is None else scores[context.valid]
        prices, top_k = -state[: scores.shape[-1]], context.num_experts_per_tok
        room = top_k * len(text) // scores.shape[-1]
        for _ in range(self.iterations if len(text) else 0):
            threshold = (text - prices).topk(top_k + 1, dim=1).values[:, -1:].clamp(min=0)
            prices = (text - threshold).topk(room + 1, dim=0).values[-1].clamp(min=0)
        return prices
