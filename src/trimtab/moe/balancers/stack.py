"""A bias rule and losses together."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers.interface import Balancer, BiasBalancer, Context, LossBalancer

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.capacity import Capacity
    from trimtab.moe.router import Router
    from trimtab.moe.routing import Routing


@final
class Stack(Balancer):
    """One bias rule and any losses together, as DeepSeek-V3 does (arXiv 2412.19437, section 2.1.2).

    Raises:
        ConfigurationError: The first is no bias rule, another is no loss, or there is no loss.
    """

    __slots__ = ("bias", "losses")
    has_bias: ClassVar[bool] = True
    has_penalty: ClassVar[bool] = True
    bias: BiasBalancer
    losses: tuple[LossBalancer, ...]

    def __init__(self, bias: BiasBalancer, *losses: LossBalancer) -> None:
        if not isinstance(bias, BiasBalancer):
            raise ConfigurationError(f"Stack takes a bias rule first, got {bias!r}", hint="Stack(LossFree(...), ...)")
        if not (losses and all(isinstance(loss, LossBalancer) for loss in losses)):
            raise ConfigurationError(f"Stack takes losses after its bias rule, got {losses!r}")
        object.__setattr__(self, "bias", bias)
        object.__setattr__(self, "losses", losses)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; {name!r} stays")

    def __repr__(self) -> str:
        return f"Stack({', '.join(map(repr, (self.bias, *self.losses)))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stack) and (self.bias, self.losses) == (other.bias, other.losses)

    def __hash__(self) -> int:
        return hash((self.bias, self.losses))

    @property
    def pools(self) -> bool:  # type: ignore[override] # known from its parts
        """Whether a loss pools layers."""
        return any(loss.pools for loss in self.losses)

    @property
    def adds_only_bias(self) -> bool:
        """Whether the bias rule does."""
        return self.bias.adds_only_bias

    @property
    def counts_step(self) -> bool:
        """Whether a loss does."""
        return any(loss.counts_step for loss in self.losses)

    def check(self, router: Router, capacity: Capacity) -> None:
        """Refuse what any part refuses."""
        for part in (self.bias, *self.losses):
            part.check(router, capacity)

    def initial(self, num_experts: int) -> Tensor:
        """Return the state of the bias rule."""
        return self.bias.initial(num_experts)

    def nothing(self, num_experts: int) -> Tensor:
        """Return what the bias rule observes of nothing."""
        return self.bias.nothing(num_experts)

    def select(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:
        """Add the bias."""
        return self.bias.select(scores, state, context)

    def penalty(self, routing: Routing, context: Context) -> Tensor:
        """Return the sum of the losses."""
        return torch.stack([loss.penalty(routing, context) for loss in self.losses]).sum()

    def observe(self, routing: Routing, state: Tensor, context: Context) -> Tensor:
        """Return what the bias rule observes."""
        return self.bias.observe(routing, state, context)

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:
        """Move the bias."""
        return self.bias.update(state, observed, step)

    def resting(self, step: int) -> bool:
        """Tell whether the bias rule rests."""
        return self.bias.resting(step)
