"""A bias rule and losses together."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import torch

from trimtab.moe.balancers.interface import Balancer, Context

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.router import Router
    from trimtab.moe.routing import Routing
    from trimtab.settings.capacities import Capacity
    from trimtab.settings.rules import Stack


@final
class StackBalancer(Balancer):
    """What :class:`~trimtab.settings.rules.Stack` does: the parts, each on its own side.

    Args:
        settings: The stack.
        bias: What its bias rule does.
        losses: What its losses do.
    """

    __slots__ = ("bias", "losses", "settings")
    settings: Stack
    has_bias: ClassVar[bool] = True
    has_penalty: ClassVar[bool] = True

    def __init__(self, settings: Stack, bias: Balancer, losses: tuple[Balancer, ...]) -> None:
        self.settings = settings
        self.bias = bias
        self.losses = losses

    @property
    def pools(self) -> bool:  # type: ignore[override] # known from its parts
        """Whether a loss pools layers."""
        return any(loss.pools for loss in self.losses)

    @property
    def in_cells(self) -> bool:
        """Whether the bias rule learns so."""
        return self.bias.in_cells

    @property
    def cuts_matter(self) -> bool:  # type: ignore[override] # known from its parts
        """Whether they do to the bias rule."""
        return self.bias.cuts_matter

    @property
    def reads_sequences(self) -> bool:  # type: ignore[override] # known from its parts
        """Whether the bias rule does."""
        return self.bias.reads_sequences

    @property
    def reads_modality(self) -> bool:  # type: ignore[override] # known from its parts
        """Whether the bias rule does."""
        return self.bias.reads_modality

    @property
    def plain_at_rest(self) -> bool:  # type: ignore[override] # known from its parts
        """Whether the bias rule is."""
        return self.bias.plain_at_rest

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
