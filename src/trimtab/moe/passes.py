"""The forward passes of a step: which tokens are text, what counts, and what was decided in each.

A router sees rows of hidden states and no mask, so a hook on the model notes what it was called with. Recomputation
under activation checkpointing runs inside the backward pass, where the pass it repeats is found by its logits.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from trimtab.moe.balancers.layer_pool import LayerPool

_MOST_PASSES: Final = 256


def in_backward() -> bool:
    """Tell whether a backward pass is running, which is when checkpointing recomputes, reentrant or not."""
    return bool(torch._C._current_graph_task_id() != -1)  # noqa: SLF001 - the one sign that works for both kinds


@dataclass(slots=True, kw_only=True)
class Decision:
    """What a gate decided for its tokens in a forward pass, for its recomputation."""

    tokens: int
    fingerprint: Tensor
    experts: Tensor
    demanded: Tensor | None
    kept: Tensor | None
    load_so_far: Tensor | None


@dataclass(kw_only=True)
class ForwardPass:
    """One forward pass of the model.

    Args:
        rows, columns: Shape of the batch.
        valid: [T] whether a token is text; None when all are, or unknown.
        positions: [rows, columns] position ids, where they were given.
        training: Whether the model is in training mode.
        counted: Whether its load counts: training, with gradients.
        ordinal: Number of the pass within its optimizer step, from 0.
        step: Number of the optimizer step, from 1; 0 in evaluation.
    """

    rows: int
    columns: int
    valid: Tensor | None = None
    positions: Tensor | None = None
    training: bool = False
    counted: bool = False
    ordinal: int = 0
    step: int = 0
    decisions: dict[int, Decision] = field(default_factory=dict)
    pool: LayerPool | None = None

    @cached_property
    def tokens(self) -> int:
        """T without padding."""
        return self.rows * self.columns if self.valid is None else int(self.valid.sum())

    @cached_property
    def sequence(self) -> Tensor:
        """[T] number of the sequence of each token: rows, cut where position ids do not go on by one."""
        row = torch.arange(self.rows)
        if self.positions is None:
            return row.repeat_interleave(self.columns)
        starts = torch.ones_like(self.positions, dtype=torch.bool)
        starts[:, 1:] = self.positions.diff(dim=1) != 1
        return starts.flatten().cumsum(0) - 1


class Passes:
    """The forward passes of the current step, the one under way first."""

    def __init__(self) -> None:
        self._open: list[ForwardPass] = []
        # Bounded for loops that never call update().
        self._counted: deque[ForwardPass] = deque(maxlen=_MOST_PASSES)
        self.ordinal = 0
        self.step = 1

    def begin(self, module: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:  # noqa: ANN401
        """Forward pre-hook of the model."""
        if in_backward():
            return
        tokens = kwargs.get("input_ids")
        tokens = tokens if tokens is not None else kwargs.get("inputs_embeds", args[0] if args else None)
        mask = kwargs.get("attention_mask", args[1] if len(args) > 1 else None)
        positions = kwargs.get("position_ids")
        rows, columns = (1, 0) if tokens is None else tokens.shape[:2]
        counted = module.training and torch.is_grad_enabled()
        self._open.append(
            ForwardPass(
                rows=rows,
                columns=columns,
                valid=_valid(mask, columns),
                positions=positions if positions is not None and tuple(positions.shape) == (rows, columns) else None,
                training=module.training,
                counted=counted,
                ordinal=self.ordinal if counted else 0,
                step=self.step if counted else 0,
            )
        )
        if counted:
            self._counted.append(self._open[-1])
            self.ordinal += 1

    def end(self, _module: nn.Module, _args: Any, _output: Any) -> None:  # noqa: ANN401
        """Forward hook of the model, called even when it failed."""
        if not in_backward() and self._open:
            self._open.pop()

    def find(self, layer: int, logits: Tensor) -> tuple[ForwardPass, Decision | None]:
        """Return the pass that a router call belongs to, and what was decided in it if this is its recomputation."""
        if not in_backward():
            if self._open:
                return self._open[-1], None
            # A block called by itself: every token is text, and nothing is counted.
            return ForwardPass(rows=1, columns=len(logits)), None
        known = [(passed, passed.decisions[layer]) for passed in self._counted if layer in passed.decisions]
        known = [pair for pair in known if pair[1].tokens == len(logits)]
        if not known:
            return ForwardPass(rows=1, columns=len(logits)), None
        if len(known) == 1:
            return known[0]
        # Recomputed logits are equal to those of their forward pass, up to what the hardware rounds.
        mine = logits.detach().sum(0)
        return min(known, key=lambda pair: float((pair[1].fingerprint - mine).abs().sum()))

    def finish_step(self) -> None:
        """Forget the passes of the step."""
        self._counted.clear()
        self.ordinal = 0
        self.step += 1


def _valid(mask: Any, columns: int) -> Tensor | None:  # noqa: ANN401 - whatever a model accepts
    """[T] from an attention mask [B, ≥ columns]; None for no mask, or for one that does not speak of single tokens."""
    if not isinstance(mask, torch.Tensor) or mask.ndim != 2 or columns == 0:
        return None
    valid = mask[:, -columns:].bool()
    return None if bool(valid.all()) else valid.flatten()
