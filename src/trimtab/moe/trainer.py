"""A callback for transformers' Trainer: one update an optimizer step, and gates in its checkpoints.

::

    gates = attach(model, balancer=LossFree(bias_update_rate=1e-3), accumulation=arguments.gradient_accumulation_steps)
    Trainer(model, arguments, train_dataset=..., callbacks=[TrimtabCallback(gates)]).train()
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from trimtab.errors import ConfigurationError
from trimtab.moe.loading import agrees, restore
from trimtab.moe.saving import CONFIG, save_attachment, warn_of_added
from trimtab.moe.stepping import take
from trimtab.moe.training_health import TrainingHealth
from trimtab.moe.training_log import RoutingLog, RoutingStatistics, put_in_front

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from trimtab.moe.gates import Gates


class TrimtabCallback(TrainerCallback):
    """Moves the biases of ``gates`` after each optimizer step of a Trainer.

    Steps with a non-finite gradient move nothing. Checkpoints hold what :func:`trimtab.load` reads, and a resumed run
    goes on with it. The scale of a gradient scaler is passed on to the penalty.

    What the Trainer logs of training gets the means over the steps since, under names that begin with ``moe/``
    (:mod:`trimtab.moe.training_log`): of all layers ``max_violation``, ``entropy``, ``drop_rate`` (means, and with
    ``_max`` or ``_min`` the worst layer), ``dead_experts`` (sum), ``bias_spread`` (largest), ``unread_masks``,
    ``own_loss`` and ``penalty``; of each layer ``moe/layer_3/max_violation`` and so on.

    Warns, once each, of a dead expert, a collapsing entropy, a bias that runs away and a router without a gradient
    (:mod:`trimtab.moe.training_health`).

    Args:
        gates: Of the model that is trained; attach before the Trainer is made.
        log_layers: Whether each layer is logged by itself.
        log_every: Steps between two records of routing; None for one in each of the Trainer's, 0 for none.

    Raises:
        ConfigurationError: ``log_every`` is negative.
    """

    def __init__(self, gates: Gates, *, log_layers: bool = True, log_every: int | None = None) -> None:
        if log_every is not None and log_every < 0:
            raise ConfigurationError(f"TrimtabCallback(log_every={log_every}) must be at least 0")
        self.gates = gates
        self.statistics = RoutingStatistics(layers=log_layers, every=log_every)
        self.health = TrainingHealth(gates.routers, scored=gates.balancer.adds_only_bias)
        self._log = RoutingLog(self.statistics)
        self._warned = False

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002 - the interface of transformers
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> None:
        """Check the accumulation; take the state of a checkpoint that is resumed from.

        Raises:
            ConfigurationError: The Trainer accumulates otherwise than the penalty was told, or the checkpoint of this
                step in the output folder is not the one that is resumed from.
        """
        accumulated = args.gradient_accumulation_steps
        if self.gates.balancer.has_penalty and accumulated != self.gates.accumulation:
            raise ConfigurationError(
                f"TrainingArguments(gradient_accumulation_steps={accumulated}) and attach(accumulation="
                f"{self.gates.accumulation}): the penalty would count {accumulated / self.gates.accumulation:g} times",
                hint=f"attach(..., accumulation={accumulated})",
            )
        if not put_in_front(self._log):
            warnings.warn(
                "no list of callbacks was found around this one: statistics of routing are in no log",
                UserWarning,
                stacklevel=2,
            )
        if state.global_step:
            self._resume(args, state.global_step)

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Look at gradients, while there are any."""
        self.health.after_backward(kwargs["model"].parameters())

    def on_step_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Scale the penalty's gradient as the loss is scaled."""
        scaler = getattr(kwargs.get("optimizer"), "scaler", None)
        if scaler is not None:
            self.gates.loss_scale = float(scaler.get_scale())

    def on_optimizer_step(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Move the biases; the last step of an epoch may have fewer micro-batches."""
        skipped = bool(getattr(kwargs.get("optimizer"), "step_was_skipped", False))
        take(kwargs["model"].parameters(), self._update, self.gates.skip, skipped=skipped)

    def _update(self) -> None:
        self.gates.update(short=True)
        loads = self.gates.step_loads()
        if loads:
            self.statistics.add(self.gates.metrics(), float(self.gates.penalty()))
            self.health.after_step(loads, self.gates.biases())

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Add the gates to the checkpoint."""
        folder = _checkpoint(args, state.global_step)
        if not (state.is_world_process_zero and folder.is_dir()):
            return
        record = self.gates.written(type(kwargs["model"]).__name__)
        save_attachment(record, folder)
        if not self._warned:
            self._warned = True
            warn_of_added(record)

    def _resume(self, args: TrainingArguments, step: int) -> None:
        given = args.resume_from_checkpoint
        folder = Path(given) if isinstance(given, str) and Path(given).is_dir() else _checkpoint(args, step)
        if (folder / CONFIG).is_file():
            # A Trainer does not tell where it resumes from; the biases it has loaded with the weights do.
            if not agrees(self.gates, folder):
                raise ConfigurationError(
                    f"the biases in {folder} are not those of the checkpoint that is resumed from",
                    hint="TrainingArguments(resume_from_checkpoint=...) says which it is",
                )
            restore(self.gates, folder)
            return
        warnings.warn(
            f"{folder} has no {CONFIG}: the biases are those of the model's weights, and schedules start again",
            UserWarning,
            stacklevel=2,
        )


def _checkpoint(args: TrainingArguments, step: int) -> Path:
    return Path(str(args.output_dir)) / f"checkpoint-{step}"
