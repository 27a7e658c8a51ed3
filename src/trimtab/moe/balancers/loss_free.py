"""ALF-LB: a bias on the selection, moved against the load once a step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from trimtab.moe.balancers.checks import known, positive
from trimtab.moe.balancers.interface import BiasBalancer

if TYPE_CHECKING:
    from torch import Tensor

Rule = Literal["sign", "proportional"]
Schedule = Literal["constant", "inv_sqrt", "inv"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LossFree(BiasBalancer):
    """ALF-LB (arXiv 2408.15664, Algorithm 1), with the step sizes of its theory (arXiv 2512.03915).

    b ← b + u_n · sign(mean − load), or with ``rule="proportional"`` b ← b + u_n · (mean − load) / mean. A bias can
    travel at most Σ u_n, so ``bias_update_rate`` × steps is the setting that counts in a short run.

    Args:
        bias_update_rate: u, in units of score a step.
        rule: ``"sign"`` (the paper's default) or ``"proportional"``.
        schedule: u_n = u, u/√n or u/n at step n from 1.
        centered: Take the mean off each step (torchtitan), so that the biases keep their mean; changes no selection.
    """

    bias_update_rate: float
    rule: Rule = "sign"
    schedule: Schedule = "constant"
    centered: bool = False

    def __post_init__(self) -> None:
        positive(self.bias_update_rate, "LossFree(bias_update_rate=...)")
        known(self.rule, Rule, "LossFree(rule=...)")
        known(self.schedule, Schedule, "LossFree(schedule=...)")

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:
        """Move the bias [E] of overloaded experts down and of underloaded ones up; a step without calls moves none."""
        calls = observed.to(state.dtype)
        mean = calls.mean(-1, keepdim=True)
        error = ((mean - calls) / mean).nan_to_num(0.0)  # 0/0 where there were no calls
        delta = self.step_size(step) * (error.sign() if self.rule == "sign" else error)
        return state + (delta - delta.mean(-1, keepdim=True) if self.centered else delta)

    def step_size(self, step: int) -> float:
        """Return u_n, for n from 1."""
        divisor = {"constant": 1.0, "inv_sqrt": math.sqrt(step), "inv": float(step)}[self.schedule]
        return self.bias_update_rate / divisor
