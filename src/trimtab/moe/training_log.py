"""What is written into the logs of a Trainer, so that TensorBoard, W&B, trackio and the rest show it.

A Trainer hands its numbers to reporters one after the other, and reporters come before the callbacks of a user: what is
to be seen by all has to be added in front of them.
"""

from __future__ import annotations

import sys
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from transformers import TrainerCallback
from transformers.trainer_callback import CallbackHandler

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import TrainerControl, TrainerState, TrainingArguments

PREFIX: Final = "moe/"
# How the layers of a step are put into one number: what is worst somewhere must not be averaged away.
_OF_LAYERS: Final = {
    "max_violation": ("mean", "max"),
    "entropy": ("mean", "min"),
    "drop_rate": ("mean", "max"),
    "dead_experts": ("sum",),
    "bias_spread": ("max",),
    "unread_masks": ("sum",),
    "own_loss": ("max",),
}
_WAYS: Final[dict[str, Callable[[list[float]], float]]] = {"mean": fmean, "max": max, "min": min, "sum": sum}
_PER_LAYER: Final = ("max_violation", "entropy", "drop_rate", "dead_experts", "bias_spread")


class RoutingStatistics:
    """The statistics of the steps since they were last written.

    Args:
        layers: Whether each layer is written by itself, too.
        every: Steps between two records; None for each that the Trainer writes, 0 for none.
    """

    def __init__(self, *, layers: bool, every: int | None) -> None:
        self.layers = layers
        self.every = every
        self._sums: dict[str, float] = {}
        self._steps = 0
        self._since = 0

    def add(self, records: list[dict[str, Any]], penalty: float) -> None:
        """Add a step: the records of its layers (``gates.metrics()``), and its penalty."""
        self._since += 1
        if self.every == 0 or not records:
            return
        numbers = summary(records) | {f"{PREFIX}penalty": penalty}
        if self.layers:
            numbers |= per_layer(records)
        for name, value in numbers.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._steps += 1

    def take(self) -> dict[str, float]:
        """Return the mean over the steps since the last call, by name; nothing where it is too early."""
        if not self._steps or self._since < (self.every or 1):
            return {}
        numbers = {name: value / self._steps for name, value in self._sums.items()}
        self._sums, self._steps, self._since = {}, 0, 0
        return numbers


def summary(records: list[dict[str, Any]]) -> dict[str, float]:
    """Return the statistics of a step by name: ``moe/entropy`` is a mean over layers, ``moe/entropy_min`` the worst."""
    numbers = {}
    for name, ways in _OF_LAYERS.items():
        values = [float(record[name]) for record in records]
        for index, way in enumerate(ways):
            value = _WAYS[way](values)
            numbers[f"{PREFIX}{name}{f'_{way}' if index else ''}"] = float(value)
    return numbers


def per_layer(records: list[dict[str, Any]]) -> dict[str, float]:
    """Return the statistics of each layer of a step, by name: ``moe/layer_3/entropy``."""
    return {f"{PREFIX}layer_{record['layer']}/{name}": float(record[name]) for record in records for name in _PER_LAYER}


class RoutingLog(TrainerCallback):
    """Adds the statistics to what a Trainer logs of training, before its reporters see it.

    Args:
        statistics: The statistics.
    """

    def __init__(self, statistics: RoutingStatistics) -> None:
        self.statistics = statistics

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002 - the interface of transformers
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        logs: dict[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> None:
        """Add what there is to a record of training; those of an evaluation, and the one at the end, have none."""
        if not logs or "loss" not in logs:
            return
        numbers = self.statistics.take()
        logs |= numbers
        if state.log_history and state.log_history[-1].get("step") == state.global_step:
            state.log_history[-1] |= numbers


def put_in_front(log: RoutingLog) -> bool:
    """Put ``log`` in front of the reporters of the Trainer that is calling; tell whether it could be.

    Called from an event of a callback. A Trainer hands callbacks everything but the list they are in, which is found in
    the frame that goes through it.
    """
    frame: Any = sys._getframe(1)  # noqa: SLF001 - see above
    while frame is not None:
        handler = frame.f_locals.get("self")
        if isinstance(handler, CallbackHandler):
            # Another list: the one at hand is being gone through.
            handler.callbacks = [log, *(other for other in handler.callbacks if other is not log)]
            return True
        frame = frame.f_back
    return False
