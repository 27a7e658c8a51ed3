"""Histograms of margins: what quantiles are made of when they have to add up over micro-batches and processes.

A margin is a biased score less what it has to beat, of either sign and of any size. Bins are those of the number's own
exponent and first three bits of its fraction: an eighth of an octave, so that a quantile is right to a sixteenth of
its size wherever it lies, from 2^-24, the precision of a score, to 2^6.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from torch import Tensor

_BITS: Final = 3
_LOWEST, _HIGHEST = 2.0**-24, 2.0**6
_SIDE: Final = 30 << _BITS
BINS: Final = 2 * _SIDE + 1


def histogram(margins: Tensor) -> Tensor:
    """Count margins [..., T, E] in bins, for each expert: [..., E, BINS], int64."""
    size = margins.float().abs().clamp(max=_HIGHEST * (1 - 2**-20))
    index = ((size.view(torch.int32) >> (23 - _BITS)) - _first_key() + 1).clamp(min=0, max=_SIDE)
    return count((_SIDE + torch.where(margins < 0, -index, index)).transpose(-1, -2), BINS)


def count(numbers: Tensor, bins: int) -> Tensor:
    """Count numbers [..., N] from 0 to ``bins``, the last of which is not counted: [..., bins], int64."""
    lanes = numbers.shape[:-1].numel()
    own = torch.arange(0, lanes * (bins + 1), bins + 1, device=numbers.device).view(*numbers.shape[:-1], 1)
    found = torch.bincount((numbers + own).flatten(), minlength=lanes * (bins + 1))
    return found.view(*numbers.shape[:-1], bins + 1)[..., :bins]


def from_top(counts: Tensor, rank: Tensor) -> Tensor:
    """Return the margin [..., E] of this rank [..., E] from the largest, which is 1; spread evenly within its bin.

    A rank beyond the counts gives the least margin there is a bin for.
    """
    low, high = _edges()
    low, high = low.to(counts.device), high.to(counts.device)
    above = counts.flip(-1).cumsum(-1)
    found = torch.searchsorted(above, rank[..., None].to(above.dtype)).clamp(max=BINS - 1)
    index = BINS - 1 - found
    inside = counts.gather(-1, index)
    part = ((rank[..., None] - (above.gather(-1, found) - inside) - 0.5) / inside.clamp(min=1)).clamp(0, 1)
    return (high[index] - part * (high[index] - low[index]))[..., 0]


def _first_key() -> int:
    return int(torch.tensor(_LOWEST).view(torch.int32)) >> (23 - _BITS)


@lru_cache(maxsize=1)
def _edges() -> tuple[Tensor, Tensor]:
    """Smallest and largest margin of each bin; the middle one is 0."""
    keys = torch.arange(_first_key(), _first_key() + _SIDE + 1, dtype=torch.int32)
    size, zero = (keys << (23 - _BITS)).view(torch.float32), torch.zeros(1)
    return torch.cat([-size[1:].flip(0), zero, size[:-1]]), torch.cat([-size[:-1].flip(0), zero, size[1:]])
