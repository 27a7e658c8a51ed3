"""A model under stress: what an initialization works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stressed:
    """A fresh model, and where draws and inputs come from.

    Args:
        model: A transformers model, before :func:`~trimtab.moe.attach.attach`.
        sample_batch: [B, S] token ids on which inputs are measured, where that is needed.
        generator: Source of every draw; draws do not depend on the model's weights.
    """

    model: nn.Module
    sample_batch: Tensor
    generator: torch.Generator
