"""No balancing: the control arm."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from trimtab.moe.balancers.interface import Context, LossBalancer

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing
    from trimtab.settings.rules import NoBalancer


@final
class IdleBalancer(LossBalancer):
    """What :class:`~trimtab.settings.rules.NoBalancer` does: nothing."""

    __slots__ = ("settings",)
    settings: NoBalancer
    has_penalty: ClassVar[bool] = False

    def __init__(self, settings: NoBalancer) -> None:
        self.settings = settings

    def penalty(self, routing: Routing, context: Context) -> Tensor:  # noqa: ARG002 - there is none
        """Return 0."""
        return routing.logits.new_zeros(())
