"""ALF-LB: a bias on the selection, moved against the load once a step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers.interface import BiasBalancer
from trimtab.moe.balancers.step_size import warn_of_large_steps

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.router import Router
    from trimtab.settings.capacities import Capacity
    from trimtab.settings.rules import LossFree


@final
class LossFreeBalancer(BiasBalancer):
    """What :class:`~trimtab.settings.rules.LossFree` does: moves the bias once a step."""

    __slots__ = ("settings",)
    settings: LossFree

    def __init__(self, settings: LossFree) -> None:
        self.settings = settings

    def check(self, router: Router, capacity: Capacity) -> None:  # noqa: ARG002 - either load signal is a load
        """Warn where one step outweighs the scores.

        Raises:
            ConfigurationError: The bias is to rest after a share of a run whose length is not known.
        """
        if self.settings.freeze_at is not None and self.settings.total_steps is None:
            raise ConfigurationError(
                f"{self.settings!r}: freeze_at is a share of total_steps, which are not given",
                hint="LossFree(freeze_at=..., total_steps=...); a study and the simulator know their steps",
            )
        warn_of_large_steps(router, self.settings.bias_update_rate)

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:
        """Move the bias [E] of overloaded experts down and of underloaded ones up; a step without calls moves none."""
        if self.resting(step):
            return state
        calls = observed.to(state.dtype)
        mean = calls.mean(-1, keepdim=True)
        delta = self.step_size(step) * _direction(mean - calls, mean, self.settings.update)
        after = state + (delta - delta.mean(-1, keepdim=True) if self.settings.centered else delta)
        return after if self.settings.clip is None else after.clamp(-self.settings.clip, self.settings.clip)

    def step_size(self, step: int) -> float:
        """Return u_n, for n from 1; 0 where the bias rests."""
        if self.resting(step):
            return 0.0
        divisor = {"constant": 1.0, "inv_sqrt": math.sqrt(step), "inv": float(step)}[self.settings.schedule]
        return self.settings.bias_update_rate / divisor

    def resting(self, step: int) -> bool:
        """Tell whether ``step`` lies behind ``freeze_at``."""
        share, steps = self.settings.freeze_at, self.settings.total_steps
        return share is not None and steps is not None and step > share * steps


def _direction(missing: Tensor, mean: Tensor, update: str) -> Tensor:
    """What a step of size 1 adds to the bias [..., E], given the calls that each expert lacks."""
    if update == "sign":
        return missing.sign()
    error = (missing / mean).nan_to_num(0.0)  # 0/0 where there were no calls
    if update == "proportional":
        return error
    return (error / error.square().mean(-1, keepdim=True).sqrt()).nan_to_num(0.0)  # 0/0 at balance
