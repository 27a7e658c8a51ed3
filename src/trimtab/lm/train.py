"""The one training loop: plain, on accelerate, exactly resumable.

Each step asks for batch *i*, which depends on nothing but the seed and *i*; the loss is divided by the weight of the
whole step before the backward pass, so that neither accumulation nor the number of processes changes the gradient; the
balancer moves once, after the optimizer. One line a step goes to ``train.jsonl``.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from accelerate import Accelerator
from torch.nn import functional

from trimtab import heap
from trimtab.lm import checkpoint, sharding
from trimtab.lm.tracking import followed

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from trimtab.lm.tracking import Tracking
    from trimtab.settings.runs import Schedule


class TrainingGates(Protocol):
    """What the loop asks of an attached balancer (:func:`trimtab.moe.attach.attach`)."""

    @property
    def routers(self) -> tuple[Any, ...]:
        """The routers, each with its ``weight``."""

    def update(self) -> None:
        """Move the biases once; called after each optimizer step."""

    def penalty(self) -> Tensor:
        """Return the auxiliary losses of the last step, detached."""

    def metrics(self) -> list[dict[str, Any]]:
        """Return one line of routing statistics a layer for the last step."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a resumed run needs."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take it back."""


class TrainingBatch(Protocol):
    """What one step learns from; every array is [B, S], a row may hold several texts and no padding.

    ``tokens`` are ids, ``weights`` say how much having predicted each counts, and ``positions`` start at 0 with each
    text, which is also what keeps the texts of a row from seeing each other.
    """

    @property
    def tokens(self) -> Any:  # noqa: ANN401 - anything torch can take
        """Token ids."""

    @property
    def weights(self) -> Any:  # noqa: ANN401 - anything torch can take
        """Loss weights."""

    @property
    def positions(self) -> Any:  # noqa: ANN401 - anything torch can take
        """Positions within each text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOutcome:
    """How a training ended: ``diverged`` at the first loss or gradient that is not finite."""

    steps: int
    tokens: int
    diverged: bool


def weighted_loss(logits: Tensor, tokens: Tensor, weights: Tensor) -> Tensor:
    """Sum of weight × negative log-likelihood, in nats.

    Args:
        logits: [B, S, V]; position s predicts token s + 1.
        tokens: [B, S] token ids.
        weights: [B, S] weight of having predicted each token; the first of a row is never predicted.
    """
    # Shifting the targets, not the logits, saves a copy of the largest tensor of the step.
    targets = tokens.roll(-1, dims=1).flatten()
    shifted = weights.roll(-1, dims=1)
    shifted[:, -1] = 0
    nats = functional.cross_entropy(logits.flatten(0, 1).float(), targets, reduction="none")
    return torch.dot(nats, shifted.flatten())


def language_model_loss(model: Any, tokens: Tensor, positions: Tensor, weights: Tensor) -> Tensor:  # noqa: ANN401 - a wrapped model
    """Return :func:`weighted_loss` of a causal language model's logits."""
    return weighted_loss(model(input_ids=tokens, position_ids=positions, use_cache=False).logits, tokens, weights)


def train(  # noqa: PLR0913 - what is trained, on what, how, where, and two callbacks
    model: nn.Module,
    gates: TrainingGates,
    batch_at: Callable[[int], TrainingBatch],
    schedule: Schedule,
    folder: Path,
    *,
    loss_of: Callable[[Any, Tensor, Tensor, Tensor], Tensor] = language_model_loss,
    tracked: Tracking | None = None,
    on_step: Callable[[int], None] = lambda _: None,
) -> TrainingOutcome:
    """Train ``model`` in place, from the newest checkpoint in ``folder`` if there is one.

    On a CPU the process keeps the memory that a step frees (:mod:`trimtab.heap`).

    Args:
        model: A transformers causal language model, or what ``loss_of`` understands. Parameters without gradient rest.
        gates: The attached balancer.
        batch_at: The batch of step i, from 1; the same i always gives the same batch.
        schedule: Optimization settings.
        folder: Gets ``train.jsonl`` and ``checkpoint/``, from the first of several processes.
        loss_of: Sum of weight × negative log-likelihood in nats, of the model, tokens, positions and weights [B, S].
        tracked: Trackers that follow the run; None for none.
        on_step: Called with the number of each finished step.

    Raises:
        RunFolderError: A checkpoint is there but cannot be read.
    """
    heap.keep_freed_memory()
    accelerator = Accelerator(
        cpu=not torch.cuda.is_available(),
        log_with=list(tracked.names) if tracked else None,
        project_dir=tracked.folder if tracked else None,
    )
    is_sharded = schedule.sharded and accelerator.num_processes > 1
    if is_sharded:
        sharding.shard(model, accelerator.device.type, accelerator.num_processes)
    groups = _parameter_groups(model, gates, schedule)
    optimizer = torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=(schedule.beta1, schedule.beta2), fused=True)
    step, tokens = _resume(folder, model, optimizer, gates)
    if accelerator.is_main_process:
        _cut_log(folder / "train.jsonl", step)
    # Accelerate would wrap a model that is sharded already once more.
    wrapped, prepared = (model, optimizer) if is_sharded else accelerator.prepare(model, optimizer)
    wrapped.train()
    loop = _Loop(
        accelerator=accelerator, model=wrapped, optimizer=prepared, gates=gates, schedule=schedule, loss_of=loss_of
    )
    log_file = folder / "train.jsonl" if accelerator.is_main_process else Path(os.devnull)
    with log_file.open("a", encoding="utf-8", buffering=1) as log, followed(tracked, accelerator) as follow:
        while step < schedule.steps:
            step += 1
            line = loop.step(step, batch_at(step))
            tokens += line.pop("batch_tokens")
            if not math.isfinite(line["loss"] + line["grad_norm"]):
                return TrainingOutcome(steps=step, tokens=tokens, diverged=True)
            log.write(json.dumps({**line, "tokens": tokens}) + "\n")
            follow({**line, "tokens": tokens})
            if step % schedule.checkpoint_every == 0 and step < schedule.steps:
                state = checkpoint.collect(model, optimizer, gates.state_dict())
                if accelerator.is_main_process:
                    moment = checkpoint.Checkpoint(step=step, tokens=tokens, tensors=state)
                    checkpoint.save(folder / "checkpoint", moment)
            on_step(step)
    return TrainingOutcome(steps=step, tokens=tokens, diverged=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    accelerator: Accelerator
    model: Any
    optimizer: Any
    gates: TrainingGates
    schedule: Schedule
    loss_of: Callable[[Any, Tensor, Tensor, Tensor], Tensor]

    def step(self, step: int, batch: TrainingBatch) -> dict[str, Any]:
        rate = self.schedule.learning_rate_at(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        tokens = torch.as_tensor(batch.tokens)
        loss = self._backward(tokens, torch.as_tensor(batch.weights), torch.as_tensor(batch.positions))
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.schedule.max_grad_norm)
        length = float(sharding.whole(norm))
        line = {"step": step, "loss": loss, "lr": rate, "grad_norm": length, "batch_tokens": tokens.numel()}
        if math.isfinite(loss + line["grad_norm"]):
            self.optimizer.step()
            self.gates.update()
        self.optimizer.zero_grad()
        return {**line, "penalty": float(self.gates.penalty()), "layers": self.gates.metrics()}

    def _backward(self, tokens: Tensor, weights: Tensor, positions: Tensor) -> float:
        """Accumulate the gradient of the mean weighted loss of the whole step; return that loss in nats a token."""
        total = weights[:, 1:].sum()
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        summed = torch.zeros((), device=self.accelerator.device)
        for index in range(self.schedule.accumulation):
            rows = slice(index * world + rank, None, self.schedule.accumulation * world)
            part, place, weight = (x[rows].to(self.accelerator.device) for x in (tokens, positions, weights))
            loss = self.loss_of(self.model, part, place, weight)
            # DistributedDataParallel averages over processes what must be summed here.
            self.accelerator.backward(loss * (world / total))
            summed += loss.detach()
        return float(self.accelerator.reduce(summed, reduction="sum") / total)


def _parameter_groups(model: nn.Module, gates: TrainingGates, schedule: Schedule) -> list[dict[str, Any]]:
    """Decay matrices, not norms; routers learn at a rate of their own."""
    routers = {id(router.weight) for router in gates.routers} if schedule.router_scale != 1 else set()
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        ([p for p in learning if p.ndim > 1 and id(p) not in routers], schedule.weight_decay, 1.0),
        ([p for p in learning if p.ndim <= 1], 0.0, 1.0),
        ([p for p in learning if id(p) in routers], schedule.weight_decay, schedule.router_scale),
    ]
    return [{"params": ps, "weight_decay": decay, "scale": scale} for ps, decay, scale in groups if ps or scale == 1]


def _resume(folder: Path, model: nn.Module, optimizer: Any, gates: TrainingGates) -> tuple[int, int]:  # noqa: ANN401
    """Go back to the newest checkpoint; return its step and tokens, (0, 0) when there is none."""
    latest = checkpoint.latest(folder / "checkpoint")
    if latest is None:
        return 0, 0
    gates.load_state_dict(checkpoint.restore(latest.tensors, model, optimizer))
    return latest.step, latest.tokens


def _cut_log(log: Path, step: int) -> None:
    """Leave the lines of the first steps in the log."""
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True) if log.exists() else []
    temporary = log.with_suffix(".tmp")
    temporary.write_text("".join(lines[:step]), encoding="utf-8")
    temporary.replace(log)
