"""BIP: solve the assignment of this batch before it is routed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import torch

from trimtab.moe.balancers.interface import BatchBalancer, Context

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing
    from trimtab.settings.rules import BIP


@final
class BIPBalancer(BatchBalancer):
    """What :class:`~trimtab.settings.rules.BIP` does."""

    __slots__ = ("settings",)
    settings: BIP
    has_bias: ClassVar[bool] = True

    def __init__(self, settings: BIP) -> None:
        self.settings = settings

    def nothing(self, num_experts: int) -> Tensor:
        """Return [E + 1] zeros: Σ tokens · q, and Σ tokens."""
        return torch.zeros(num_experts + 1, dtype=torch.float64)

    def select(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:
        """Return s − q, with q solved for the text of this batch in training."""
        return scores + (-self._prices(scores, state, context) if context.training else state[..., : scores.shape[-1]])

    def observe(self, routing: Routing, state: Tensor, context: Context) -> Tensor:
        """Return the q [E] that routed this batch times its tokens, and behind it the tokens."""
        prices = self._prices(routing.scores.detach(), state.to(routing.logits.device), context).double()
        tokens = prices.new_full((), len(routing.experts)) if routing.valid is None else routing.valid.sum().to(prices)
        return torch.cat([prices * tokens, tokens[None]])

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:  # noqa: ARG002 - no schedule
        """Keep −q, the mean over tokens; a step without tokens keeps the old one."""
        tokens = observed[..., -1:]
        return torch.where(tokens > 0, -(observed[..., :-1] / tokens), state.double()).to(state.dtype)

    def _prices(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:
        """Return q [E] for this batch, solved for once: to observe is to be asked again what routed it."""
        seen = context.notes.get(self)
        on_host = scores.device.type == "cpu"
        # Elsewhere compared by where they lie, because comparing values waits for the device; notes keep them alive.
        same = torch.equal if on_host else _same_place
        if seen is None or not (same(seen[0], scores) and same(seen[1], state)):
            # A copy of the state, which a gate moves in place.
            noted = state.clone() if on_host else state
            seen = context.notes[self] = (scores, noted, self._solve(scores, state, context))
        return seen[2]

    def _solve(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:
        """Return q [E] for the text among ``scores`` [T, E]."""
        text = scores if context.valid is None else scores[context.valid]
        prices, top_k = -state[: scores.shape[-1]], context.num_experts_per_tok
        room = top_k * len(text) // scores.shape[-1]
        for _ in range(self.settings.iterations if len(text) else 0):
            threshold = (text - prices).topk(top_k + 1, dim=1).values[:, -1:].clamp(min=0)
            prices = (text - threshold).topk(room + 1, dim=0).values[-1].clamp(min=0)
        return prices


def _same_place(first: Tensor, second: Tensor) -> bool:
    return first.data_ptr() == second.data_ptr() and first.shape == second.shape
