"""Write down what is attached to a model, beside its weights.

A folder of ``save_pretrained`` gets two more files. ``trimtab_config.json`` holds the balancer and the capacity as
plain values, the versions that wrote it, and what happens without it; it is written last: a folder with it is whole.
``trimtab_gates.safetensors`` holds what a resumed run needs, the biases in float32 whatever the dtype of the model.
:func:`trimtab.load` reads both.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import torch
import transformers
from safetensors.torch import save

from trimtab import disk
from trimtab.errors import ConfigurationError
from trimtab.moe import wrappers
from trimtab.moe.router import BIAS_NAME
from trimtab.settings.reading import encode
from trimtab.settings.rule_tables import to_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from trimtab.moe.balancers import Balancer
    from trimtab.settings.capacities import Capacity

CONFIG: Final = "trimtab_config.json"
STATE: Final = "trimtab_gates.safetensors"
FORMAT: Final = 1
_WEIGHTS: Final = re.compile(r"(pytorch_)?model(-\d+-of-\d+)?\.(safetensors|bin)(\.index\.json)?")
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """What is written down of an attachment.

    Args:
        model_class: Name of the model's class.
        balancer, capacity, accumulation: As attached.
        frozen: Layers that were told to rest (True) or to move (False).
        added: Qualified names of the buffers that were added.
        state: What a resumed run needs, by name.
    """

    model_class: str
    balancer: Balancer
    capacity: Capacity
    accumulation: int
    frozen: dict[int, bool]
    added: frozenset[str]
    state: dict[str, Tensor]


@contextmanager
def part(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a folder within ``folder`` whose files take their places in it at the end, all or none.

    An earlier save is as it was until then; weights of it that the new one does not replace go last.
    """
    place, new = Path(folder), not Path(folder).exists()
    temporary = place / f".saving-{os.getpid()}"
    temporary.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        written = {path.name for path in temporary.iterdir()}
        if written:
            # From here on the folder changes: with its attachment gone it does not look whole until it is.
            (place / CONFIG).unlink(missing_ok=True)
        for name in sorted(written, key=lambda name: name == CONFIG):
            if (place / name).is_dir():
                shutil.rmtree(place / name)
            (temporary / name).replace(place / name)
        for path in place.iterdir():
            if written and path.name not in written and _WEIGHTS.fullmatch(path.name):
                path.unlink()
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if new and not any(place.iterdir()):
            place.rmdir()


def saved_model(outer: nn.Module, root: nn.Module) -> PreTrainedModel:
    """Return the model whose weights are saved: of PEFT's wrapper the model inside, once adapters are merged.

    Args:
        outer: What was attached to.
        root: The outermost model of transformers in it.

    Raises:
        ConfigurationError: Adapters are inside, or there is no model that can be saved by itself.
    """
    refuse_adapters(outer)
    wraps = any(hasattr(outer, name) for name in ("peft_config", "_orig_mod"))
    model: Any = root if wraps else outer
    if not hasattr(model, "save_pretrained"):
        raise ConfigurationError(
            f"{type(model).__name__} has no save_pretrained", hint="attach(...) to the model of transformers inside"
        )
    return cast("PreTrainedModel", model)


def refuse_adapters(model: nn.Module) -> None:
    """Refuse to save a model with adapters inside, whose names no ``from_pretrained`` of the model knows.

    Raises:
        ConfigurationError: With the names, and the two ways out.
    """
    adapters = wrappers.foreign(model)
    prompts = getattr(model, "prompt_encoder", None)
    if adapters or prompts:
        name, kind = next(iter(adapters.items()), ("prompt_encoder", type(model).__name__))
        raise ConfigurationError(
            f"{name} is a {kind} of PEFT: saved as it is, the model would come back without what its adapters learned",
            hint="merge_and_unload() first; or save the adapters with PEFT's save_pretrained(folder) and what is"
            " attached with gates.save(folder)",
        )


def refuse_other_numbers(model: nn.Module, state: Mapping[str, Tensor], biases: frozenset[str]) -> None:
    """Refuse to save ``state`` in place of the model's own where it would come back as neither of the two.

    Raises:
        ConfigurationError: A tensor has another precision than the model, or one of ``biases`` differs.
    """
    for name, own in model.state_dict().items():
        given = state.get(name, own)
        if given.dtype != own.dtype:
            raise ConfigurationError(
                f"state_dict has {name} in {given.dtype}, and the model in {own.dtype}: loaded it would be rounded",
                hint=f"model.to({given.dtype}) before saving, or a state_dict in {own.dtype}",
            )
        if name in biases and not torch.equal(given.to(own.device), own):
            raise ConfigurationError(
                f"state_dict has another bias {name} than the gates, which save their own",
                hint="save a copy of the whole model with Gates.of(copy).save_pretrained(folder)",
            )


def write_weights(model: Any, folder: Path, **options: Any) -> None:  # noqa: ANN401 - a model, and transformers' options
    """Call the model's ``save_pretrained``; weights out of a GGUF file are written as the numbers they are.

    Raises:
        ConfigurationError: The model is quantized in a way that transformers cannot write.
    """
    quantizer = getattr(model, "hf_quantizer", None)
    if quantizer is None or quantizer.is_serializable():
        model.save_pretrained(folder, **options)
        return
    method = getattr(quantizer.quantization_config.quant_method, "value", quantizer.quantization_config.quant_method)
    packed = next((name for name, tensor in model.named_parameters() if wrappers.packed(tensor)), None)
    if method != "gguf" or packed is not None:
        raise ConfigurationError(
            f"the model is quantized with {method}, which transformers {transformers.__version__} cannot save"
            f"{f': {packed} is packed' if packed else ''}",
            hint="gates.save(folder) writes what is attached alone; give it back to the model, quantized again and"
            " attached to, with trimtab.moe.loading.restore(gates, folder)",
        )
    settings = vars(model.config).pop("quantization_config", _ABSENT)
    model.hf_quantizer = None
    try:
        model.save_pretrained(folder, **options)
    finally:
        model.hf_quantizer = quantizer
        if settings is not _ABSENT:
            model.config.quantization_config = settings


def verify(model: PreTrainedModel, folder: Path, biases: frozenset[str], **options: Any) -> None:  # noqa: ANN401
    """Refuse weights in ``folder`` that would not come back as they are in ``model``; no values are compared.

    Args:
        model: What was saved.
        folder: Where to.
        biases: Names of the biases, which come back with the gates.
        options: For ``from_pretrained``.

    Raises:
        ConfigurationError: With the first name, and what is wrong with it.
    """
    kind = type(model)
    options |= {"output_loading_info": True, "ignore_mismatched_sizes": True}
    with expecting_biases(kind), _quiet():
        loaded, report = _loaded(kind, folder, quantized=getattr(model, "hf_quantizer", None) is not None, **options)
    wrong = dict.fromkeys(report["missing_keys"], "is missing")
    wrong |= dict.fromkeys(report["unexpected_keys"], "is not known")
    for name, shape, expected in report["mismatched_keys"]:
        wrong[name] = f"is of shape {list(shape)}, and {list(expected)} is expected"
    known = {name: tensor.dtype for name, tensor in loaded.state_dict().items()}
    for name, tensor in model.state_dict().items():
        if name not in biases and name in known and known[name] != tensor.dtype:
            wrong.setdefault(name, f"is {tensor.dtype}, and would be {known[name]}")
    wrong = {name: reason for name, reason in wrong.items() if name not in biases}
    if wrong:
        name = min(wrong)
        raise ConfigurationError(
            f"{kind.__name__} would not come back as it is: {name} {wrong[name]} when it is loaded"
            f"{f', and so for {len(wrong) - 1} more' if len(wrong) > 1 else ''}",
            hint="save a model whose modules are those of its class, in one dtype; gates.save(folder) writes what is"
            " attached alone",
        )


def _loaded(kind: Any, folder: Path, *, quantized: bool, **options: Any) -> Any:  # noqa: ANN401
    """Return the model in ``folder`` and what there is to say of its keys; without values where that can be.

    Raises:
        ConfigurationError: It is quantized and cannot be loaded.
    """
    try:
        return kind.from_pretrained(folder, device_map="meta", **options)
    except (RuntimeError, ValueError, NotImplementedError):
        if not quantized:
            raise
    # bitsandbytes unpacks four bits as it loads, for which there must be some.
    try:
        return kind.from_pretrained(folder, device_map="cpu", **options)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise ConfigurationError(
            f"the quantized {kind.__name__} cannot be loaded again once it is saved: {error}",
            hint="gates.save(folder) writes what is attached alone",
        ) from error


def save_attachment(record: Record, folder: str | os.PathLike[str]) -> None:
    """Write the two files into ``folder``, which holds the weights of the model already or will."""
    place = Path(folder)
    state = {name: tensor.cpu().contiguous() for name, tensor in record.state.items()}
    disk.write_atomic_bytes(place / STATE, save(state))
    disk.write_atomic(place / CONFIG, json.dumps(_config(record), indent=2, allow_nan=False) + "\n")


def warn_of_added(record: Record, stacklevel: int = 3) -> None:
    """Say that ``from_pretrained`` alone loses the added biases, where there are any."""
    note = _note(record)
    if note is not None:
        warnings.warn(note, UserWarning, stacklevel)


def _config(record: Record) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "note": _note(record) or "The weights alone route as they did in training; trimtab.load(folder) re-attaches.",
        "versions": {name: version(name) for name in ("trimtab", "transformers", "torch")},
        "model_class": record.model_class,
        "balancer": to_record(record.balancer.settings),
        "capacity": encode(record.capacity),
        "accumulation": record.accumulation,
        "frozen": {str(layer): frozen for layer, frozen in record.frozen.items()},
        "added_biases": sorted(record.added),
    }


def _note(record: Record) -> str | None:
    added = len(record.added)
    if not added:
        return None
    return (
        f"{added} of the routers have a selection bias that trimtab added, because this family has none of its own:"
        " from_pretrained alone (and every serving engine) drops it and chooses other experts."
        " Load this folder with trimtab.load(folder)."
    )


@contextmanager
def expecting_biases(kind: type[PreTrainedModel]) -> Iterator[None]:
    """Keep transformers from reporting added biases as unexpected while they are on their way back in."""
    key = "_keys_to_ignore_on_load_unexpected"
    own = vars(kind).get(key, _ABSENT)
    setattr(kind, key, [*(getattr(kind, key) or ()), rf"{BIAS_NAME}$"])
    try:
        yield
    finally:
        if own is _ABSENT:
            delattr(kind, key)
        else:
            setattr(kind, key, own)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from reporting what is only looked at."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
