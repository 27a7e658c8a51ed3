"""Give every token of a forward pass the experts it was given before.

Sequences are matched with what the model is called with: by their order, or by their tokens. Nothing is shifted: a
sequence of another length is refused, and so is one of other tokens where the routes say of which tokens they are. A
token may lack its routes where that has a reason (the last one that was sampled never ran); others only on request.
Such a token is routed by the model as it is now, and so is padding.

Axes: T tokens of a pass, N tokens of a sequence, L layers, E experts, K experts a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.route_recording import (
    places_behind_cache,
    places_of_sequences,
    refuse_other_tokens,
    tokens_at,
)
from trimtab.moe.routes import UNKNOWN, RoutedSequence, Routes, RouteShape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from torch import Tensor

    from trimtab.moe.masks import TextTokens
    from trimtab.moe.router import Router

Match = Literal["order", "tokens"]
Missing = Literal["refuse", "live"]
_HOW_TO_MATCH: Final = (
    "replay(routes, match='tokens') finds sequences by their tokens; routes.select([...]) puts them in another order"
)


@dataclass(slots=True, kw_only=True, eq=False)
class _ReplayedRow:
    """A sequence that a pass is over: its routes, its name for messages, and whether its length has been checked."""

    sequence: RoutedSequence
    name: str


class RouteReplay:
    """Hands out what was recorded, pass by pass.

    Args:
        routes: The routes.
        shape: That of the model.
        match: How sequences are found.
        missing: What to do with tokens in the middle that lack their routes.

    Raises:
        ConfigurationError: The routes are of another model, or a setting is none.
    """

    def __init__(self, routes: Routes, shape: RouteShape, *, match: Match, missing: Missing) -> None:
        for name, value, kind in (("match", match, Match), ("missing", missing, Missing)):
            if value not in get_args(kind):
                raise ConfigurationError(f"replay({name}={value!r}) must be one of {', '.join(get_args(kind))}")
        refuse_other_model(routes.shape, shape)
        self.routes = routes
        self.match = match
        self.missing = missing
        self._next = 0
        self._rows: list[_ReplayedRow | None] = []
        self._text: TextTokens | None = None
        self._served: set[int] = set()
        self._planned_TLK: Tensor = torch.zeros(0)
        self._by_tokens: dict[bytes, int] = {}
        if match == "tokens":
            self._index()

    def choose(self, router: Router, text: TextTokens, experts: Tensor) -> Tensor:
        """Return the experts [T, K] for ``router`` in the pass over ``text``, given those [T, K] it chose itself.

        Raises:
            ConfigurationError: The pass is not over the sequences of the routes, or the routes lack this layer.
        """
        refuse_other_tokens(router, text, len(experts))
        if router.layer not in self.routes.shape.layers:
            raise ConfigurationError(
                f"{router.name}: the routes have no layer {router.layer}; they are of {self.routes.shape.words}"
            )
        if text is not self._text or router.layer in self._served:
            self._begin(text)
        self._served.add(router.layer)
        index = self.routes.shape.layers.index(router.layer)
        planned_TK = self._planned_TLK[:, index].to(experts.device, experts.dtype)
        return torch.where(planned_TK == UNKNOWN, experts, planned_TK)

    def _begin(self, text: TextTokens) -> None:
        """Find out which token of a new pass is which token of the routes."""
        planned: NDArray[Any] = np.full(
            (text.rows * text.columns, len(self.routes.shape.layers), self.routes.shape.num_experts_per_tok), UNKNOWN
        )
        if text.past and len(self._rows) == text.rows:
            for row, places, before in zip(self._rows, *places_behind_cache(text), strict=True):
                if row is not None and len(places):
                    planned[places] = self._part(row, before, tokens_at(text, places), len(places))
        elif text.past:
            raise ConfigurationError(
                f"a forward pass over {text.rows} rows behind {text.past} cached tokens does not go on with the"
                f" {len(self._rows)} sequences of the last one",
                hint="begin the sequences inside of replay(...), with an empty cache",
            )
        else:
            parts = places_of_sequences(text)
            self._rows = [None] * text.rows if self._one_a_row(text, parts) else []
            for places in parts:
                tokens = tokens_at(text, places)
                row = self._find(tokens, len(places), int(places[0]) // text.columns)
                planned[places] = self._part(row, 0, tokens, len(places))
                if self._rows:
                    self._rows[int(places[0]) // text.columns] = row
        self._text, self._served = text, set()
        self._planned_TLK = torch.from_numpy(planned)

    @staticmethod
    def _one_a_row(text: TextTokens, parts: list[NDArray[Any]]) -> bool:
        rows = [int(places[0]) // text.columns for places in parts]
        return len(set(rows)) == len(rows)

    def _find(self, tokens: NDArray[Any] | None, length: int, row: int) -> _ReplayedRow:
        """Return the sequence that a pass begins with in this row."""
        if self.match == "tokens":
            if tokens is None:
                raise ConfigurationError(
                    "replay(match='tokens') needs input_ids, and the model was called with embeddings",
                    hint="match='order' takes sequences one after the other",
                )
            # The last token may have been sampled without ever running.
            number = next((self._by_tokens[key] for key in _keys(tokens) if key in self._by_tokens), None)
            if number is None:
                raise ConfigurationError(
                    f"row {row}: none of the {len(self.routes)} sequences of the routes has its {length} tokens",
                    hint="these tokens were not recorded, or were tokenized another way",
                )
        else:
            number = self._next
            self._next += 1
            if number >= len(self.routes):
                raise ConfigurationError(
                    f"row {row}: the routes are of {len(self.routes)} sequences, and all of them have been replayed",
                    hint=_HOW_TO_MATCH,
                )
        return _ReplayedRow(sequence=self.routes.sequences[number], name=f"row {row}, sequence {number} of the routes")

    def _part(self, row: _ReplayedRow, start: int, tokens: NDArray[Any] | None, length: int) -> NDArray[Any]:
        """Return [length, L, K] of a sequence from token ``start`` on.

        Raises:
            ConfigurationError: It has other tokens, is shorter or longer, or lacks routes.
        """
        recorded, end = row.sequence, start + length
        known = recorded.tokens
        if tokens is not None and known is not None:
            shared = min(end, len(known)) - start
            other = np.flatnonzero(known[start : start + shared] != tokens[:shared])
            if len(other):
                place = start + int(other[0])
                raise ConfigurationError(
                    f"{row.name}: token {place} is {int(tokens[other[0]])}, and {int(known[place])} was recorded",
                    hint=_HOW_TO_MATCH,
                )
        elif start == 0 and length < len(recorded):
            raise ConfigurationError(
                f"{row.name}: {length} tokens, and routes of {len(recorded)}; without the tokens it cannot be told"
                " which end is missing",
                hint="routes that know their tokens (tokens=...) are replayed on the beginning of a sequence too",
            )
        if end > len(recorded) + 1:
            raise ConfigurationError(
                f"{row.name}: {end} tokens, and routes of {len(recorded)}: only the last token, which is sampled and"
                " never run, may lack its routes"
            )
        part = recorded.experts[start:end]
        unknown = (part == UNKNOWN).all(2).any(1)
        # The last token of a sequence chooses nothing that anybody reads.
        inside = np.flatnonzero(unknown[: len(recorded) - 1 - start] if end > len(recorded) - 1 else unknown)
        if len(inside) and self.missing == "refuse":
            raise ConfigurationError(
                f"{row.name}: {len(inside)} of {length} tokens lack their routes, the first of them token"
                f" {start + int(inside[0])} (a prefix out of a cache has none, nor has what was not recorded)",
                hint="replay(routes, missing='live') lets the model route these as it does now",
            )
        if len(part) == length:
            return part
        return np.concatenate([part, np.full((1, *part.shape[1:]), UNKNOWN, part.dtype)])

    def _index(self) -> None:
        for number, sequence in enumerate(self.routes.sequences):
            if sequence.tokens is None:
                raise ConfigurationError(
                    f"replay(match='tokens'): sequence {number} of the routes does not say which tokens it is of",
                    hint="read them with tokens=...; match='order' takes sequences one after the other",
                )
            tokens = sequence.tokens.astype(np.int64)
            for length in {len(tokens), min(len(sequence), len(tokens))}:
                self._by_tokens.setdefault(tokens[:length].tobytes(), number)


def refuse_other_model(recorded: RouteShape, model: RouteShape) -> None:
    """Refuse routes of another model than this one.

    Raises:
        ConfigurationError: With both shapes.
    """
    experts = dict(zip(model.layers, model.num_experts, strict=True))
    same = recorded.num_experts_per_tok == model.num_experts_per_tok and recorded.num_layers == model.num_layers
    of_layers = zip(recorded.layers, recorded.num_experts, strict=True)
    if not (same and all(experts.get(layer) == count for layer, count in of_layers)):
        raise ConfigurationError(f"the routes are of {recorded.words}, and the model has {model.words}")


def _keys(tokens: NDArray[Any]) -> Iterable[bytes]:
    wide = tokens.astype(np.int64)
    return (wide.tobytes(), wide[:-1].tobytes())
