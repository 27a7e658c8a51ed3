"""Signs that routing goes wrong in training, told once each: dead experts, collapse, runaway biases, no gradient.

A single step shows little: loads are summed over a window of steps, and nothing is said of an expert that was due too
few calls to tell. Each threshold is a constant here, with its reason.

Axes: E experts.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.errors import BalancerWarning
from trimtab.moe.routing import DEAD_SHARE, entropy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor

    from trimtab.moe.router import Router

WINDOW: Final = 20
# A uniform router gives an expert that is due 100 calls fewer than 10 of them once in 10^26 windows.
_ENOUGH_CALLS: Final = 100
# Half of the experts that were at work at first no longer are, counted as exp(entropy).
_COLLAPSED: Final = 0.5
# Softmax and sigmoid scores lie between 0 and 1: past a spread of 1 the bias alone orders two experts for every token.
_SCORE_RANGE: Final = 1.0


@dataclass(slots=True)
class _Window:
    """What a layer did in the window under way, and what is remembered of the first and the last one."""

    load: Tensor
    first_effective: float | None = None
    spread: float | None = None
    idle: int = 0


@dataclass(slots=True)
class TrainingHealth:
    """Watches the steps of a run.

    Args:
        routers: The routers.
        scored: Whether biases are added to scores, of which the range is known.
    """

    routers: Sequence[Router]
    scored: bool
    _steps: int = 0
    _windows: dict[int, _Window] = field(default_factory=dict)
    _said: set[tuple[str, int]] = field(default_factory=set)

    def after_backward(self, parameters: Iterable[Tensor]) -> None:
        """Look at the gradients of a step before they are used: a router that learns has one."""
        learning = [router for router in self.routers if router.learns]
        if not learning:
            return
        # Where others have no gradient either (ZeRO, a skipped backward pass), nothing can be told.
        of_routers = {id(parameter) for router in learning for parameter in _trained(router)}
        if not any(_has_gradient(parameter) for parameter in parameters if id(parameter) not in of_routers):
            return
        for router in learning:
            window = self._window(router)
            gone = not any(_has_gradient(parameter) for parameter in _trained(router))
            window.idle = window.idle + 1 if gone else 0
            if window.idle == WINDOW:
                self._say(
                    "router",
                    router,
                    f"{router.name} had no gradient for {WINDOW} steps, and is to be trained: it does not learn. Is it"
                    " detached, or does no token reach its experts?",
                )

    def after_step(self, loads: Mapping[int, Tensor], biases: Mapping[int, Tensor]) -> None:
        """Look at the calls [E] and the bias [E] of each layer in a step that was counted."""
        self._steps += 1
        for router in self.routers:
            window = self._window(router)
            window.load = window.load + loads[router.layer].to(window.load.device)
            if self._steps % WINDOW == 0:
                self._look(router, window, biases.get(router.layer))
                window.load = torch.zeros_like(window.load)

    def _look(self, router: Router, window: _Window, bias: Tensor | None) -> None:
        mean = float(window.load.sum()) / router.num_experts
        if mean >= _ENOUGH_CALLS:
            dead = (window.load < DEAD_SHARE * mean).nonzero().flatten().tolist()
            if dead:
                self._say(
                    "dead",
                    router,
                    f"{router.name}: {_some(dead)} got less than a tenth of the mean load over {WINDOW} steps"
                    f" ({int(window.load[dead].sum())} of {int(window.load.sum())} calls)",
                )
            self._collapse(router, window)
        if bias is not None:
            self._runaway(router, window, bias)

    def _collapse(self, router: Router, window: _Window) -> None:
        effective = router.num_experts ** entropy(window.load)
        if window.first_effective is None:
            window.first_effective = effective
        few = 1.25 * router.num_experts_per_tok
        if effective <= _COLLAPSED * window.first_effective or (effective < few and 2 * few <= router.num_experts):
            self._say(
                "collapse",
                router,
                f"{router.name}: the entropy of the load is collapsing: {effective:.1f} of {router.num_experts} experts"
                f" are at work (e^entropy), {window.first_effective:.1f} were over the first {WINDOW} steps",
            )

    def _runaway(self, router: Router, window: _Window, bias: Tensor) -> None:
        before, spread = window.spread, float(bias.max() - bias.min())
        window.spread = spread
        if not math.isfinite(spread):
            self._say("bias", router, f"{router.name}: the bias is not finite")
        bounded = self.scored and router.score_function != "sqrtsoftplus"
        if bounded and before is not None and spread > max(_SCORE_RANGE, before):
            self._say(
                "bias",
                router,
                f"{router.name}: the bias runs away: it spreads over {spread:.2f} and goes on growing ({before:.2f}"
                f" {WINDOW} steps ago), while {router.score_function} scores lie between 0 and 1, so that it alone"
                " decides between some experts. A smaller step, or gates.freeze()",
            )

    def _window(self, router: Router) -> _Window:
        return self._windows.setdefault(router.layer, _Window(torch.zeros(router.num_experts, dtype=torch.int64)))

    def _say(self, kind: str, router: Router, message: str) -> None:
        if (kind, router.layer) not in self._said:
            self._said.add((kind, router.layer))
            warnings.warn(message, BalancerWarning, stacklevel=2)


def _trained(router: Router) -> list[Tensor]:
    return [parameter for parameter in router.outer.parameters() if parameter.requires_grad and parameter.ndim > 1]


def _has_gradient(parameter: Tensor) -> bool:
    if parameter.grad is None:
        return False
    gradient: Any = parameter.grad
    local: Tensor = gradient.to_local() if hasattr(gradient, "to_local") else gradient
    return bool(local.any())


def _some(experts: list[int]) -> str:
    names = ", ".join(map(str, experts[:8]))
    return f"expert{'s' * (len(experts) > 1)} {names}{f' and {len(experts) - 8} more' if len(experts) > 8 else ''}"
