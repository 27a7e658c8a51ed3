"""Load a model and refuse weights that are not its own: missing, left over, or of another shape than it says.

transformers initializes what a file lacks at random, and leaves out what it has no place for, with a note in a log.
Such a model computes something, only not what was trained: a Mixtral in a GGUF file becomes a dense Llama with random
layers. Exempt are tied weights, and buffers that follow from the configuration.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from transformers import PreTrainedModel

_BUFFERS: Final = re.compile(r"(inv_freq|masked_bias|attn\.bias|attention\.bias|position_ids|rotary_pos_emb\.\w+)$")
# Read from the header of a GGUF file by us, because transformers 5.17 leaves them at the default of the family.
_WIDTHS: Final = {
    "expert_feed_forward_length": "moe_intermediate_size",
    "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
}
_WITH_WIDTHS: Final = {"qwen2moe", "qwen3moe"}
_NAMED: Final = 6


def load_whole(kind: Any, place: str, *, exempt: str = r"(?!)", **options: Any) -> PreTrainedModel:  # noqa: ANN401
    """Return ``kind.from_pretrained(place, **options)`` if every weight came from the file, and all of the file's.

    Args:
        kind: A class of transformers, or one of its Auto classes.
        place: What ``from_pretrained`` is given.
        exempt: Pattern of weights that may be missing or left over, for a class that needs only a part of a model.
        options: For ``from_pretrained``; with ``gguf_file`` the file is looked into.

    Raises:
        ConfigurationError: Weights are missing, left over, or of another shape than the configuration says.
    """
    model: PreTrainedModel
    model, report = kind.from_pretrained(place, output_loading_info=True, **options)
    name = f"{place}/{options['gguf_file']}" if options.get("gguf_file") else place
    hint = "is it another model than its configuration says? Load the folder that it was made from"
    for what, names in (("has no", report["missing_keys"]), ("has, and nothing uses,", report["unexpected_keys"])):
        wrong = sorted(each for each in names if not re.search(exempt, each) and not _BUFFERS.search(each))
        if wrong:
            raise ConfigurationError(f"{name} {what} {_list(wrong)} of {type(model).__name__}", hint=hint)
    if options.get("gguf_file"):
        _check_shapes(model, name)
    return model


def gguf_options(path: Path) -> dict[str, int]:
    """Return what the header of a GGUF file says of its experts and transformers does not read.

    Raises:
        ConfigurationError: It is no GGUF file, or holds a mixture of experts under the name of a dense architecture.
    """
    header = _reader(path)
    architecture = str(_value(header, "general.architecture"))
    experts = _value(header, f"{architecture}.expert_count") or 0
    if architecture == "llama" and experts > 1:
        raise ConfigurationError(
            f"{path} is a mixture of {experts} experts (Mixtral) that transformers reads as a dense Llama",
            hint="load the folder of the model, as its authors published it",
        )
    if architecture not in _WITH_WIDTHS:
        return {}
    read = {config: _value(header, f"{architecture}.{key}") for key, config in _WIDTHS.items()}
    return {name: int(value) for name, value in read.items() if value}


def check_gguf(path: Path, model: PreTrainedModel) -> None:
    """Refuse a GGUF file with tensors that the model, which was loaded from it, has no place for.

    Raises:
        ConfigurationError: There are such tensors; the message names them.
    """
    header = _reader(path)
    unknown = _without_place(header, model)
    positions = [tensor for tensor in header.tensors if tensor.name == "rope_freqs.weight"]
    if positions and bool((positions[0].data != 1).any()):
        unknown.append("rope_freqs.weight")
    if unknown:
        raise ConfigurationError(
            f"{path} has, and {type(model).__name__} as transformers reads it does not use, {_list(sorted(unknown))}",
            hint="load the folder of the model, as its authors published it",
        )


def _without_place(header: Any, model: PreTrainedModel) -> list[str]:  # noqa: ANN401 - gguf ships no types
    from transformers import modeling_gguf_pytorch_utils as reading  # noqa: PLC0415 - only for these files

    quantizer = getattr(model, "hf_quantizer", None)
    if getattr(quantizer, "supported", False):
        return []  # read by the newer loader, which reports what is left over itself
    architecture = str(_value(header, "general.architecture"))
    processor = reading.TENSOR_PROCESSORS.get(architecture, reading.TensorProcessor)(config=model.config.to_dict())
    places: Collection[str] = reading.get_gguf_hf_weights_map(model, processor)
    derived = re.compile(r"^rope_(freqs|factors_long|factors_short)\.weight$|attn_rot_embd")
    names = [tensor.name for tensor in header.tensors if not derived.search(tensor.name)]
    return [name for name in names if name not in places and name.removesuffix(".weight") not in places]


def _check_shapes(model: PreTrainedModel, name: str) -> None:
    """A GGUF's tensors replace the model's whatever their shape: compare with a model built from the configuration."""
    with torch.device("meta"):
        empty = type(model)(model.config)
    wanted = {key: tuple(value.shape) for key, value in empty.state_dict().items()}
    wrong = [
        f"{key} {tuple(value.shape)}, by its configuration {wanted[key]}"
        for key, value in model.state_dict().items()
        if key in wanted and tuple(value.shape) != wanted[key]
    ]
    if wrong:
        raise ConfigurationError(f"{name} holds weights of another model: {_list(wrong)}")


def _reader(path: Path) -> Any:  # noqa: ANN401 - gguf ships no types
    from gguf import GGUFReader  # noqa: PLC0415 - an extra of its own

    try:
        return GGUFReader(str(path))
    except (ValueError, OSError, IndexError, KeyError) as error:
        raise ConfigurationError(f"{path} is no GGUF file that can be read: {error}") from error


def _value(header: Any, key: str) -> Any:  # noqa: ANN401 - a value of a header
    field = header.get_field(key)
    return None if field is None else field.contents()


def _list(names: Iterable[str]) -> str:
    every = list(names)
    rest = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + rest
