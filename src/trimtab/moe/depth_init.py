"""Initializations that change what enters the routers: how unlike the hidden states of tokens are, layer by layer.

A random router spreads tokens over experts only as far as their hidden states differ; in deep pre-norm models they
become alike (OpenReview 2PAe0L8PME, whose abstract was read).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from trimtab.errors import ConfigurationError

if TYPE_CHECKING:
    from torch import Tensor, nn

# The last linear map of a residual branch, with its bias if it has one.
_OUTPUT: Final = re.compile(r"\.layers\.(\d+)\.(?:.*\.)?(?:o_proj|down_proj)(?:_bias|\.bias|\.weight)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthScaled:
    """The output projections of attention, feed-forward blocks and experts times 1/√L, with L layers.

    The L contributions to the residual stream then add up to the variance of one, so that what a token started as is
    not drowned in later layers. Assumes pre-norm blocks: a norm behind the projection would take the factor out again.
    """

    @torch.no_grad()
    def apply(self, model: nn.Module, sample_batch: Tensor, generator: torch.Generator) -> None:  # noqa: ARG002
        """Scale every output projection."""
        found = [(match[1], p) for name, p in model.named_parameters() if (match := _OUTPUT.search(name))]
        depth = int(getattr(getattr(model, "config", None), "num_hidden_layers", 0))
        if not depth or len({layer for layer, _ in found}) != depth:
            raise ConfigurationError(
                f"DepthScaled: {type(model).__name__} has no o_proj or down_proj in each of its {depth} layers",
                hint="it knows models whose branches end in projections of these names",
            )
        for _, parameter in found:
            parameter.mul_(1 / math.sqrt(depth))


@dataclass(frozen=True, slots=True, kw_only=True)
class CollapsedInputs:
    """Token embeddings with one direction in common, so that two of them have a cosine of ``similarity`` on average.

    What is added is as long as √(ρ/(1 − ρ)) times the root mean square of an embedding, in a drawn direction. Where the
    output layer is tied to the embeddings, it adds the same number to all of a position's logits, and so nothing to its
    predictions, except through what the layers then see.
    """

    similarity: float

    def __post_init__(self) -> None:
        if not 0 < self.similarity < 1:
            raise ConfigurationError(f"CollapsedInputs(similarity={self.similarity!r}) must lie between 0 and 1")

    @torch.no_grad()
    def apply(self, model: nn.Module, sample_batch: Tensor, generator: torch.Generator) -> None:  # noqa: ARG002
        """Add the direction to every embedding."""
        weight: Tensor = model.get_input_embeddings().weight  # type: ignore[operator] # of a transformers model
        direction = torch.randn(weight.shape[1], generator=generator).to(weight)
        length = weight.square().sum(1).mean() * self.similarity / (1 - self.similarity)
        weight.add_(direction * (length / direction.square().sum()).sqrt())
