"""The tokens of a batch by sequence: what rules need that read each sequence from its start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.balancers.interface import Context

_CHUNK: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sequences:
    """Where the tokens of a batch stand: G sequences of up to L tokens, padding left out.

    Args:
        rows, columns: [N] sequence and place of each token of text, in order.
        valid: [T] whether a token is text; None when all are.
        count, longest: G and L.
    """

    rows: Tensor
    columns: Tensor
    valid: Tensor | None
    count: int
    longest: int

    @classmethod
    def of(cls, context: Context, tokens: int, device: torch.device) -> Sequences:
        """Return those of a context; without numbers of sequences, all tokens are one.

        Where their sizes are known, nothing is read from the device.
        """
        if context.sizes is not None and context.sequence is not None:
            return cls._of_sizes(context, tokens, device)
        numbers = torch.zeros(tokens, dtype=torch.int64) if context.sequence is None else context.sequence
        valid = None if context.valid is None else context.valid.to(device)
        numbers = numbers.to(device) if valid is None else numbers.to(device)[valid]
        _, rows, sizes = numbers.unique_consecutive(return_inverse=True, return_counts=True)
        first = sizes.cumsum(0) - sizes
        columns = torch.arange(len(numbers), device=device) - first[rows]
        longest = int(sizes.max()) if len(sizes) else 0
        return cls(rows=rows, columns=columns, valid=valid, count=len(sizes), longest=longest)

    @classmethod
    def _of_sizes(cls, context: Context, tokens: int, device: torch.device) -> Sequences:
        sizes = [size for size in context.sizes or () if size]
        valid = None if context.valid is None else context.valid.to(device)
        if valid is None and len(set(sizes)) == 1:
            place = torch.arange(tokens, device=device)
            rows, columns = place.div(sizes[0], rounding_mode="floor"), place.remainder(sizes[0])
        else:
            each = torch.tensor(sizes, dtype=torch.int64)
            rows = torch.arange(len(sizes)).repeat_interleave(each)
            columns = torch.arange(len(rows)) - (each.cumsum(0) - each)[rows]
            rows, columns = (numbers.to(device, non_blocking=True) for numbers in (rows, columns))
        return cls(rows=rows, columns=columns, valid=valid, count=len(sizes), longest=max(sizes, default=0))

    def spread(self, values: Tensor) -> Tensor:
        """Return values [T, E] as [G, L, E], 0 behind the end of a sequence."""
        text = values if self.valid is None else values[self.valid]
        grid = values.new_zeros(self.count, self.longest, values.shape[-1])
        return grid.index_put((self.rows, self.columns), text)

    def gather(self, grid: Tensor, like: Tensor) -> Tensor:
        """Return a grid [G, L, E] as tokens [T, E], 0 where ``like`` [T, E] has padding."""
        text = grid[self.rows, self.columns]
        if self.valid is None:
            return text
        return torch.zeros_like(like).masked_scatter(self.valid[:, None].expand_as(like), text)


def moving_thresholds(scores: Tensor, target: float, *, memory: float, bins: int, start: str) -> Tensor:
    """Return the moving quantile [G, L, E] of scores [G, L, E] from 0 to 1 along each sequence, own token included.

    Args:
        scores: By sequence.
        target: The quantile, 1 − K/E.
        memory: γ.
        bins: From 0 to 1; the value is the middle of a bin.
        start: ``"debias"`` or ``"first"``, as :class:`~trimtab.settings.sequence_rules.MovingQuantileBalancing` says.
    """
    groups, length, experts = scores.shape
    bin_of = (scores * bins).floor().clamp_(0, bins - 1)
    edges = torch.arange(bins, device=scores.device, dtype=scores.dtype)
    # What the tokens before weigh at and below each bin [G, E, bins].
    below = scores.new_zeros(groups, experts, bins)
    if start == "first" and length:
        below = (bin_of[:, 0, :, None] <= edges).to(scores.dtype)
    thresholds = torch.empty_like(scores)
    for begin in range(0, length, _CHUNK):
        part = bin_of[:, begin : begin + _CHUNK]
        size = part.shape[1]
        ages = torch.arange(size, device=scores.device)
        decay = memory ** (ages[:, None] - ages).clamp(min=0).to(scores.dtype)
        weight = (1 - memory) * decay.tril()
        hits = (part[..., None] <= edges).to(scores.dtype).flatten(2)
        averages = (weight @ hits).view(groups, size, experts, bins)
        averages += memory ** (ages + 1).to(scores.dtype)[:, None, None] * below[:, None]
        reached = scores.new_full((size,), target)
        if start == "debias":
            reached = reached * (1 - memory ** (begin + ages + 1).to(scores.dtype))
        # An average is a sum of rounded powers; what it is compared with is another.
        place = (averages < (reached - 1e-6 * reached)[:, None, None]).sum(-1)
        thresholds[:, begin : begin + _CHUNK] = (place.clamp(max=bins - 1) + 0.5) / bins
        below = averages[:, -1]
    return thresholds


def causal_pressure(scores: Tensor, top_k: int, rate: float) -> Tensor:
    """Return β [G, L, E]: 0 at the start, then more by η·(f − 1/E) for each token, f its share of the K calls.

    Args:
        scores: [G, L, E] by sequence, any bias included.
        top_k: K.
        rate: η.
    """
    pressure = torch.empty_like(scores)
    now = torch.zeros_like(scores[:, 0]) if scores.shape[1] else scores.new_zeros(0)
    even = torch.full_like(now, -rate / max(scores.shape[-1], 1))
    for place in range(scores.shape[1]):
        pressure[:, place] = now
        chosen = (scores[:, place] - now).topk(top_k, dim=-1).indices
        now = now + even.scatter_add(-1, chosen, torch.full_like(chosen, 1, dtype=scores.dtype) * (rate / top_k))
    return pressure
