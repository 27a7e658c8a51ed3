"""No balancing: the control arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from trimtab.moe.balancers.interface import Context, LossBalancer

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NoBalancer(LossBalancer):
    """No balancing: the control arm."""

    has_penalty: ClassVar[bool] = False

    def penalty(self, routing: Routing, context: Context) -> Tensor:  # noqa: ARG002 - there is none
        """Return 0."""
        return routing.logits.new_zeros(())
