"""SimBal: router rows at right angles, so that similar tokens keep similar experts."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from trimtab.errors import ConfigurationError, UnsupportedModelError
from trimtab.moe import wrappers
from trimtab.moe.balancers.interface import Context, LossBalancer

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.router import Router
    from trimtab.moe.routing import Routing
    from trimtab.settings.capacities import Capacity
    from trimtab.settings.rules import SimBal


@final
class SimBalBalancer(LossBalancer):
    """What :class:`~trimtab.settings.rules.SimBal` does."""

    __slots__ = ("settings",)
    settings: SimBal

    def __init__(self, settings: SimBal) -> None:
        self.settings = settings

    def check(self, router: Router, capacity: Capacity) -> None:
        """Refuse a router whose rows an adapter changes out of sight, or that are quantized.

        Raises:
            UnsupportedModelError: The penalty would be about other rows than those that route.
        """
        super().check(router, capacity)
        if wrappers.adapted(router.module):
            raise UnsupportedModelError(
                f"{router.name} has an adapter beside its weight, whose rows SimBal would not see",
                hint="merge_and_unload(), or leave routers out of target_modules",
            )

        if wrappers.packed(router.weight):
            raise UnsupportedModelError(
                f"{router.name} is quantized ({type(router.weight).__name__}): SimBal's penalty cannot change its rows",
                hint="keep routers out of quantization (modules_to_not_convert, llm_int8_skip_modules)",
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
        return self.settings.coef * (rows @ rows.t() - identity).abs().sum()
