"""What lies in front of the first expert layer, computed once: the residual stream behind that layer's attention.

The states of a text depend on the model, the layer, the precision and the tokens alone, so they are kept on disk under
the hash of exactly these, in shards of whole documents. Cells and workers share them; two workers that want the same
text compute different shards of it. In float32 a shard gives what the model itself computes, bit for bit on the same
batch; in float16 the states are rounded to 11 bits, which moves bits a byte by less than 1e-4.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from trimtab.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    Document = NDArray[np.int32]

Precision = Literal["float16", "float32"]
SHARD_TOKENS: Final = 4096
_BATCH_TOKENS: Final = 1024


def shards(documents: Sequence[Document]) -> list[list[Document]]:
    """Cut documents, in their order, into runs of at most :data:`SHARD_TOKENS` tokens (one long document: more)."""
    runs: list[list[Document]] = []
    held = SHARD_TOKENS
    for document in documents:
        if held + len(document) > SHARD_TOKENS:
            runs.append([])
            held = 0
        runs[-1].append(document)
        held += len(document)
    return runs


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkCache:
    """The states of a model in front of a layer's feed-forward block, on disk.

    Attributes:
        identity: Of the model's weights.
        layer: The first layer whose feed-forward block is left out.
        precision: Of what is kept.
        folder: Where; made if missing.
    """

    identity: str
    layer: int
    precision: Precision
    folder: Path

    def path(self, documents: Sequence[Document]) -> Path:
        """Return the file of a shard, named by all that its states depend on."""
        digest = hashlib.sha256(f"{self.identity} {self.layer} {self.precision}".encode())
        for document in documents:
            digest.update(len(document).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(document, dtype=np.int32).tobytes())
        return self.folder / f"trunk-{digest.hexdigest()[:24]}.safetensors"

    def collect(
        self,
        groups: Sequence[Sequence[Document]],
        model: Callable[[], Any],
        report: Callable[[int, int], None] = lambda *_: None,
    ) -> Tensor:
        """Return the states [N, H] of all tokens of all documents, computing the shards that are not on disk.

        Args:
            groups: Documents by group, token ids each; every document is a text of its own, no shard holds two groups.
            model: Gives the whole dense model; called only if something has to be computed.
            report: Told of (shards there, shards in all).

        Raises:
            ConfigurationError: A state does not fit into ``precision``, or the model has no such layer.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        parts = [part for documents in groups for part in shards(documents)]
        paths = [self.path(part) for part in parts]
        # What nobody works on first; then wait for those that others compute, or died computing.
        for waits in (False, True):
            for path, part in zip(paths, parts, strict=True):
                if _read(path) is None:
                    with _locked(path.with_suffix(".lock"), wait=waits) as mine:
                        if mine and _read(path) is None:
                            _write(path, compute(model(), self.layer, part), self.precision)
                    report(sum(each.exists() for each in paths), len(paths))
        return torch.cat([states for path in paths if (states := _read(path)) is not None])


@torch.inference_mode()
def compute(model: Any, layer: int, documents: Sequence[Document]) -> Tensor:  # noqa: ANN401 - transformers' own
    """Return the states [N, H], float32, of the documents' tokens in order.

    Raises:
        ConfigurationError: The model has no such layer.
    """
    count = len(model.model.layers)
    if not 0 <= layer < count:
        raise ConfigurationError(f"the model has no layer {layer}", hint=f"its layers are 0 to {count - 1}")
    order = sorted(range(len(documents)), key=lambda index: (len(documents[index]), index))
    by_document: dict[int, Tensor] = {}
    with _cut(model.model, layer) as trunk:
        for batch in _batches(order, documents):
            rows = [documents[index] for index in batch]
            width = max(map(len, rows))
            tokens = torch.tensor(np.stack([np.pad(row, (0, width - len(row))) for row in rows]), dtype=torch.int64)
            mask = torch.arange(width) < torch.tensor([[len(row)] for row in rows])
            states = trunk(
                input_ids=tokens, attention_mask=None if bool(mask.all()) else mask.long(), use_cache=False
            ).last_hidden_state
            for place, (index, row) in enumerate(zip(batch, rows, strict=True)):
                by_document[index] = states[place, : len(row)].clone()
    return torch.cat([by_document[index] for index in range(len(documents))])


def _batches(order: Sequence[int], documents: Sequence[Document]) -> Iterator[list[int]]:
    """Yield runs of ``order`` (shortest first) whose padded size stays small."""
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * len(documents[index]) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


class _Silent(nn.Module):
    """Adds nothing to the residual stream, and is an identity in place of a norm."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, hidden_states: Tensor) -> Tensor:
        return hidden_states if self.scale else torch.zeros_like(hidden_states)


@contextmanager
def _cut(base: Any, layer: int) -> Iterator[Any]:  # noqa: ANN401 - transformers' own
    """Leave out everything behind the attention of ``layer``; whole again at the end."""
    layers, norm, last = base.layers, base.norm, base.layers[layer]
    block, before = last.mlp, last.post_attention_layernorm
    base.layers, base.norm = layers[: layer + 1], _Silent(1)
    last.mlp, last.post_attention_layernorm = _Silent(0), _Silent(1)
    try:
        yield base
    finally:
        base.layers, base.norm, last.mlp, last.post_attention_layernorm = layers, norm, block, before


def _write(path: Path, states: Tensor, precision: Precision) -> None:
    stored = states.to(getattr(torch, precision))
    if not bool(torch.isfinite(stored).all()):
        raise ConfigurationError(
            f"states of size {float(states.abs().max()):.3g} do not fit into {precision}", hint="precision='float32'"
        )
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    save_file({"states": stored}, temporary, metadata={"name": path.stem})
    temporary.replace(path)


def _read(path: Path) -> Tensor | None:
    """Return the states of a shard; None where there is none, or a torn one."""
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("name") != path.stem:
                return None
            states: Tensor = file.get_tensor("states")
            return states
    except (OSError, SafetensorError):
        return None


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a lock that ends with the process; False where another holds it and ``wait`` is not asked."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
