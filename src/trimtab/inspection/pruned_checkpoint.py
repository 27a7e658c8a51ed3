"""Write a checkpoint without some experts, which transformers loads as any other of its family.

The model is built anew from its configuration with fewer experts, and each tensor that got shorter is filled with the
rows of the experts that stay. What was written is loaded again and compared with the masked model before anybody is
told that it is there.
"""

from __future__ import annotations

import copy
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.errors import ConfigurationError, UnsupportedModelError
from trimtab.inspection.expert_mask import masked, selection_bias
from trimtab.moe.attach import attach
from trimtab.moe.gates import Gates
from trimtab.moe.router import BIAS_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from trimtab.inspection.inspected_model import InspectedModel
    from trimtab.moe.router import Router

# What configurations call the number of routed experts.
_NAMES: Final = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
_CLOSE: Final = 1e-3


def write_pruned(model: InspectedModel, removed: Mapping[int, Sequence[int]], folder: Path) -> float:
    """Write ``model`` without the experts of ``removed`` to ``folder``, with its tokenizer.

    Args:
        model: The model; it stays as it is.
        removed: Experts by layer, as many of each.
        folder: Must not exist or be empty.

    Returns:
        The largest difference of logits between what was written and the masked model, over the largest logit.

    Raises:
        ConfigurationError: The folder holds something, or layers do not lose as many.
        UnsupportedModelError: The family cannot be written with fewer experts, and why.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty", hint="name a folder that does not exist")
    keep = _kept(model.routers, removed)
    fewer = _fewer(model, keep)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _save(model, fewer, keep, part)
        error = _difference(model, removed, fewer)
        if not error <= _CLOSE:
            raise UnsupportedModelError(
                f"a {model.model.config.model_type} model with fewer experts computes otherwise than the masked one:"
                f" logits differ by {error:.2g} of the largest",
                hint="mask the experts instead: trimtab prune without --output",
            )
        if folder.exists():
            folder.rmdir()
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return error


def _kept(routers: Sequence[Router], removed: Mapping[int, Sequence[int]]) -> dict[int, Tensor]:
    keep = {}
    for router in routers:
        gone = set(removed.get(router.layer, ()))
        if router.groups is not None:
            raise UnsupportedModelError(
                f"{router.name} chooses within {router.groups.count} groups of equal size, which fewer experts would"
                " not be",
                hint="mask the experts instead: trimtab prune without --output",
            )
        keep[router.layer] = torch.tensor([expert for expert in range(router.num_experts) if expert not in gone])
    sizes = {layer: len(experts) for layer, experts in keep.items()}
    if len(set(sizes.values())) != 1:
        raise ConfigurationError(f"a checkpoint has as many experts in every layer; {sizes} would be left, by layer")
    return keep


@torch.no_grad()
def _fewer(model: InspectedModel, keep: Mapping[int, Tensor]) -> Any:  # noqa: ANN401 - a model of the same class
    """Return a model of the same class with the experts that stay."""
    before: Any = model.model
    config, left = copy.deepcopy(before.config), len(next(iter(keep.values())))
    inner, count = config.get_text_config(), model.routers[0].num_experts
    names = [name for name in _NAMES if getattr(inner, name, None) == count]
    if not names:
        raise UnsupportedModelError(
            f"the configuration of {config.model_type} names its {count} experts in none of {', '.join(_NAMES)}"
        )
    for name in names:
        setattr(inner, name, left)
    with torch.random.fork_rng(devices=[]):
        fewer: Any = type(before)(config).to(before.dtype)
    state = _without_added(model)
    shorter = fewer.state_dict()
    blocks = {_block_name(router): keep[router.layer] for router in model.routers}
    filled = {}
    for name, tensor in state.items():
        kept = next((experts for block, experts in blocks.items() if name.startswith(block)), None)
        renamed = _renamed(name, kept)
        if renamed is None:
            continue
        if renamed not in shorter:
            raise UnsupportedModelError(f"{name} has no place in a {config.model_type} model of {left} experts")
        filled[renamed] = _cut(name, tensor, shorter[renamed].shape, kept, count)
    missing = shorter.keys() - filled.keys()
    if missing:
        raise UnsupportedModelError(f"a {config.model_type} model of {left} experts has {min(missing)}, this one not")
    fewer.load_state_dict(filled)
    fewer.generation_config = copy.deepcopy(getattr(before, "generation_config", None))
    return fewer.eval()


def _without_added(model: InspectedModel) -> dict[str, Tensor]:
    """Return the state of the model without the biases that attaching added."""
    added = {f"{router.name}.{BIAS_NAME}" for router in model.routers if router.native is None}
    return {name: tensor for name, tensor in model.model.state_dict().items() if name not in added}


def _block_name(router: Router) -> str:
    return router.name.rpartition(".")[0] + "."


def _renamed(name: str, kept: Tensor | None) -> str | None:
    """Return the name of a tensor in the smaller model; None where its expert is a module of its own that goes."""
    match = re.search(r"\.experts\.(\d+)\.", name)
    if match is None or kept is None:
        return name
    place = (kept == int(match[1])).nonzero()
    return None if not len(place) else f"{name[: match.start(1)]}{int(place[0, 0])}{name[match.end(1) :]}"


def _cut(name: str, tensor: Tensor, shape: torch.Size, kept: Tensor | None, count: int) -> Tensor:
    """Return the part of a tensor that stays: the rows of the experts along the one axis that got shorter."""
    if tensor.shape == shape:
        return tensor
    axes = [axis for axis in range(tensor.ndim) if len(shape) == tensor.ndim and tensor.shape[axis] != shape[axis]]
    if kept is None or len(axes) != 1 or tensor.shape[axes[0]] % count or shape[axes[0]] % len(kept):
        raise UnsupportedModelError(
            f"{name} has shape {tuple(tensor.shape)}, and {tuple(shape)} in a model with fewer experts: which part"
            " of it stays is not known",
            hint="mask the experts instead: trimtab prune without --output",
        )
    axis = axes[0]
    split = tensor.unflatten(axis, (count, -1))
    stays: Tensor = split.index_select(axis, kept.to(tensor.device)).flatten(axis, axis + 1).contiguous()
    return stays


def _save(model: InspectedModel, fewer: Any, keep: Mapping[int, Tensor], part: Path) -> None:  # noqa: ANN401
    """Save the smaller model, with its gates where the model has any, and the tokenizer."""
    try:
        gates = Gates.of(model.model)
    except ConfigurationError:
        fewer.save_pretrained(part)
    else:
        # The rule starts anew but for its bias: what else it remembers is of experts that are gone too.
        attached = attach(fewer, balancer=gates.balancer.settings, capacity=gates.capacity)
        biases = {router.layer: selection_bias(router) for router in model.routers}
        for layer, bias in attached.biases().items():
            before = biases[layer]
            assert before is not None  # noqa: S101 - the same rule is attached to both
            state = attached.state_dict()
            state[f"layers.{layer}.bias"] = before[keep[layer].to(before.device)].float().to(bias.device)
            attached.load_state_dict(state)
        attached.save_pretrained(part)
    inner = getattr(model.tokenizer, "inner", None)
    if inner is not None:
        inner.save_pretrained(part)


@torch.inference_mode()
def _difference(model: InspectedModel, removed: Mapping[int, Sequence[int]], fewer: Any) -> float:  # noqa: ANN401
    """Return the largest difference of logits, over the largest logit, on a few random tokens."""
    size = int(model.model.config.get_text_config().vocab_size)
    ids = torch.randint(0, size, (2, 16), generator=torch.Generator().manual_seed(0)).to(model.device)
    with masked(model.routers, removed):
        expected = model.model(input_ids=ids, use_cache=False).logits
    found = fewer.to(model.device)(input_ids=ids, use_cache=False).logits
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-6))
