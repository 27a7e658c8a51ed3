"""SimBal: router rows at right angles, so that similar tokens keep similar experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers.checks import positive
from trimtab.moe.balancers.interface import Context, LossBalancer

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.capacity import Capacity
    from trimtab.moe.router import Router
    from trimtab.moe.routing import Routing


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SimBal(LossBalancer):
    """Similarity-preserving router balancing (arXiv 2506.14038): coef · ‖RᵀR − I‖₁, R [H, E] the router's weight.

    The sum of absolute entries. It is about the rows of the router and not about the load, so that its control of the
    load is weak, and its least value is not 1 but 0. Its gradient goes to the router's weight alone.

    Assumes the router's logits are hidden states times its weight. Refuses E > H, where no E rows are at right angles.

    Args:
        coef: Coefficient.

    Raises:
        ConfigurationError: ``coef`` is not positive and finite.
    """

    coef: float

    def __post_init__(self) -> None:
        positive(self.coef, "SimBal(coef=...)")

    def check(self, router: Router, capacity: Capacity) -> None:  # noqa: ARG002 - capacity is nothing to it
        """Refuse more experts than hidden dimensions.

        Raises:
            ConfigurationError: With the reason.
        """
        num_experts, hidden = router.weight.shape
        if num_experts > hidden:
            raise ConfigurationError(
                f"{router.name} has {num_experts} rows in {hidden} dimensions: they cannot all be at right angles",
                hint="SwitchLoss(...) or LossFree(...) ask nothing of the rows",
            )

    def penalty(self, routing: Routing, context: Context) -> Tensor:
        """Return coef · Σ |RᵀR − I|; 0 for a batch of padding.

        Raises:
            ConfigurationError: There is no router weight in the context.
        """
        if context.router_weight is None:
            raise ConfigurationError("SimBal needs the weight of the router", hint="Context(router_weight=...)")
        if not len(routing.select(routing.logits)):
            return routing.logits.new_zeros(())
        rows = context.router_weight
        rows = rows if rows.dtype == torch.float64 else rows.float()
        identity = torch.eye(len(rows), dtype=rows.dtype, device=rows.device)
        return self.coef * (rows @ rows.t() - identity).abs().sum()
