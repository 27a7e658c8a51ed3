"""Files of routes: trimtab's own, and those of other engines in the forms of :mod:`trimtab.moe.route_forms`.

JSON Lines hold a response a line, as vLLM (both layouts) and SGLang answer; safetensors, ``.npz`` and ``.pt`` hold
verl's tensors by their names (``routed_experts``, ``attention_mask``, ``input_ids``); ``.npy`` holds one table.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as read_tensors
from safetensors.numpy import save as write_tensors

from trimtab import disk
from trimtab.errors import ConfigurationError
from trimtab.moe import route_forms, route_writing
from trimtab.moe.routes import Routes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trimtab.moe.route_forms import RouteReader

# What readers raise on files that are torn or of another kind; damaged pickles, lookups of all sorts.
_TORN: Final = (ValueError, EOFError, SafetensorError, RuntimeError, pickle.UnpicklingError, LookupError, TypeError)

Form = Literal["vllm", "vllm-split", "sglang", "verl"]


def read(path: Path | str, reader: RouteReader, tokens: Sequence[Any] | None = None, mask: Any = None) -> Routes:  # noqa: ANN401
    """Return the routes in a file, of whichever form.

    Args:
        path: The file.
        reader: Knows the model.
        tokens: Token ids of each sequence, where the file has none.
        mask: [B, S] what is text, for a padded table that comes without.

    Raises:
        ConfigurationError: The file cannot be read, or holds routes of another model.
    """
    place = Path(path)
    try:
        content = place.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    if place.suffix == ".safetensors" and b"trimtab_routes" in content[: 8 + int.from_bytes(content[:8], "little")]:
        return Routes.load(place)
    try:
        source, own_mask, own_tokens = _contents(place.suffix, content)
        sequences = route_forms.sequences_of(
            reader, source, own_tokens if tokens is None else tokens, own_mask if mask is None else mask
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.message}", hint=error.hint) from error
    return Routes(shape=reader.shape, sequences=sequences)


def write(routes: Routes, path: Path | str, form: Form) -> None:
    """Write routes as another engine would; the file appears whole or not at all.

    Args:
        routes: The routes.
        path: A ``.jsonl`` file for vLLM and SGLang, a ``.safetensors`` file for verl.
        form: Which engine's form.

    Raises:
        ConfigurationError: The form cannot hold these routes, or the path ends otherwise.
    """
    place = Path(path)
    if form not in get_args(Form):
        raise ConfigurationError(f"form {form!r} must be one of {', '.join(get_args(Form))}")
    ending = ".safetensors" if form == "verl" else ".jsonl"
    if place.suffix != ending:
        raise ConfigurationError(f"{path}: routes in the form of {form} are a {ending} file")
    if form == "verl":
        disk.write_atomic_bytes(place, write_tensors(_padded(routes)))
        return
    lines = [json.dumps(response, separators=(",", ":")) for response in _responses(routes, form)]
    disk.write_atomic(place, "".join(f"{line}\n" for line in lines))


def _contents(suffix: str, content: bytes) -> tuple[Any, Any, Any]:
    """Return the routes, the mask and the tokens in a file.

    Raises:
        ConfigurationError: It is torn, or of another kind.
    """
    try:
        if suffix in {".jsonl", ".json"}:
            records = (
                [json.loads(line) for line in content.splitlines() if line.strip()] if suffix == ".jsonl" else None
            )
            parsed = json.loads(content) if records is None else records
            return (parsed if isinstance(parsed, list) else [parsed]), None, None
        if suffix == ".npy":
            table: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
            return (table if table.ndim == 4 else [table]), None, None
        if suffix == ".npz":
            return _by_name(dict(np.load(io.BytesIO(content), allow_pickle=False)))
        if suffix == ".safetensors":
            return _by_name(read_tensors(content))
        if suffix in {".pt", ".pth"}:
            import torch  # noqa: PLC0415 - for this kind alone

            loaded = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
            return _by_name(loaded if isinstance(loaded, dict) else {"routed_experts": loaded})
    except _TORN as error:
        raise ConfigurationError(f"no routes can be read: {str(error).partition(chr(10))[0]}") from error
    raise ConfigurationError(
        f"a file of routes that ends in {suffix!r}", hint=".safetensors, .jsonl, .json, .npy, .npz and .pt are read"
    )


def _by_name(tensors: dict[str, Any]) -> tuple[Any, Any, Any]:
    if "routed_experts" not in tensors:
        raise ConfigurationError(f"no tensor 'routed_experts' among {', '.join(map(repr, sorted(tensors)))}")
    table = tensors["routed_experts"]
    mask, tokens = tensors.get("attention_mask"), tensors.get("input_ids")
    return (table if table.ndim == 4 else [table]), mask, tokens


def _padded(routes: Routes) -> dict[str, NDArray[Any]]:
    """Return verl's tensors, padded on the right."""
    ids = [sequence.tokens for sequence in routes.sequences]
    lengths = [len(seq) if own is None else len(own) for seq, own in zip(routes.sequences, ids, strict=True)]
    mask = np.arange(max(lengths, default=0))[None] < np.array(lengths)[:, None]
    tensors = {"routed_experts": route_writing.to_verl(routes, mask), "attention_mask": mask.astype(np.int64)}
    known = [own for own in ids if own is not None]
    if len(known) == len(ids):
        tensors["input_ids"] = np.zeros(mask.shape, np.int64)
        tensors["input_ids"][mask] = np.concatenate(known)
    return tensors


def _responses(routes: Routes, form: Form) -> list[dict[str, Any]]:
    sequences = routes.sequences
    tokens = [_split(sequence.tokens, sequence.prompt) for sequence in sequences]
    if form == "sglang":
        tables: list[Any] = list(route_writing.to_sglang(routes))
        return [
            {**ids, "meta_info": {"routed_experts": table}}
            for ids, table in zip(tokens, tables, strict=True)
        ]  # fmt: skip
    if form == "vllm":
        tables = [_npy(table) for table in route_writing.to_vllm(routes)]
        return [
            {**ids, "choices": [{"index": 0, "routed_experts": table}]}
            for ids, table in zip(tokens, tables, strict=True)
        ]
    pairs = route_writing.to_vllm_split(routes)
    return [
        {
            **ids,
            "prompt_routed_experts": prompt.tolist(),
            "choices": [{"index": 0, "routed_experts": generated.tolist()}],
        }
        for ids, (prompt, generated) in zip(tokens, pairs, strict=True)
    ]


def _split(tokens: NDArray[Any] | None, prompt: int | None) -> dict[str, list[int]]:
    """Return the ids of the prompt and those behind it, under the names of the engines."""
    if tokens is None:
        return {}
    end = len(tokens) if prompt is None else prompt
    return {"prompt_token_ids": tokens[:end].tolist(), "token_ids": tokens[end:].tolist()}


def _npy(table: NDArray[Any]) -> str:
    buffer = io.BytesIO()
    np.save(buffer, table, allow_pickle=False)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
