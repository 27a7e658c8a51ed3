"""Routes: which experts every router gave every token of some sequences, in memory and as a file.

A sequence is one text without its padding, in the order of its tokens. That is how serving engines return routes, and
it makes no difference to which side a batch was padded or whether it was packed. Where it is not known what a token was
given (the last token that was sampled never ran through the model; a prefix came out of a cache), there is −1.

Axes: N tokens of a sequence, L layers with a router, K experts a token.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as read_tensors
from safetensors.numpy import save as write_tensors

from trimtab import disk
from trimtab.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

UNKNOWN: Final = -1
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteShape:
    """What routes are of: the routers of a model.

    Args:
        layers: Number of the layer of each router, in order.
        num_layers: Layers of the model, those without a router included.
        num_experts: E of each router.
        num_experts_per_tok: K.
    """

    layers: tuple[int, ...]
    num_layers: int
    num_experts: tuple[int, ...]
    num_experts_per_tok: int

    @property
    def words(self) -> str:
        """The shape in words, for messages."""
        experts = sorted(set(self.num_experts))
        of = f"{experts[0]}" if len(experts) == 1 else f"{experts[0]} to {experts[-1]}"
        return f"{self.num_experts_per_tok} of {of} experts in layers {_ranges(self.layers)} of {self.num_layers}"

    def of_layers(self, layers: Iterable[int]) -> RouteShape:
        """Return the shape with fewer routers."""
        chosen = [index for index, layer in enumerate(self.layers) if layer in set(layers)]
        return replace(
            self,
            layers=tuple(self.layers[index] for index in chosen),
            num_experts=tuple(self.num_experts[index] for index in chosen),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RoutedSequence:
    """The routes of one sequence.

    Args:
        experts: [N, L, K] experts; −1 in all K places where they are not known.
        tokens: Token ids; None where they are not known. There may be more of them than N: those never ran.
        prompt: How many of them were given and not generated; None where that is not known.
    """

    experts: NDArray[Any]
    tokens: NDArray[Any] | None = None
    prompt: int | None = None

    def __len__(self) -> int:
        return len(self.experts)


@dataclass(slots=True, kw_only=True, eq=False)
class Routes:
    """The routes of some sequences through one model.

    Args:
        shape: The routers they are of.
        sequences: The sequences, in the order in which the model was called with them.
    """

    shape: RouteShape
    sequences: list[RoutedSequence] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def unknown(self) -> int:
        """Tokens of all sequences that no layer knows the experts of."""
        return sum(int((sequence.experts == UNKNOWN).all((1, 2)).sum()) for sequence in self.sequences)

    def select(self, order: Iterable[int]) -> Routes:
        """Return the routes of some sequences, in this order, as a micro-batch takes them.

        Raises:
            ConfigurationError: There is no such sequence.
        """
        chosen = list(order)
        for index in chosen:
            if not 0 <= index < len(self):
                raise ConfigurationError(f"routes of {len(self)} sequences have no sequence {index}")
        return Routes(shape=self.shape, sequences=[self.sequences[index] for index in chosen])

    def save(self, path: Path | str) -> None:
        """Write the routes to ``path`` as a safetensors file; it appears whole or not at all."""
        from pathlib import Path  # noqa: PLC0415 - a type elsewhere in this module

        sequences = self.sequences
        k = self.shape.num_experts_per_tok
        parts = [sequence.experts for sequence in sequences] or [np.zeros((0, len(self.shape.layers), k), np.int16)]
        tokens = [np.zeros(0, np.int64) if seq.tokens is None else seq.tokens for seq in sequences]
        tensors = {
            "experts": np.concatenate(parts),
            "lengths": np.array([len(sequence) for sequence in sequences], np.int64),
            "tokens": np.concatenate([np.zeros(0, np.int64), *tokens]),
            "token_counts": np.array([_count(sequence.tokens) for sequence in sequences], np.int64),
            "prompts": np.array([UNKNOWN if s.prompt is None else s.prompt for s in sequences], np.int64),
        }
        header = {
            "format": _FORMAT,
            "layers": self.shape.layers,
            "num_layers": self.shape.num_layers,
            "num_experts": self.shape.num_experts,
        }
        content = write_tensors(tensors, metadata={"trimtab_routes": json.dumps(header)})
        disk.write_atomic_bytes(Path(path), content)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Return the routes that :meth:`save` wrote to ``path``.

        Raises:
            ConfigurationError: The file is missing, torn, or holds something else.
        """
        from pathlib import Path  # noqa: PLC0415

        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
        try:
            tensors = read_tensors(content)
            size = int.from_bytes(content[:8], "little")
            header = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["trimtab_routes"])
            form = header["format"]
            if form != _FORMAT:
                raise ConfigurationError(
                    f"{path}: routes of format {form!r}, and this trimtab reads {_FORMAT}",
                    hint="use the version that wrote it",
                )
            return cls._from_tensors(tensors, header)
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"{path} is no file of routes: {error}",
                hint="Routes.save(path) writes one; gates.read_routes(path), and trimtab routes compare --model FOLDER,"
                " also read those of vLLM, SGLang and verl",
            ) from error

    @classmethod
    def _from_tensors(cls, tensors: dict[str, NDArray[Any]], header: dict[str, Any]) -> Self:
        experts, lengths, counts = tensors["experts"], tensors["lengths"], tensors["token_counts"]
        shape = RouteShape(
            layers=tuple(header["layers"]),
            num_layers=header["num_layers"],
            num_experts=tuple(header["num_experts"]),
            num_experts_per_tok=experts.shape[2],
        )
        if experts.shape[1] != len(shape.layers) or len(experts) != lengths.sum() or len(lengths) != len(counts):
            raise ValueError(f"{list(experts.shape)} experts for {lengths.sum()} tokens in layers {shape.layers}")
        rows = np.split(experts, lengths.cumsum()[:-1]) if len(lengths) else []
        ids = np.split(tensors["tokens"], np.maximum(counts, 0).cumsum()[:-1]) if len(counts) else []
        return cls(
            shape=shape,
            sequences=[
                RoutedSequence(
                    experts=row,
                    tokens=None if count == UNKNOWN else token_ids,
                    prompt=None if prompt == UNKNOWN else int(prompt),
                )
                for row, token_ids, count, prompt in zip(rows, ids, counts, tensors["prompts"], strict=True)
            ],
        )


def narrow(num_experts: Iterable[int]) -> type[np.int16 | np.int32]:
    """Return the smallest integer type that names every expert and −1."""
    return np.int16 if max(num_experts, default=0) <= np.iinfo(np.int16).max else np.int32


def _count(tokens: NDArray[Any] | None) -> int:
    return UNKNOWN if tokens is None else len(tokens)


def _ranges(numbers: tuple[int, ...]) -> str:
    if len(numbers) > 2 and numbers == tuple(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))
