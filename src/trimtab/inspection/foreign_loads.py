"""Loads of experts that other programs measured: SGLang's recorder, llama.cpp's imatrix, Megatron's routing trace.

A file is recognized by what it holds, not by its name, and a layer or row that nothing was counted in is left out and
said to be: it is dense or was not run, not dead.
"""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import torch

from trimtab.errors import ConfigurationError, MissingExtraError
from trimtab.inspection.router_usage import LayerUsage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

Kind = Literal["sglang", "imatrix", "megatron"]
NAMES: Final = {
    "sglang": "SGLang's expert distribution recorder",
    "imatrix": "llama.cpp's imatrix",
    "megatron": "Megatron's routing trace",
}
_TRACES: Final = "router_trace_rank*.jsonl"
# llama.cpp's form before GGUF: how many entries, then of each the length of its name and the name.
_OLD_IMATRIX: Final = re.compile(rb"[\x01-\xff].{2}\x00.\x00\x00\x00blk\.\d+\.[a-z_]+", re.DOTALL)
_EXPERTS: Final = re.compile(r"blk\.(\d+)\.ffn_(gate|up|gate_up|down)_exps\.weight\.counts$")
# Whole numbers beyond this are not all there in float32.
_EXACT: Final = 2**24


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignLoads:
    """What a file of loads holds.

    Args:
        kind: What wrote it.
        layers: The layers with calls. K is 0 where the file does not say it.
        without: Layers in the file without a call.
        notes: What a reader of the numbers should know.
    """

    kind: Kind
    layers: tuple[LayerUsage, ...]
    without: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Sums:
    """Loads by the name of a layer, in the order in which names came."""

    load: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, load: NDArray[np.int64], tokens: int) -> None:
        held = self.load.get(name, np.zeros(0, dtype=np.int64))
        size = max(len(held), len(load))
        self.load[name] = np.pad(held, (0, size - len(held))) + np.pad(load, (0, size - len(load)))
        self.tokens[name] = self.tokens.get(name, 0) + tokens

    def result(self, kind: Kind, num_experts: int | None, top_k: int, notes: list[str]) -> ForeignLoads:
        """Return the layers, all with as many experts.

        Raises:
            ConfigurationError: Nothing was counted, or an expert lies beyond ``num_experts``.
        """
        if not any(load.any() for load in self.load.values()):
            raise ConfigurationError(f"the file of {NAMES[kind]} counts no call in any of {len(self.load)} layers")
        largest = max(len(load) for load in self.load.values())
        if num_experts is not None and largest > num_experts:
            raise ConfigurationError(
                f"the file of {NAMES[kind]} has calls of expert {largest - 1}, beyond the {num_experts} experts given"
            )
        size = largest if num_experts is None else num_experts
        layers = []
        for place, (name, load) in enumerate(self.load.items()):
            if not load.any():
                continue
            calls = int(load.sum())
            tokens = self.tokens[name] or (calls // top_k if top_k else 0)
            number = re.search(r"\d+", name)
            layers.append(
                LayerUsage(
                    layer=int(number[0]) if number else place,
                    name=name,
                    num_experts=size,
                    num_experts_per_tok=top_k,
                    load=np.pad(load, (0, size - len(load)))[None],
                    weight=None,
                    scalars=None,
                    tokens=np.array([tokens], dtype=np.int64),
                )
            )
        without = tuple(name for name, load in self.load.items() if not load.any())
        return ForeignLoads(kind=kind, layers=tuple(layers), without=without, notes=tuple(notes))


def recognize(path: Path) -> Kind | None:
    """Return what wrote a file (or folder) of loads, by its content; None for anything else."""
    if path.is_dir():
        return "megatron" if not (path / "config.json").exists() and any(path.glob(_TRACES)) else None
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if head.startswith(b"PK"):
        return "sglang"
    if head.startswith(b"GGUF") or _OLD_IMATRIX.match(head):
        said = not head.startswith(b"GGUF") or (b"general.type" in head and b"imatrix" in head)
        return "imatrix" if said else None
    try:
        record = json.loads(head.split(b"\n", 1)[0])
    except ValueError:
        # One record can be longer than what was read.
        return "megatron" if head.lstrip().startswith(b"{") and b'"top_indices"' in head else None
    return "megatron" if isinstance(record, dict) and {"layer", "top_indices"} <= record.keys() else None


def read_loads(path: Path, *, num_experts: int | None = None, top_k: int | None = None) -> ForeignLoads:
    """Read a file that :func:`recognize` knows.

    Args:
        path: The file; of Megatron's traces, a folder of them too.
        num_experts: E, where the file shows only experts that were called.
        top_k: K, where the file does not say it.

    Raises:
        ConfigurationError: It is none, is damaged, counts nothing, or contradicts ``num_experts`` or ``top_k``.
        MissingExtraError: It is a GGUF file and the package ``gguf`` is not installed.
    """
    kind = recognize(path)
    if kind is None:
        raise ConfigurationError(
            f"{path} holds no loads that are known here", hint=f"{', '.join(NAMES.values())}, or a model"
        )
    reader = {"sglang": _sglang, "imatrix": _imatrix, "megatron": _megatron}[kind]
    sums, found_k, notes = reader(path)
    if top_k is not None and found_k and found_k != top_k:
        raise ConfigurationError(f"{path} was measured with {found_k} experts a token, and {top_k} were given")
    return sums.result(kind, num_experts, top_k or found_k, notes)


def _sglang(path: Path) -> tuple[_Sums, int, list[str]]:
    try:
        held: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise ConfigurationError(f"{path} is no file of tensors that can be read safely: {error}") from error
    if isinstance(held, dict) and isinstance(held.get("logical_count"), torch.Tensor):
        return _sglang_counts(path, held["logical_count"])
    if isinstance(held, dict) and isinstance(held.get("records"), list) and "last_physical_to_logical_map" in held:
        return _sglang_records(path, held)
    keys = ", ".join(map(str, held)) if isinstance(held, dict) else type(held).__name__
    raise ConfigurationError(
        f"{path} holds {keys}: a recorder's file has logical_count, or records with last_physical_to_logical_map"
    )


def _sglang_counts(path: Path, count: torch.Tensor) -> tuple[_Sums, int, list[str]]:
    if count.ndim != 3:
        raise ConfigurationError(f"{path}: logical_count has shape {tuple(count.shape)}, expected [steps, layers, E]")
    sums = _Sums()
    for layer, load in enumerate(count.long().sum(0).numpy()):
        sums.add(f"layer {layer}", load, 0)
    return sums, 0, [f"{len(count)} steps; the file does not say how many experts a token calls"]


def _sglang_records(path: Path, held: dict[str, Any]) -> tuple[_Sums, int, list[str]]:
    """Records of passes: counts of physical experts, or the choices of tokens, padded with −1."""
    logical = torch.as_tensor(held["last_physical_to_logical_map"]).long().numpy()
    layers, physical = logical.shape
    size = int(logical.max()) + 1
    load = np.zeros((layers, size), dtype=np.int64)
    tokens, top_k = 0, 0
    for place, record in enumerate(held["records"]):
        chosen, count = record.get("topk_ids_of_layer"), record.get("global_physical_count")
        if isinstance(chosen, torch.Tensor):
            # [layers, tokens, 8], and −1 where there is no choice or no token.
            real = (chosen >= 0).numpy()
            top_k = max(top_k, int(real.sum(2).max(initial=0)))
            tokens += int(real.any((0, 2)).sum())
            calls = [np.bincount(chosen[i].numpy()[real[i]], minlength=physical) for i in range(len(chosen))]
            counted = np.stack(calls)
        elif isinstance(count, torch.Tensor):
            counted = count.long().numpy()
        else:
            raise ConfigurationError(f"{path}: record {place} holds {', '.join(record)}, no counts and no choices")
        if counted.shape != logical.shape:
            raise ConfigurationError(
                f"{path}: record {place} counts {counted.shape} (layers, physical experts), its map is {logical.shape}"
            )
        for layer in range(layers):
            np.add.at(load[layer], logical[layer], counted[layer])
    sums = _Sums()
    for layer in range(layers):
        sums.add(f"layer {layer}", load[layer], tokens if load[layer].any() else 0)
    notes = [f"{len(held['records'])} passes; physical experts were mapped to logical ones by the last map of the run"]
    return sums, top_k, notes


def _imatrix_counts(path: Path) -> tuple[dict[int, NDArray[Any]], int]:
    """Return the calls [E] by layer, and the tokens as matrices outside of experts counted them."""
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ConfigurationError(
                f"{path} is an imatrix in the old form (.dat), which holds no calls of experts, only their means",
                hint="llama-imatrix --output-format gguf on the texts again; converting the file brings no calls back",
            )
    if find_spec("gguf") is None:
        raise MissingExtraError("gguf", extra="gguf")
    from gguf import GGUFReader  # noqa: PLC0415 - an extra

    try:
        tensors = {tensor.name: np.array(tensor.data).reshape(-1) for tensor in GGUFReader(path).tensors}
    except (ValueError, KeyError, IndexError) as error:
        raise ConfigurationError(f"{path} is a damaged GGUF file: {error}") from error
    counts: dict[int, NDArray[Any]] = {}
    for name, values in tensors.items():
        match = _EXPERTS.match(name)
        if match:
            counts.setdefault(int(match[1]), values)
    if not counts:
        raise ConfigurationError(f"{path}: this imatrix counts no experts: it was made with a dense model")
    alike = [layer for layer, load in counts.items() if len(load) < 2]
    if alike:
        raise ConfigurationError(
            f"{path}: one count for all experts of blk.{alike[0]}: it was converted from the old form (.dat), which has"
            " no calls of experts",
            hint="llama-imatrix --output-format gguf on the texts again",
        )
    seen = [float(values[0]) for name, values in tensors.items() if name.endswith(".counts") and values.size == 1]
    return counts, int(max(seen, default=0))


def _imatrix(path: Path) -> tuple[_Sums, int, list[str]]:
    counts, tokens = _imatrix_counts(path)
    # The choices of a token are as many in every layer: what all layers agree on.
    ratios = {round(float(load.sum()) / tokens, 6) for load in counts.values()} if tokens else set()
    top_k = int(min(ratios)) if len(ratios) == 1 and min(ratios) == int(min(ratios)) else 0
    notes = [f"{tokens:,} tokens"] if tokens else []
    if top_k and all(top_k == len(load) for load in counts.values()):
        notes.append("every expert has every token: either all are called, or counts were begun from an old .dat file")
    if not top_k:
        notes.append("how many experts a token calls cannot be told from the counts")
    if max(float(load.max()) for load in counts.values()) >= _EXACT:
        notes.append(f"counts from {_EXACT:,} on are rounded in the file (float32)")
    sums = _Sums()
    for layer in sorted(counts):
        sums.add(f"blk.{layer}", np.rint(counts[layer]).astype(np.int64), tokens if counts[layer].any() else 0)
    return sums, top_k, notes


def _megatron(path: Path) -> tuple[_Sums, int, list[str]]:
    sums, top_k, steps, notes = _Sums(), 0, set(), list[str]()
    layers_of_rank: dict[int, set[str]] = {}
    unfinished = 0
    for place, record in _trace_lines(path):
        if record is None:
            unfinished += 1
            continue
        name = f"layer {record['layer']}" if record.get("block", "decoder") == "decoder" else ""
        name = name or f"{record['block']} layer {record['layer']}"
        if "mtp_idx" in record:
            name += f", MTP {record['mtp_idx']}"
        chosen = record["top_indices"]
        if len(chosen) < int(record.get("num_tokens", len(chosen))):
            raise ConfigurationError(f"{place}: {len(chosen)} tokens of {record['num_tokens']} that it counts")
        # What lies behind num_tokens is padding, as is an index below 0.
        table = np.array(chosen[: int(record.get("num_tokens", len(chosen)))], dtype=np.int64)
        real = table >= 0
        if table.size:
            top_k = max(top_k, int(real.sum(1).max()))
            sums.add(name, np.bincount(table[real]), int(real.any(1).sum()))
        steps.add(record.get("step"))
        layers_of_rank.setdefault(int(record.get("rank", 0)), set()).add(name)
    if len(layers_of_rank) > 1:
        alike = len({frozenset(names) for names in layers_of_rank.values()}) == 1
        notes.append(
            f"{len(layers_of_rank)} ranks are summed. Megatron numbers layers within each pipeline stage: with several"
            " stages, read the files of one stage at a time"
            + ("" if alike else "; these ranks have different layers, as stages do")
        )
    if unfinished:
        notes.append(f"{unfinished} last lines were not written to their end and are left out")
    notes.append(f"{len(steps)} steps; experts beyond the last one called are not in the file")
    return sums, top_k, notes


def _trace_lines(path: Path) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield the records of a trace, one after another; None for a line that ends a file without its end."""
    for file in sorted(path.glob(_TRACES)) if path.is_dir() else [path]:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                place = f"{file}, line {number}"
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                except ValueError as error:
                    if line.endswith("\n"):
                        raise ConfigurationError(f"{place} is not JSON: {error}") from error
                    yield place, None
                    continue
                if not isinstance(record, dict) or not {"layer", "top_indices"} <= record.keys():
                    raise ConfigurationError(f"{place} has no layer and top_indices")
                yield place, record


def rank_balance(load_LE: NDArray[Any], ranks: int) -> dict[str, Any]:
    """Return how even ``ranks`` devices are that hold equal runs of experts, as SGLang and vLLM measure it.

    SGLang: the mean over layers of (mean + 1e-5) / (largest + 1e-5) of the ranks' calls. vLLM: the sum over layers of
    the mean over the sum of the largest.

    Args:
        load_LE: [L, E] calls.
        ranks: Devices, which must divide E.

    Raises:
        ConfigurationError: They do not.
    """
    if ranks < 1 or load_LE.shape[1] % ranks:
        raise ConfigurationError(f"{load_LE.shape[1]} experts cannot be cut into {ranks} equal runs")
    held_LR = load_LE.reshape(len(load_LE), ranks, -1).sum(2).astype(np.float64)
    mean_L, largest_L = held_LR.mean(1), held_LR.max(1)
    return {
        "ranks": ranks,
        "sglang_balancedness": float(((mean_L + 1e-5) / (largest_L + 1e-5)).mean()),
        "vllm_balancedness": float(mean_L.sum() / largest_L.sum()) if largest_L.sum() else 1.0,
        "rank_loads": held_LR.astype(int).tolist(),
    }
