"""Parameters of which each process holds a share (FSDP2), and how they are put together for a file.

What is written is always whole, so that a checkpoint says nothing of how many processes made it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

if TYPE_CHECKING:
    from torch import Tensor, nn


def shard(model: Any, device: str, processes: int) -> None:  # noqa: ANN401 - a transformers model
    """Give each process its share of each parameter, layer by layer; in place.

    Args:
        model: A transformers causal language model, before its optimizer is made.
        device: "cpu" or "cuda".
        processes: Of the group, which must be initialized.
    """
    # Of a block without shared experts: torch 2.13 fails on the gradient of a parameter without elements.
    empty = {parameter for parameter in model.parameters() if not parameter.numel()}
    for parameter in empty:
        parameter.requires_grad_(requires_grad=False)
    mesh = init_device_mesh(device, (processes,))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh, ignored_params=empty)
    fully_shard(model, mesh=mesh, ignored_params=empty)


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor of which each process holds a share as a whole; every process must ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole_state(model: nn.Module) -> dict[str, Tensor] | None:
    """Return the whole tensors of a sharded model, tied ones as one object; None of a model that is not sharded."""
    named = {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }
    if not any(isinstance(tensor, DTensor) for tensor in named.values()):
        return None
    state: dict[str, Tensor] = {}
    first_of: dict[int, str] = {}
    for name in model.state_dict():
        first = first_of.setdefault(id(named[name]), name)
        state[name] = state[first] if first != name else whole(named[name].detach())
    return state


def shared_like(tensor: Tensor, pattern: Tensor) -> Tensor:
    """Return this process' share of a whole tensor, if ``pattern`` is shared; a scalar stays what it is."""
    if isinstance(pattern, DTensor) and tensor.shape == pattern.shape:
        return distribute_tensor(tensor, pattern.device_mesh, pattern.placements)
    return tensor
