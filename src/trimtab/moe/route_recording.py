"""Note what every gate chose in the forward passes of a model, and put the passes together to sequences.

A pass that begins with an empty cache begins new sequences: a row each, or several where rows are packed. A pass behind
a cache goes on with those of the last one. Where it begins further back than they had come, tokens had been tried and
rejected (speculative decoding), and their routes are forgotten.

Axes: T tokens of a pass, N tokens of a sequence, L layers, K experts a token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.routes import UNKNOWN, RoutedSequence, Routes, RouteShape, narrow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from trimtab.moe.masks import TextTokens
    from trimtab.moe.router import Router


def shape_of(routers: Sequence[Router], num_layers: int) -> RouteShape:
    """Return what routes of ``routers`` look like.

    Raises:
        ConfigurationError: There is no router, or they choose different numbers of experts.
    """
    per_token = sorted({router.num_experts_per_tok for router in routers})
    if len(per_token) != 1:
        raise ConfigurationError(
            "the model has no router, so it has no routes"
            if not routers
            else f"its routers choose {' and '.join(map(str, per_token))} experts a token: routes have one such number"
        )
    layers = tuple(router.layer for router in routers)
    return RouteShape(
        layers=layers,
        num_layers=max(num_layers, max(layers) + 1),
        num_experts=tuple(router.num_experts for router in routers),
        num_experts_per_tok=per_token[0],
    )


@dataclass(slots=True, kw_only=True, eq=False)
class _Pass:
    """What was chosen in one forward pass: by layer, [T, K]."""

    text: TextTokens
    experts: dict[int, Tensor] = field(default_factory=dict)


class RouteRecorder:
    """Takes note of choices; :meth:`finish` puts them together.

    Args:
        routes: Where to, in the end.
    """

    def __init__(self, routes: Routes) -> None:
        self.routes = routes
        self._passes: list[_Pass] = []
        self._dtype = torch.int16 if narrow(routes.shape.num_experts) is np.int16 else torch.int32

    def note(self, router: Router, text: TextTokens, experts: Tensor) -> None:
        """Note the ``experts`` [T, K] that ``router`` chose in the pass over ``text``.

        Raises:
            ConfigurationError: The router sees other tokens than the model was called with.
        """
        refuse_other_tokens(router, text, len(experts))
        last = self._passes[-1] if self._passes else None
        if last is None or last.text is not text or router.layer in last.experts:
            last = _Pass(text=text)
            self._passes.append(last)
        last.experts[router.layer] = experts.detach().to(self._dtype)

    def finish(self) -> None:
        """Put the passes together; layers that were never called are left out."""
        called = {layer for noted in self._passes for layer in noted.experts}
        if called:
            self.routes.shape = self.routes.shape.of_layers(called)
        growing: list[_Growing | None] = []
        finished: list[_Growing] = []
        for noted in self._passes:
            table_TLK = self._table(noted)
            if not noted.text.past:
                growing = []
                for places in places_of_sequences(noted.text):
                    fresh = _Growing()
                    fresh.take(table_TLK[places], tokens_at(noted.text, places))
                    fresh.prompt = len(places)
                    growing.append(fresh)
                    finished.append(fresh)
                growing = _by_row(noted.text, growing)
                continue
            if len(growing) != noted.text.rows:
                growing = [_Growing() for _ in range(noted.text.rows)]
                finished += [fresh for fresh in growing if fresh is not None]
            for row, (places, before) in enumerate(zip(*places_behind_cache(noted.text), strict=True)):
                sequence = growing[row]
                if sequence is not None:
                    sequence.cut_or_fill(before, table_TLK.shape[1:], table_TLK.dtype)
                    sequence.take(table_TLK[places], tokens_at(noted.text, places))
        self.routes.sequences.extend(sequence.done() for sequence in finished)

    def _table(self, noted: _Pass) -> NDArray[Any]:
        """Return [T, L, K] of one pass."""
        shape = self.routes.shape
        tokens = noted.text.rows * noted.text.columns
        blank = np.full((tokens, shape.num_experts_per_tok), UNKNOWN, narrow(shape.num_experts))
        tables = [noted.experts[layer].cpu().numpy() if layer in noted.experts else blank for layer in shape.layers]
        return np.stack(tables, axis=1)


class _Growing:
    """A sequence that passes are being added to."""

    def __init__(self) -> None:
        self.experts: list[NDArray[Any]] = []
        self.tokens: list[NDArray[Any]] | None = []
        self.length = 0
        self.prompt: int | None = None

    def take(self, experts: NDArray[Any], tokens: NDArray[Any] | None) -> None:
        """Add tokens behind those there are."""
        self.experts.append(experts)
        self.length += len(experts)
        if self.tokens is not None and tokens is not None:
            self.tokens.append(tokens)
        else:
            self.tokens = None

    def cut_or_fill(self, before: int, shape: tuple[int, ...], dtype: Any) -> None:  # noqa: ANN401
        """Make the sequence ``before`` tokens long: forget what was rejected, leave open what was not recorded."""
        if before < self.length:
            self.experts, self.length = [np.concatenate(self.experts)[:before]], before
            if self.prompt is not None and before < self.prompt:
                self.prompt = None  # guesses ran with it
            self.tokens = None if self.tokens is None else [np.concatenate(self.tokens)[:before]]
        elif before > self.length:
            self.take(np.full((before - self.length, *shape), UNKNOWN, dtype), None)

    def done(self) -> RoutedSequence:
        tokens = None if self.tokens is None else np.concatenate([np.zeros(0, np.int64), *self.tokens])
        return RoutedSequence(experts=np.concatenate(self.experts), tokens=tokens, prompt=self.prompt)


def refuse_other_tokens(router: Router, text: TextTokens, tokens: int) -> None:
    """Refuse a router that does not see the tokens of the pass one by one, in their order.

    Raises:
        ConfigurationError: With both numbers.
    """
    if text.rows * text.columns != tokens:
        raise ConfigurationError(
            f"{router.name} sees {tokens} tokens in a forward pass over {text.rows} rows of {text.columns}: which is"
            " which cannot be told, so that routes are neither recorded nor replayed",
            hint="call the model itself, with all of its tokens, and not one of its blocks",
        )


def places_of_sequences(text: TextTokens) -> list[NDArray[Any]]:
    """Return for each sequence that has text the places [N] of its tokens among the T of the pass."""
    places = _text_places(text)
    if not len(places):
        return []
    numbers = text.sequence.cpu().numpy()[places]
    return np.split(places, np.flatnonzero(np.diff(numbers)) + 1)


def places_behind_cache(text: TextTokens) -> tuple[list[NDArray[Any]], list[int]]:
    """Return for each row the places of its text tokens among the T of the pass, and how many came before."""
    places = _text_places(text)
    rows = places // text.columns
    before = [text.past] * text.rows if text.before is None else text.before.tolist()
    return [places[rows == row] for row in range(text.rows)], before


def tokens_at(text: TextTokens, places: NDArray[Any]) -> NDArray[Any] | None:
    """Return the ids of the tokens at these places; None where the model was called with embeddings."""
    ids: NDArray[Any] | None = None if text.ids is None else text.ids.detach().cpu().numpy().reshape(-1)[places]
    return ids


def _text_places(text: TextTokens) -> NDArray[Any]:
    if text.valid is None:
        return np.arange(text.rows * text.columns)
    places: NDArray[Any] = text.valid.cpu().numpy().nonzero()[0]
    return places


def _by_row(text: TextTokens, sequences: list[Any]) -> list[Any]:
    """Return the sequence of each row, None for a row without text; nothing where rows hold several."""
    starts = [places[0] // text.columns for places in places_of_sequences(text)]
    if len(set(starts)) != len(starts):
        return []
    by_row = dict(zip(starts, sequences, strict=True))
    return [by_row.get(row) for row in range(text.rows)]
