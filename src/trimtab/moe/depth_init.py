"""Initializations that change what enters the routers: how unlike the hidden states of tokens are, layer by layer.

A random router spreads tokens over experts only as far as their hidden states differ; in deep pre-norm models they
become alike (OpenReview 2PAe0L8PME, whose abstract was read).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

import torch

from trimtab.errors import ConfigurationError
from trimtab.settings import initializations

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.stressed import Stressed

# The last linear map of a residual branch, with its bias if it has one.
_OUTPUT: Final = re.compile(r"\.layers\.(\d+)\.(?:.*\.)?(?:o_proj|down_proj)(?:_bias|\.bias|\.weight)?$")


def scale_by_depth(_init: initializations.DepthScaled, on: Stressed) -> None:
    """Scale every output projection."""
    found = [(match[1], p) for name, p in on.model.named_parameters() if (match := _OUTPUT.search(name))]
    depth = int(getattr(getattr(on.model, "config", None), "num_hidden_layers", 0))
    if not depth or len({layer for layer, _ in found}) != depth:
        raise ConfigurationError(
            f"DepthScaled: {type(on.model).__name__} has no o_proj or down_proj in each of its {depth} layers",
            hint="it knows models whose branches end in projections of these names",
        )
    for _, parameter in found:
        parameter.mul_(1 / math.sqrt(depth))


def collapse(init: initializations.CollapsedInputs, on: Stressed) -> None:
    """Add the direction to every embedding."""
    weight: Tensor = on.model.get_input_embeddings().weight  # type: ignore[operator] # of a transformers model
    direction = torch.randn(weight.shape[1], generator=on.generator).to(weight)
    length = weight.square().sum(1).mean() * init.similarity / (1 - init.similarity)
    weight.add_(direction * (length / direction.square().sum()).sqrt())


def __getattr__(name: str) -> type[initializations.Initialization]:
    if name in initializations.BY_CLASS:
        return initializations.BY_CLASS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
