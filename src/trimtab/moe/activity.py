"""Whether a balancer has an effect: the questions nobody asks until a run of weeks turns out to have been unbalanced.

A bias that never moves (its counts are flat because they were taken after drops, or nothing is counted at all), a loss
whose gradient reaches no weight (a detached router, no backward pass), and a coefficient that counted more or less than
once. What is reported was observed in the step: states compared, backward passes seen.

What cannot be seen from inside one process: gradients that somebody adds up over processes instead of averaging them.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

import torch

from trimtab.errors import BalancerWarning, InactiveBalancerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.moe.balancers import Balancer
    from trimtab.moe.gate import Gate

# A single idle step has harmless causes, such as a load that happens to be flat.
_PATIENCE: Final = 3
_OWN_LOSS: Final = "its own auxiliary loss"


class Watch:
    """The last steps of all gates: what did nothing in each, and for how long."""

    def __init__(self) -> None:
        self.steps = 0
        self._idle: dict[str, int] = {}
        self._warned: set[str] = set()

    def after_step(self, gates: Sequence[Gate], balancer: Balancer, step: int) -> None:
        """Look at a step that has been counted, before it is forgotten; warn where several in a row did nothing."""
        self.steps += 1
        reasons = [reason for gate in gates for reason in idle(gate, balancer, step)]
        self._idle = {reason: self._idle.get(reason, 0) + 1 for reason in reasons}
        for reason, steps in self._idle.items():
            # An auxiliary loss of the model's own has been warned of when it was seen.
            if steps >= _PATIENCE and reason not in self._warned and _OWN_LOSS not in reason:
                self._warned.add(reason)
                warnings.warn(f"{balancer!r} had no proper effect for {steps} steps: {reason}", BalancerWarning, 2)

    def assert_active(self, gates: Sequence[Gate], balancer: Balancer) -> None:
        """Raise if the last step shows a balancer without proper effect, or if there was none to show one.

        Biases are compared as they are now with those that the model would use.

        Raises:
            InactiveBalancerError: With one line a layer and reason.
        """
        if not self.steps:
            raise InactiveBalancerError(
                f"{balancer!r} has not been updated yet", hint="call update() once after each optimizer step"
            )
        reasons = {*self._idle, *(reason for gate in gates for reason in misplaced(gate))}
        if reasons:
            lines = "\n  ".join(sorted(reasons))
            raise InactiveBalancerError(f"{balancer!r} had no proper effect in the last step:\n  {lines}")


def idle(gate: Gate, balancer: Balancer, step: int) -> list[str]:
    """Return what the balancer failed to do at this gate in this step, as sentences."""
    name, calls = gate.router.name, gate.tally.routed.tolist()
    if not any(calls):
        active = balancer.has_bias or balancer.has_penalty
        return [f"{name}: no calls were counted; is the model in training mode, with gradients?"] if active else []
    reasons = []
    flat = max(calls) == min(calls)
    if balancer.has_bias and not (gate.rests or balancer.resting(step)) and not gate.moved and not flat:
        reasons.append(f"{name}: the bias did not move at an uneven load")
    if balancer.has_penalty and not gate.passed_on:
        reasons.append(f"{name}: the gradient of the penalty reached no weight; is its router detached or frozen?")
    elif balancer.has_penalty and abs(gate.passed_on - 1) > 1e-6:
        reasons.append(f"{name}: the penalty counted {gate.passed_on:g} times")
    own = gate.attachment.passes.own_loss
    if own and (balancer.has_bias or balancer.has_penalty):
        reasons.append(f"{name}: the model adds {_OWN_LOSS} with coefficient {own:g} (output_router_logits)")
    return reasons


def misplaced(gate: Gate) -> list[str]:
    """Return that the bias held is not the one that the model would use now, as a sentence."""
    in_use = gate.bias_in_use
    if gate.bias is None or (in_use is not None and torch.equal(gate.bias.to(in_use), in_use)):
        return []
    used = "none" if in_use is None else f"up to {float(in_use.abs().max()):g}"
    held = float(gate.bias.abs().max())
    return [
        f"{gate.router.name}: the bias held goes up to {held:g} and the one in use is {used}; is the router copied?"
    ]
