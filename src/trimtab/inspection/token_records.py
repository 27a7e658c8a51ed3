"""Where each token went, written down as it goes by: JSON Lines, or a safetensors file that is mapped and filled.

A line or row is one token: its domain, text, place in the text, id, and of each layer with a router its experts and
their weights in the order of the router. No more than one batch is in memory.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trimtab.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from trimtab.inspection.router_ear import HeardDecision
    from trimtab.inspection.token_windows import TokenWindow, WindowBatch
    from trimtab.moe.router import Router

_SUFFIXES: Final = (".jsonl", ".safetensors")


class TokenWriter(ABC):
    """A listener that writes the tokens of each batch.

    Args:
        routers: The routers that are heard.
    """

    def __init__(self, routers: Sequence[Router]) -> None:
        self.layers = [router.layer for router in routers]
        self.top_k = max(router.num_experts_per_tok for router in routers)
        self._heard: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(self, decision: HeardDecision) -> None:
        """Keep a decision until the batch is written."""
        self._heard[decision.router.layer] = (decision.experts.cpu(), decision.weights.float().cpu())

    def write(self, batch: WindowBatch) -> None:
        """Write the tokens of the batch that has just been run."""
        width = batch.ids.shape[1]
        for place, window in enumerate(batch.windows):
            rows = slice(place * width, place * width + len(window.ids))
            experts = np.full((len(window.ids), len(self.layers), self.top_k), -1, dtype=np.int32)
            weights = np.zeros(experts.shape, dtype=np.float32)
            for column, layer in enumerate(self.layers):
                if layer in self._heard:
                    chosen, weight = self._heard[layer]
                    experts[:, column, : chosen.shape[1]] = chosen[rows].numpy()
                    weights[:, column, : weight.shape[1]] = weight[rows].numpy()
            self._window(window, experts, weights)
        self._heard = {}

    @abstractmethod
    def _window(self, window: TokenWindow, experts: NDArray[np.int32], weights: NDArray[np.float32]) -> None:
        """Write a window's tokens: experts and weights [S, L, K], −1 where a layer has fewer."""


class _LineWriter(TokenWriter):
    def __init__(self, routers: Sequence[Router], file: Any) -> None:  # noqa: ANN401 - an open file
        super().__init__(routers)
        self.file = file

    def _window(self, window: TokenWindow, experts: NDArray[np.int32], weights: NDArray[np.float32]) -> None:
        for place, token in enumerate(window.ids.tolist()):
            layers = {
                str(layer): {
                    "experts": [expert for expert in experts[place, column].tolist() if expert >= 0],
                    "weights": [
                        float(f"{weight:.5g}")
                        for expert, weight in zip(experts[place, column], weights[place, column], strict=True)
                        if expert >= 0
                    ],
                }
                for column, layer in enumerate(self.layers)
            }
            record = {"domain": window.domain, "text": window.name, "position": window.start + place, "token": token}
            self.file.write(json.dumps({**record, "layers": layers}) + "\n")


class _MappedWriter(TokenWriter):
    """Fills a safetensors file whose size is known from a first reading of the texts."""

    def __init__(self, routers: Sequence[Router], path: Path, found: Sequence[tuple[str, str]], tokens: int) -> None:
        super().__init__(routers)
        self.places = {key: place for place, key in enumerate(found)}
        self.filled = 0
        shapes: dict[str, tuple[str, Any, tuple[int, ...]]] = {
            "experts": ("I32", np.int32, (tokens, len(self.layers), self.top_k)),
            "weights": ("F32", np.float32, (tokens, len(self.layers), self.top_k)),
            "token": ("I32", np.int32, (tokens,)),
            "position": ("I32", np.int32, (tokens,)),
            "text": ("I32", np.int32, (tokens,)),
        }
        header: dict[str, Any] = {
            "__metadata__": {
                "layers": json.dumps(self.layers),
                "texts": json.dumps([f"{domain}/{name}" for domain, name in found]),
            }
        }
        end = 0
        for name, (kind, dtype, shape) in shapes.items():
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [end, end + size]}
            end += size
        head = json.dumps(header).encode()
        head += b" " * (-len(head) % 8)
        with path.open("wb") as file:
            file.write(len(head).to_bytes(8, "little") + head)
            file.truncate(8 + len(head) + end)
        self.tensors: dict[str, Any] = {
            name: np.memmap(path, dtype, "r+", 8 + len(head) + header[name]["data_offsets"][0], shape)
            for name, (_, dtype, shape) in shapes.items()
        }

    def _window(self, window: TokenWindow, experts: NDArray[np.int32], weights: NDArray[np.float32]) -> None:
        rows = slice(self.filled, self.filled + len(window.ids))
        self.tensors["experts"][rows], self.tensors["weights"][rows] = experts, weights
        self.tensors["token"][rows] = window.ids
        self.tensors["position"][rows] = window.start + np.arange(len(window.ids))
        self.tensors["text"][rows] = self.places[window.domain, window.name]
        self.filled = rows.stop


@contextmanager
def token_writer(path: Path, routers: Sequence[Router], counted: Iterator[TokenWindow]) -> Iterator[TokenWriter]:
    """Give a writer of the kind that the name of ``path`` says; a file that is not finished is not left behind.

    Args:
        path: A ``.jsonl`` or a ``.safetensors`` file.
        routers: The routers that are heard.
        counted: The windows once more, to be counted where the size must be known first.

    Raises:
        ConfigurationError: The name says neither.
    """
    if path.suffix not in _SUFFIXES:
        raise ConfigurationError(f"token records in {path.name}: a name that ends in {' or '.join(_SUFFIXES)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        if path.suffix == ".jsonl":
            with partial.open("w", encoding="utf-8") as file:
                yield _LineWriter(routers, file)
        else:
            texts: dict[tuple[str, str], None] = {}
            tokens = 0
            for window in counted:
                texts[window.domain, window.name] = None
                tokens += len(window.ids)
            writer = _MappedWriter(routers, partial, list(texts), tokens)
            yield writer
            for tensor in writer.tensors.values():
                tensor.flush()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
