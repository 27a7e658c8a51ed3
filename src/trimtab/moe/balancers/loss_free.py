"""ALF-LB: a bias on the selection, moved against the load once a step."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from trimtab.errors import BalancerWarning, ConfigurationError
from trimtab.moe.balancers.checks import known, positive
from trimtab.moe.balancers.interface import BiasBalancer

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.capacity import Capacity
    from trimtab.moe.router import Router

Rule = Literal["sign", "proportional", "rms"]
Schedule = Literal["constant", "inv_sqrt", "inv"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LossFree(BiasBalancer):
    """ALF-LB (arXiv 2408.15664, Algorithm 1), with the step sizes of its theory (arXiv 2512.03915).

    With e = (mean − load) / mean, once a step: b ← b + u_n · sign(e) (``"sign"``), b + u_n · e (``"proportional"``: the
    gradient of the dual), or b + u_n · e / RMS(e) (``"rms"``, kexue.fm 10757). A bias can travel at most Σ u_n under
    ``"sign"``, so ``bias_update_rate`` × steps is the setting that counts in a short run.

    Assumes scores whose differences are large beside u: on softmax scores, a mean score 1/E below u brings a warning.

    Args:
        bias_update_rate: u, in units of score a step.
        rule: What a step follows.
        schedule: u_n = u, u/√n or u/n at step n from 1.
        centered: Take the mean off each step (torchtitan), so that the biases keep their mean; changes no selection.
        clip: Largest absolute bias; None for no limit.
        freeze_at: Share of ``total_steps`` after which the bias rests, 0 to 1 (arXiv 2412.19437: its last 3 %).
        total_steps: Optimizer steps of the run; needed with ``freeze_at`` and with nothing else.

    Raises:
        ConfigurationError: A value cannot work.
    """

    bias_update_rate: float
    rule: Rule = "sign"
    schedule: Schedule = "constant"
    centered: bool = False
    clip: float | None = None
    freeze_at: float | None = None
    total_steps: int | None = None

    def __post_init__(self) -> None:
        positive(self.bias_update_rate, "LossFree(bias_update_rate=...)")
        known(self.rule, Rule, "LossFree(rule=...)")
        known(self.schedule, Schedule, "LossFree(schedule=...)")
        if self.clip is not None:
            positive(self.clip, "LossFree(clip=...)")
        if (self.freeze_at is None) != (self.total_steps is None):
            raise ConfigurationError(
                f"LossFree(freeze_at={self.freeze_at!r}, total_steps={self.total_steps!r}): one needs the other",
                hint="freeze_at is a share of total_steps",
            )
        if self.freeze_at is not None and not 0 < self.freeze_at < 1:
            raise ConfigurationError(f"LossFree(freeze_at={self.freeze_at!r}) is not between 0 and 1")
        if self.total_steps is not None:
            positive(self.total_steps, "LossFree(total_steps=...)")

    def check(self, router: Router, capacity: Capacity) -> None:  # noqa: ARG002 - either load signal is a load
        """Warn where one step outweighs the scores (Megatron refuses a bias on softmax scores altogether)."""
        if router.score_function == "softmax" and self.bias_update_rate * router.num_experts > 1:
            warnings.warn(
                f"{router.name}: a step of {self.bias_update_rate:g} is larger than the mean softmax score"
                f" 1/{router.num_experts}, so one step may send every token elsewhere",
                BalancerWarning,
                stacklevel=2,
            )

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:
        """Move the bias [E] of overloaded experts down and of underloaded ones up; a step without calls moves none."""
        if self.resting(step):
            return state
        calls = observed.to(state.dtype)
        mean = calls.mean(-1, keepdim=True)
        error = ((mean - calls) / mean).nan_to_num(0.0)  # 0/0 where there were no calls
        delta = self.step_size(step) * _direction(error, self.rule)
        after = state + (delta - delta.mean(-1, keepdim=True) if self.centered else delta)
        return after if self.clip is None else after.clamp(-self.clip, self.clip)

    def step_size(self, step: int) -> float:
        """Return u_n, for n from 1; 0 where the bias rests."""
        if self.resting(step):
            return 0.0
        divisor = {"constant": 1.0, "inv_sqrt": math.sqrt(step), "inv": float(step)}[self.schedule]
        return self.bias_update_rate / divisor

    def resting(self, step: int) -> bool:
        """Tell whether ``step`` lies behind ``freeze_at``."""
        return self.freeze_at is not None and self.total_steps is not None and step > self.freeze_at * self.total_steps


def _direction(error: Tensor, rule: Rule) -> Tensor:
    """What a step of size 1 adds to the bias [..., E], given relative errors of the load."""
    if rule == "sign":
        return error.sign()
    if rule == "proportional":
        return error
    return (error / error.square().mean(-1, keepdim=True).sqrt()).nan_to_num(0.0)  # 0/0 at balance
