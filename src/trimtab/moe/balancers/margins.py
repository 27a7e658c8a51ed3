"""Histograms of margins: what quantiles are made of when they have to add up over micro-batches and processes.

A margin is a biased score less what it has to beat, of either sign and of any size. Bins are those of the number's own
exponent and first three bits of its fraction: an eighth of an octave, so that a quantile is right to a sixteenth of
its size wherever it lies, from 2^-24, the precision of a score, to 2^6.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import torch

from trimtab.moe.routing import counted

if TYPE_CHECKING:
    from torch import Tensor

_BITS: Final = 3
_LOWEST, _HIGHEST = 2.0**-24, 2.0**6
_SIDE: Final = 30 << _BITS
BINS: Final = 2 * _SIDE + 1
_KEYS: Final = 1 << (9 + _BITS)
# The bits of the smallest margin, as IEEE 754 has them in single precision.
_FIRST_KEY: Final = int.from_bytes(struct.pack(">f", _LOWEST)) >> (23 - _BITS)
# What is kept between calls is never an inference tensor, whoever asked first.


def histogram(margins: Tensor) -> Tensor:
    """Count margins [..., T, E] in bins, for each expert: [..., E, BINS], int64."""
    # Sign, exponent and three bits of the fraction: twelve bits that a table turns into a bin.
    keys = (margins.float().contiguous().view(torch.int32) >> (23 - _BITS)).bitwise_and_(_KEYS - 1)
    bins = _bins(margins.device).index_select(0, keys.flatten()).view(*margins.shape[:-2], *margins.shape[-2:])
    lanes, experts = margins.shape[:-2].numel(), margins.shape[-1]
    own = torch.arange(0, lanes * experts * BINS, BINS, dtype=torch.int32, device=margins.device)
    counts = counted(bins.add_(own.view(*margins.shape[:-2], 1, experts)), lanes * experts * BINS)
    return counts.view(*margins.shape[:-2], experts, BINS)


def count(numbers: Tensor, bins: int) -> Tensor:
    """Count numbers [..., N] from 0 to ``bins``, the last of which is not counted: [..., bins], int64."""
    lanes = numbers.shape[:-1].numel()
    own = torch.arange(0, lanes * (bins + 1), bins + 1, device=numbers.device).view(*numbers.shape[:-1], 1)
    counts = counted(numbers + own, lanes * (bins + 1))
    return counts.view(*numbers.shape[:-1], bins + 1)[..., :bins]


def from_top(counts: Tensor, rank: Tensor) -> Tensor:
    """Return the margin [..., E] of this rank [..., E] from the largest, which is 1; spread evenly within its bin.

    A rank beyond the counts gives the least margin there is a bin for.
    """
    return all_from_top(counts, rank[..., None])[..., 0]


def all_from_top(counts: Tensor, ranks: Tensor) -> Tensor:
    """Return the margins [..., E, R] of several ranks [..., E, R], as :func:`from_top` does of one."""
    low, high = _edges()
    low, high = low.to(counts.device), high.to(counts.device)
    above = counts.flip(-1).cumsum(-1)
    bins_above = torch.searchsorted(above, ranks.to(above.dtype)).clamp(max=BINS - 1)
    index = BINS - 1 - bins_above
    inside = counts.gather(-1, index)
    part = ((ranks - (above.gather(-1, bins_above) - inside) - 0.5) / inside.clamp(min=1)).clamp(0, 1)
    return high[index] - part * (high[index] - low[index])


@lru_cache(maxsize=1)
@torch.inference_mode(mode=False)
def _edges() -> tuple[Tensor, Tensor]:
    """Smallest and largest margin of each bin; the middle one is 0."""
    keys = torch.arange(_FIRST_KEY, _FIRST_KEY + _SIDE + 1, dtype=torch.int32)
    size, zero = (keys << (23 - _BITS)).view(torch.float32), torch.zeros(1)
    return torch.cat([-size[1:].flip(0), zero, size[:-1]]), torch.cat([-size[:-1].flip(0), zero, size[1:]])


@lru_cache(maxsize=8)
@torch.inference_mode(mode=False)
def _bins(device: torch.device) -> Tensor:
    """Bin of each margin [4096], by its sign, exponent and first bits of its fraction."""
    keys = torch.arange(_KEYS)
    size = keys.remainder(_KEYS // 2)
    index = (size - _FIRST_KEY + 1).clamp(min=0, max=_SIDE)
    # What is not a number counts as larger than all, whatever its sign.
    negative = (keys >= _KEYS // 2) & (size <= 0xFF << _BITS)
    return (_SIDE + torch.where(negative, -index, index)).int().to(device)
