"""When an optimizer step is taken, and whether it counts.

A step whose gradient is not finite is no step: a gradient scaler does not take it, and one that is taken anyway teaches
a balancer nothing, because what was counted may come from a broken forward pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor
    from torch.optim import Optimizer
    from torch.utils.hooks import RemovableHandle


@torch.no_grad()
def finite(parameters: Iterable[Tensor]) -> bool:
    """Tell whether all gradients are finite, in every process; parameters without a gradient do not matter."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    local = [getattr(gradient, "to_local", lambda own=gradient: own)() for gradient in gradients]  # FSDP2's shards
    flags = [torch.isfinite(part).all() for part in local]
    device = flags[0].device if flags else torch.device("cpu")
    # One answer, and one read of it, for all: a process that skipped alone would wait for the others for ever.
    everywhere = (
        torch.stack([flag.to(device) for flag in flags]).all().int() if flags else torch.ones((), dtype=torch.int)
    )
    if distributed.is_initialized():
        distributed.all_reduce(everywhere, distributed.ReduceOp.MIN)
    return bool(everywhere)


def take(
    parameters: Iterable[Tensor], update: Callable[[], object], skip: Callable[[], object], *, skipped: bool = False
) -> None:
    """Call ``update``, or ``skip`` if the step was ``skipped`` or its gradient is not finite."""
    if finite(parameters) and not skipped:
        update()
    else:
        skip()


def listen(optimizer: Optimizer, update: Callable[[], object], skip: Callable[[], object]) -> RemovableHandle:
    """Call ``update`` or ``skip`` after each step of ``optimizer``."""

    def after(stepped: Optimizer, _args: Any, _kwargs: Any) -> None:  # noqa: ANN401 - a hook of torch
        take((parameter for group in stepped.param_groups for parameter in group["params"]), update, skip)

    return optimizer.register_step_post_hook(after)
