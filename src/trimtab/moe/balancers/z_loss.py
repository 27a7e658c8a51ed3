"""The router z-loss: logits stay small."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from trimtab.errors import UnsupportedModelError
from trimtab.moe.balancers.interface import Context, LossBalancer

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.router import Router
    from trimtab.moe.routing import Routing
    from trimtab.settings.capacities import Capacity
    from trimtab.settings.rules import RouterZLoss


@final
class ZLossBalancer(LossBalancer):
    """What :class:`~trimtab.settings.rules.RouterZLoss` does."""

    __slots__ = ("settings",)
    settings: RouterZLoss

    def __init__(self, settings: RouterZLoss) -> None:
        self.settings = settings

    def check(self, router: Router, capacity: Capacity) -> None:
        """Refuse a router that returns probabilities.

        Raises:
            UnsupportedModelError: The penalty would be 0 whatever the logits are.
        """
        super().check(router, capacity)
        if router.port.normalized:
            raise UnsupportedModelError(
                f"{router.name} ({type(router.module).__name__}) returns probabilities in place of logits: the"
                " logsumexp of their logarithms is 0 whatever its logits are, so that RouterZLoss would do nothing",
            )

    def penalty(self, routing: Routing, context: Context) -> Tensor:  # noqa: ARG002 - logits are all it needs
        """Return coef · mean(logsumexp²) over tokens; 0 for a batch of padding."""
        logits = routing.select(routing.logits)
        if not len(logits):
            return routing.logits.new_zeros(())
        return self.settings.coef * logits.float().logsumexp(-1).square().mean()
