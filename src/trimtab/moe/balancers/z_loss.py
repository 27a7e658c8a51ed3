"""The router z-loss: logits stay small."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from trimtab.moe.balancers.interface import Context, LossBalancer

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing
    from trimtab.settings.rules import RouterZLoss


@final
class ZLossBalancer(LossBalancer):
    """What :class:`~trimtab.settings.rules.RouterZLoss` does."""

    __slots__ = ("settings",)
    settings: RouterZLoss

    def __init__(self, settings: RouterZLoss) -> None:
        self.settings = settings

    def penalty(self, routing: Routing, context: Context) -> Tensor:  # noqa: ARG002 - logits are all it needs
        """Return coef · mean(logsumexp²) over tokens; 0 for a batch of padding."""
        logits = routing.select(routing.logits)
        if not len(logits):
            return routing.logits.new_zeros(())
        return self.settings.coef * logits.float().logsumexp(-1).square().mean()
