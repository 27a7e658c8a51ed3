"""The layers of one forward pass added up, for losses that take them all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing


class LayerPool:
    """What the layers of one forward pass sum to so far: calls [E], scores [E] and tokens, padding left out."""

    def __init__(self, num_experts: int) -> None:
        self.calls = torch.zeros(num_experts)
        self.scores = torch.zeros(num_experts)
        self.tokens = 0
        self.before = torch.zeros(())

    def add(self, routing: Routing) -> None:
        """Add a layer; what the loss was before it stays in ``before``."""
        self.before = self.loss()
        device = routing.logits.device
        self.calls = self.calls.to(device) + routing.load.to(self.calls.dtype)
        # Without a graph: checkpointing wants the same tensors saved for backward when this does not run again.
        with torch.no_grad():
            self.scores = self.scores.to(device) + score_sum(routing).to(self.scores.dtype)
        self.tokens += len(routing.select(routing.experts))

    def loss(self) -> Tensor:
        """E · Σ_e f_e·P_e, with f and P over all layers so far."""
        return len(self.calls) * (self.share() * self.scores).sum() / max(self.tokens, 1)

    def share(self) -> Tensor:
        """Calls [E] per token; they sum to K."""
        return self.calls / max(self.tokens, 1)


def score_sum(routing: Routing) -> Tensor:
    """Return Σ over text of softmax scores [E]."""
    logits = routing.select(routing.logits)
    return (logits if logits.dtype == torch.float64 else logits.float()).softmax(-1).sum(0)
