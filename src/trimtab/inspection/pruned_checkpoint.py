"""Write a checkpoint without some experts, which transformers loads as any other of its family.

The experts that stay are put into a model of the same class (:mod:`trimtab.moe.expert_selection`), whose logits are
compared with those of the masked model before a folder is there under its name.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.errors import ConfigurationError, UnsupportedModelError
from trimtab.inspection.expert_mask import masked, selection_bias
from trimtab.moe.attach import attach
from trimtab.moe.expert_selection import ExpertSelection
from trimtab.moe.gates import Gates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from trimtab.inspection.inspected_model import InspectedModel
    from trimtab.moe.router import Router

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
    fewer = ExpertSelection(model.model, model.routers, keep).build()
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
    pruned = fewer.to(model.device)(input_ids=ids, use_cache=False).logits
    return float((pruned - expected).abs().max() / expected.abs().max().clamp_min(1e-6))
