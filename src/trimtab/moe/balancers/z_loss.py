"""The router z-loss: logits stay small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from trimtab.moe.balancers.checks import positive
from trimtab.moe.balancers.interface import Context, LossBalancer

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RouterZLoss(LossBalancer):
    """The router z-loss (arXiv 2202.08906, Eq. 5): coef · mean of logsumexp(logits)². Stability, not balance."""

    coef: float

    def __post_init__(self) -> None:
        positive(self.coef, "RouterZLoss(coef=...)")

    def penalty(self, routing: Routing, context: Context) -> Tensor:  # noqa: ARG002 - logits are all it needs
        """Return coef · mean(logsumexp²) over tokens; 0 for a batch of padding."""
        logits = routing.select(routing.logits)
        if not len(logits):
            return routing.logits.new_zeros(())
        return self.coef * logits.float().logsumexp(-1).square().mean()
