"""SMEBU: a step that saturates in the error of the load, averaged by a momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from trimtab.moe.balancers.interface import BiasBalancer
from trimtab.moe.balancers.step_size import warn_of_large_steps

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.router import Router
    from trimtab.settings.capacities import Capacity
    from trimtab.settings.soft_rules import SMEBU


@final
class SMEBUBalancer(BiasBalancer):
    """What :class:`~trimtab.settings.soft_rules.SMEBU` does; its state is the bias [E] and the momentum [E]."""

    __slots__ = ("settings",)
    settings: SMEBU

    def __init__(self, settings: SMEBU) -> None:
        self.settings = settings

    def check(self, router: Router, capacity: Capacity) -> None:  # noqa: ARG002 - either load signal is a load
        """Warn where one step outweighs the scores."""
        warn_of_large_steps(router, self.settings.bias_update_rate)

    def initial(self, num_experts: int) -> Tensor:
        """Return no bias and no momentum."""
        return torch.zeros(2 * num_experts)

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:  # noqa: ARG002 - no schedule
        """Move bias and momentum; a step without calls changes neither."""
        experts = observed.shape[-1]
        calls, (bias, momentum) = observed.to(state.dtype), state.split(experts, -1)
        mean = calls.mean(-1, keepdim=True)
        error = (mean - calls) / mean.clamp(min=torch.finfo(state.dtype).tiny)
        delta = self.settings.bias_update_rate * torch.tanh(self.settings.sharpness * error)
        delta = delta - delta.mean(-1, keepdim=True)
        momentum = self.settings.momentum * momentum + (1 - self.settings.momentum) * delta
        return torch.where(mean > 0, torch.cat([bias + momentum, momentum], -1), state)
