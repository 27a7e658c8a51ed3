"""A tiny preference among experts, different for each token and fixed by its scores: what shares out exact ties.

No bias tells apart what has equal scores: experts with equal router rows get all tokens of one kind or none (T6). A
dither adds to the scores that are compared, never to those that weigh, up to ± its size. It is a smooth function of the
token's own scores, so that it depends on no other token, no padding and no batch, and a rounding error moves it by no
more than itself; rapid enough that tokens whose scores differ at all get unrelated preferences. Tokens with all scores
equal stay together (T3).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import torch
from torch import Tensor

# Radians a unit of log score: some turns over what the scores of a batch span.
_SPEED: Final = 8.0


def dither(scores: Tensor, size: float) -> Tensor:
    """Return [..., T, E], nearly uniform on ± ``size`` over tokens, for scores [..., T, E]."""
    phase = scores.clamp(min=torch.finfo(scores.dtype).tiny).log() @ _directions(scores.shape[-1]).to(scores)
    return (2 * size / torch.pi) * phase.sin().asin()


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)
def _directions(experts: int) -> Tensor:
    """Return [E, E], one column an expert, the same everywhere."""
    drawn = torch.randn(experts, experts, generator=torch.Generator().manual_seed(experts), dtype=torch.float64)
    return _SPEED * drawn
