"""The gradient of a penalty, added where the weights pass by.

So that a penalty needs no term in anybody's loss, and survives either kind of activation checkpointing: its graph hangs
on the routing weights, and every backward pass that reaches them runs through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def inject(weights: Tensor, loss: Tensor, scale: float, note: Callable[[], None]) -> Tensor:
    """Return ``weights``, through which ``scale`` · ``loss`` is added to whatever is being minimized.

    ``note`` is called whenever the gradient has really been passed on.
    """
    attached: Tensor = _AttachLoss.apply(weights, loss, scale, note)
    return attached


class _AttachLoss(torch.autograd.Function):
    """The identity on ``weights`` that adds ``scale`` · ``loss`` to whatever is being minimized."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, loss: Tensor, scale: float, note: Callable[[], None]) -> Tensor:  # noqa: ANN401
        ctx.scale, ctx.note, ctx.loss = scale, note, (loss.dtype, loss.device)
        return weights.view_as(weights)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:  # noqa: ANN401
        dtype, device = ctx.loss
        ctx.note()
        return grad, torch.full((), ctx.scale, dtype=dtype, device=device), None, None
