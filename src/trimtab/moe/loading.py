"""Load a model together with what was attached to it when it was saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from safetensors.torch import load_file

from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.moe.saving import CONFIG, FORMAT, STATE, expecting_biases
from trimtab.moe.whole_weights import load_whole
from trimtab.settings.capacities import Capacity
from trimtab.settings.reading import read
from trimtab.settings.rule_tables import from_record

if TYPE_CHECKING:
    import os

    from torch import Tensor
    from transformers import PreTrainedModel

    from trimtab.moe.gates import Gates
    from trimtab.settings.families import Rule


def load(
    folder: str | os.PathLike[str],
    *,
    balancer: Rule | None = None,
    capacity: Capacity | None = None,
    **options: Any,  # noqa: ANN401 - those of from_pretrained
) -> tuple[PreTrainedModel, Gates]:
    """Return the model saved in ``folder`` and its gates, as they were: biases in float32 to the last bit.

    Args:
        folder: Written by :meth:`Gates.save_pretrained`, or a checkpoint of a Trainer with :class:`TrimtabCallback`.
        balancer: Use this rule in place of the saved one; its state must have the same shape.
        capacity: Use this capacity in place of the saved one.
        options: For ``from_pretrained``, e.g. ``dtype`` or ``device_map``.

    Raises:
        ConfigurationError: The folder has no complete attachment, one that cannot be read here, or other weights than
            the model's.
    """
    place = Path(folder)
    saved = _read(place)
    rule = from_record(saved["balancer"], f"{place / CONFIG}: balancer") if balancer is None else balancer
    limits = capacity or read(Capacity, saved["capacity"], f"{place / CONFIG}: capacity", ConfigurationError)
    kind = _model_class(saved["model_class"], place)
    with expecting_biases(kind):
        model = load_whole(kind, str(place), **options)
    gates = attach(model, balancer=rule, capacity=limits, accumulation=saved["accumulation"])
    restore(gates, place)
    return model, gates


def restore(gates: Gates, folder: str | os.PathLike[str]) -> None:
    """Give ``gates`` the state and the frozen layers saved in ``folder``.

    Raises:
        ConfigurationError: The folder has no complete attachment, or that of another model or balancer.
    """
    place = Path(folder)
    frozen = _read(place)["frozen"]
    gates.load_state_dict(_state(place))
    for layer, rests in frozen.items():
        (gates.freeze if rests else gates.unfreeze)([int(layer)])


def agrees(gates: Gates, folder: str | os.PathLike[str]) -> bool:
    """Tell whether the biases saved in ``folder`` are those of ``gates``; biases of 0 have not been loaded yet.

    Raises:
        ConfigurationError: The folder has no complete attachment.
    """
    state = _state(Path(folder))
    held = ((state.get(f"layers.{layer}.bias"), bias.cpu()) for layer, bias in gates.biases().items())
    return all(saved is None or not bias.any() or torch.equal(saved, bias) for saved, bias in held)


def _state(place: Path) -> dict[str, Tensor]:
    if not (place / STATE).is_file():
        raise ConfigurationError(f"{place} has {CONFIG} but no {STATE}")
    return load_file(place / STATE)


def _read(place: Path) -> dict[str, Any]:
    path = place / CONFIG
    if not path.is_file():
        raise ConfigurationError(
            f"{place} has no {CONFIG}",
            hint="save with gates.save_pretrained(folder); a stock model needs from_pretrained",
        )
    try:
        saved: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}") from error
    version_of_format = saved.get("format") if isinstance(saved, dict) else None
    if version_of_format != FORMAT:
        raise ConfigurationError(
            f"{path}: format {version_of_format!r}, and this trimtab reads {FORMAT}",
            hint="use the version that wrote it",
        )
    missing = {"model_class", "balancer", "capacity", "accumulation", "frozen"} - saved.keys()
    if missing:
        raise ConfigurationError(f"{path} has no {min(missing)!r}")
    return dict(saved)


def _model_class(name: str, place: Path) -> type[PreTrainedModel]:
    if name.startswith("PeftModel"):
        raise ConfigurationError(
            f"{place} holds adapters without their base model",
            hint="attach(...) to PeftModel.from_pretrained(base, folder); trimtab.moe.loading.restore(gates, folder)",
        )
    model_class = getattr(transformers, name, None)
    if not (isinstance(model_class, type) and issubclass(model_class, transformers.PreTrainedModel)):
        raise ConfigurationError(
            f"{place / CONFIG}: model_class {name!r} is no model of transformers {transformers.__version__}",
            hint="load the weights with the class itself, attach, and give the gates their saved state",
        )
    return model_class
