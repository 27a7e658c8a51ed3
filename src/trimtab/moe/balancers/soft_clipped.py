"""The soft-clipped update: relative errors of the load that stay below 1 on either side and sum to 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import torch

from trimtab.moe.balancers.interface import BiasBalancer
from trimtab.moe.balancers.step_size import warn_of_large_steps

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.router import Router
    from trimtab.settings.capacities import Capacity
    from trimtab.settings.soft_rules import SoftClippedBias

_EPSILON: Final = 1e-12


@final
class SoftClippedBalancer(BiasBalancer):
    """What :class:`~trimtab.settings.soft_rules.SoftClippedBias` does; with momentum its state is [E] more."""

    __slots__ = ("settings",)
    settings: SoftClippedBias

    def __init__(self, settings: SoftClippedBias) -> None:
        self.settings = settings

    def check(self, router: Router, capacity: Capacity) -> None:  # noqa: ARG002 - either load signal is a load
        """Warn where one step outweighs the scores."""
        warn_of_large_steps(router, self.settings.bias_update_rate)

    def initial(self, num_experts: int) -> Tensor:
        """Return no bias, and no momentum where there is one."""
        return torch.zeros(2 * num_experts if self.settings.momentum else num_experts)

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:  # noqa: ARG002 - no schedule
        """Move the bias; a step without calls changes nothing."""
        calls, bias = observed.to(state.dtype), state[..., : observed.shape[-1]]
        mean = calls.mean(-1, keepdim=True)
        step_E = soft_error(calls)
        if not self.settings.momentum:
            return torch.where(mean > 0, bias + self.settings.bias_update_rate * step_E, state)
        momentum = state[..., observed.shape[-1] :]
        momentum = self.settings.momentum * momentum + (1 - self.settings.momentum) * step_E
        after = torch.cat([bias + self.settings.bias_update_rate * momentum, momentum], -1)
        return torch.where(mean > 0, after, state)


def soft_error(calls: Tensor) -> Tensor:
    """Return c [..., E] = u·Σo/Σu − o for loads [..., E]: above 0 for idle experts, below for busy ones."""
    mean = calls.mean(-1, keepdim=True)
    tiny = torch.finfo(calls.dtype).tiny
    idle = ((mean - calls) / mean.clamp(min=tiny)).clamp(min=0)
    busy = ((calls - mean) / calls.clamp(min=tiny)).clamp(min=0)
    return idle * (busy.sum(-1, keepdim=True) / (idle.sum(-1, keepdim=True) + _EPSILON)) - busy
