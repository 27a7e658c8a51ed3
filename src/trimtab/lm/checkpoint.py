"""Everything a training run needs to go on exactly, in one safetensors file that appears whole or not at all.

Tensors are named by their owner (``model.``, ``optimizer.``, ``gates.``, ``rng``), plain values ride in the header.
No pickle. Data needs no state: batch *i* is a function of the seed and *i* (:mod:`trimtab.lm.corpus`).
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from trimtab.errors import RunFolderError
from trimtab.lm import sharding

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn
    from torch.optim import Optimizer

_NAME = re.compile(r"step-(\d{7})\.safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A moment between two optimizer steps."""

    step: int
    tokens: int
    tensors: Mapping[str, Tensor]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write ``folder/step-N.safetensors`` atomically, then delete the older ones."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"step-{checkpoint.step:07d}.safetensors"
    temporary = target.with_suffix(".tmp")
    header = {"trimtab": json.dumps({"step": checkpoint.step, "tokens": checkpoint.tokens})}
    save_file({name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}, temporary, metadata=header)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(target)
    for stale in folder.iterdir():
        if stale != target:
            stale.unlink()


def latest(folder: Path) -> Checkpoint | None:
    """Read the newest checkpoint in ``folder``, or None when there is none.

    Raises:
        RunFolderError: The newest checkpoint cannot be read; the message names it.
    """
    folders = sorted(path for path in folder.glob("step-*") if _NAME.fullmatch(path.name)) if folder.is_dir() else []
    if not folders:
        return None
    try:
        with safe_open(folders[-1], framework="pt") as file:
            header = json.loads(file.metadata()["trimtab"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise RunFolderError(
            f"checkpoint {folders[-1]} cannot be read: {error}", hint="delete it to train this cell from its start"
        ) from error
    return Checkpoint(step=header["step"], tokens=header["tokens"], tensors=tensors)


def collect(model: nn.Module, optimizer: Optimizer, gates: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gather the tensors of a running training: weights, optimizer moments, balancer state, random state."""
    tensors = {f"model.{name}": tensor for name, tensor in _unique(model).items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
    tensors |= {f"gates.{name}": tensor for name, tensor in gates.items()}
    tensors["rng"] = torch.get_rng_state()
    # safetensors refuses memory shared between names; a detached copy also survives the next step.
    return {name: sharding.whole(tensor.detach()).clone() for name, tensor in tensors.items()}


def restore(tensors: Mapping[str, Tensor], model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """Put weights, optimizer moments and random state back; return the balancer state for the gates."""
    own = _unique(model)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(sharding.shared_like(tensors[f"model.{name}"], tensor))
    state = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state["state"] = {
        index: {key: sharding.shared_like(value, parameters[index]) for key, value in moments.items()}
        for index, moments in _moments(tensors).items()
    }
    optimizer.load_state_dict(state)
    torch.set_rng_state(tensors["rng"])
    return {name.removeprefix("gates."): tensor for name, tensor in tensors.items() if name.startswith("gates.")}


def _moments(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            moments.setdefault(int(index), {})[key] = tensor
    return moments


def _unique(model: nn.Module) -> dict[str, Tensor]:
    """Parameters that learn and buffers by name, tied ones once (state_dict lists both names)."""
    learning = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    return learning | dict(model.named_buffers())
