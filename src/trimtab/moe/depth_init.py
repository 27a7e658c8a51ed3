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
from trimtab.moe.expert_layout import UNWRAP, expert_layout, wrappers
from trimtab.settings import initializations

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.stressed import Stressed

# The last linear map of a residual branch, with its bias if it has one.
_OUTPUT: Final = re.compile(r"\.layers\.(\d+)\.(?:.*\.)?(?:o_proj|down_proj)(?:_bias|\.bias|\.weight)?$")


def scale_by_depth(init: initializations.DepthScaled, on: Stressed) -> None:
    """Scale every output projection: of attention and dense blocks by their names, of experts by their layout."""
    depth = int(getattr(getattr(on.model, "config", None), "num_hidden_layers", 0))
    found = [(match[1], name, p) for name, p in on.model.named_parameters() if (match := _OUTPUT.search(name))]
    if not depth or len({layer for layer, _, _ in found}) != depth:
        raise ConfigurationError(
            f"{init!r}: {type(on.model).__name__} has no o_proj or down_proj in each of its {depth} layers",
            hint="it knows models whose branches end in projections of these names",
        )
    if wrapped := wrappers(on.model):
        raise ConfigurationError(f"{init!r}: a module is wrapped by {wrapped}", hint=UNWRAP)
    named = {parameter.data_ptr() for _, _, parameter in found}
    for layer, name, parameter in found:
        on.write(name, parameter, parameter / math.sqrt(depth), f"layer {layer}")
    for router in on.routers:
        layout = expert_layout(router)
        for name, parts in layout.output.items():
            for expert, part in enumerate(parts if parts[0].data_ptr() not in named else ()):
                on.write(f"{layout.full_name(name)}[{expert}]", part, part / math.sqrt(depth), router.name)


def collapse(init: initializations.CollapsedInputs, on: Stressed) -> None:
    """Add the direction to every embedding."""
    embeddings = on.model.get_input_embeddings()  # type: ignore[operator] # of a transformers model
    if wrapped := wrappers(embeddings):
        raise ConfigurationError(f"{init!r}: the embeddings are wrapped by {wrapped}", hint=UNWRAP)
    weight: Tensor = embeddings.weight
    direction = torch.randn(weight.shape[1], generator=on.generator).to(weight)
    length = weight.square().sum(1).mean() * init.similarity / (1 - init.similarity)
    on.write("embeddings", weight, weight + direction * (length / direction.square().sum()).sqrt(), "the embeddings")


def __getattr__(name: str) -> type[initializations.Initialization]:
    if name in initializations.BY_CLASS:
        return initializations.BY_CLASS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
