"""Where two records route the same tokens differently: two engines, two dtypes, two checkpoints.

A token is *flipped* in a layer when it is given another set of experts there; the order within the set does not matter.
A flip changes what later layers and later tokens see, so the first one of a sequence is told apart from its followers.

Axes: N tokens of a sequence, L layers with a router, K experts a token.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.errors import ConfigurationError
from trimtab.moe.routes import UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trimtab.moe.routes import RoutedSequence, Routes


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFlips:
    """Flips in one layer.

    Args:
        layer: Its number.
        tokens: Tokens compared.
        flipped: Those with another set of experts.
        calls: Calls that went to another expert, of K × ``tokens``.
        left, joined: By expert, the calls that the first record gave it and the second did not, and the other way.
    """

    layer: int
    tokens: int
    flipped: int
    calls: int
    left: dict[int, int]
    joined: dict[int, int]

    @property
    def rate(self) -> float:
        """Share of its tokens that are flipped; 0 without tokens."""
        return self.flipped / self.tokens if self.tokens else 0.0

    @property
    def words(self) -> str:
        """The three experts whose calls changed most, with the calls they lost and got."""
        changed = {e: self.left.get(e, 0) + self.joined.get(e, 0) for e in {*self.left, *self.joined}}
        most = sorted(changed, key=lambda expert: (-changed[expert], expert))[:3]
        return ", ".join(f"{e} (-{self.left.get(e, 0)} +{self.joined.get(e, 0)})" for e in most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The first token of a sequence that is flipped in any layer, and the first layer in which it is."""

    sequence: int
    token: int
    layer: int
    experts: tuple[list[int], list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipReport:
    """What two records of the same tokens say differently.

    Args:
        layers: By layer.
        sequences: Sequences compared.
        tokens: Tokens compared, in any layer.
        flipped: Tokens flipped in at least one layer.
        unknown: Tokens left out, because a record does not know their experts in some layer.
        divergences: Where each sequence that has a flip first has one.
    """

    layers: tuple[LayerFlips, ...]
    sequences: int
    tokens: int
    flipped: int
    unknown: int
    divergences: tuple[Divergence, ...]

    @property
    def rate(self) -> float:
        """Share of (token, layer) pairs that are flipped; 0 without any."""
        pairs = sum(line.tokens for line in self.layers)
        return sum(line.flipped for line in self.layers) / pairs if pairs else 0.0

    def to_record(self) -> dict[str, Any]:
        """Return the report as plain values for JSON."""
        lines = [{**asdict(line), "rate": line.rate} for line in self.layers]
        return {**asdict(self), "rate": self.rate, "layers": lines}

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        share = self.flipped / self.tokens if self.tokens else 0.0
        summary = (
            f"{self.sequences} sequences, {self.tokens} tokens: {self.flipped} ({share:.2%}) take other experts in at"
            f" least one layer, {self.rate:.3%} of all (token, layer) pairs"
        )
        header = f"{'layer':>5}  {'tokens':>7}  {'flipped':>7}  {'rate':>8}  {'calls':>6}  most changed experts"
        lines = [summary, header]
        for line in self.layers:
            counts = f"{line.tokens:>7}  {line.flipped:>7}  {line.rate:>8.3%}  {line.calls:>6}"
            lines.append(f"{line.layer:>5}  {counts}  {line.words}".rstrip())
        if self.unknown:
            lines.append(f"{self.unknown} tokens were left out in some layer, whose experts a record does not know")
        if self.divergences:
            first = self.divergences[0]
            lines.append(
                f"{len(self.divergences)} of {self.sequences} sequences diverge; sequence {first.sequence} first at"
                f" token {first.token}, layer {first.layer}: {first.experts[0]} and {first.experts[1]}"
            )
        return lines


def compare(first: Routes, second: Routes) -> FlipReport:
    """Compare two records of the same tokens; of a token that one of them lacks, nothing is said.

    Raises:
        ConfigurationError: They are of other models, of other numbers of sequences, or of other tokens.
    """
    if first.shape != second.shape:
        raise ConfigurationError(f"routes of {first.shape.words}, and of {second.shape.words}")
    if len(first) != len(second):
        raise ConfigurationError(f"routes of {len(first)} sequences, and of {len(second)}")
    layers = first.shape.layers
    both_sequences = zip(first.sequences, second.sequences, strict=True)
    tables = [_aligned(*pair, number) for number, pair in enumerate(both_sequences)]
    known = [((one != UNKNOWN) & (two != UNKNOWN)).all(2) for one, two in tables]
    other = [(one != two).any(2) & both for (one, two), both in zip(tables, known, strict=True)]
    divergences = []
    for number, ((one, two), flips_NL) in enumerate(zip(tables, other, strict=True)):
        if flips_NL.any():
            token, layer = (int(axis[0]) for axis in flips_NL.nonzero())
            experts = one[token, layer].tolist(), two[token, layer].tolist()
            divergences.append(Divergence(sequence=number, token=token, layer=layers[layer], experts=experts))
    return FlipReport(
        layers=tuple(_of_layer(layer, index, tables, known) for index, layer in enumerate(layers)),
        sequences=len(first),
        tokens=sum(int(both.any(1).sum()) for both in known),
        flipped=sum(int(flips_NL.any(1).sum()) for flips_NL in other),
        unknown=sum(int((~both.all(1)).sum()) for both in known),
        divergences=tuple(divergences),
    )


def _of_layer(
    layer: int, index: int, tables: list[tuple[NDArray[Any], NDArray[Any]]], known: list[NDArray[Any]]
) -> LayerFlips:
    """Count the flips of one layer over pairs of tables [N, L, K], of tokens known [N, L] to both."""
    rows = [
        (first[both[:, index], index], second[both[:, index], index])
        for (first, second), both in zip(tables, known, strict=True)
    ]
    empty = np.zeros((0, 1), np.int64)
    first_NK = np.concatenate([pair[0] for pair in rows] or [empty])
    second_NK = np.concatenate([pair[1] for pair in rows] or [empty])
    left = first_NK[~(first_NK[:, :, None] == second_NK[:, None, :]).any(2)]
    joined = second_NK[~(second_NK[:, :, None] == first_NK[:, None, :]).any(2)]
    return LayerFlips(
        layer=layer,
        tokens=len(first_NK),
        flipped=int((first_NK != second_NK).any(1).sum()),
        calls=len(left),
        left=_counts(left),
        joined=_counts(joined),
    )


def _counts(experts: NDArray[Any]) -> dict[int, int]:
    return {int(expert): int(count) for expert, count in zip(*np.unique(experts, return_counts=True), strict=True)}


def _aligned(one: RoutedSequence, two: RoutedSequence, number: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both tables [N, L, K], sorted within each token.

    Raises:
        ConfigurationError: They are of other tokens, or of lengths that more than the last token sets apart.
    """
    if one.tokens is not None and two.tokens is not None:
        shared = min(len(one.tokens), len(two.tokens))
        other = np.flatnonzero(one.tokens[:shared] != two.tokens[:shared])
        if len(other):
            place = int(other[0])
            raise ConfigurationError(
                f"sequence {number}: token {place} is {int(one.tokens[place])} in one record and"
                f" {int(two.tokens[place])} in the other",
                hint="flips are compared on the same tokens: run what one engine sampled through the other",
            )
    if abs(len(one) - len(two)) > 1:
        raise ConfigurationError(f"sequence {number}: routes of {len(one)} tokens, and of {len(two)}")
    shared = min(len(one), len(two))
    return np.sort(one.experts[:shared], axis=2), np.sort(two.experts[:shared], axis=2)
