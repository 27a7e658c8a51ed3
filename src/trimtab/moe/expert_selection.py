"""A model of the same class whose experts are chosen among another's: fewer of them, or some more than once.

The model is built anew from its configuration with another number of experts, and each tensor that changed its length
is filled with the rows of the chosen experts: router rows, biases of the choice, and weights, stacked, side by side, or
in modules of their own.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.errors import UnsupportedModelError
from trimtab.moe.router import BIAS_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from trimtab.moe.router import Router

# What configurations call the routed experts of a layer, and those of a token.
_EXPERTS: Final = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
_PER_TOKEN: Final = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "top_k_experts")


class ExpertSelection:
    """Which experts each layer of a model is to have.

    Args:
        model: A model of transformers.
        routers: Its routers.
        chosen: [E'] experts by layer, as many in each; one may be named several times.
        num_experts_per_tok: K of the new model; None leaves it.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401 - transformers' own
        routers: Sequence[Router],
        chosen: Mapping[int, Tensor],
        num_experts_per_tok: int | None = None,
    ) -> None:
        self.model = model
        self.routers = routers
        self.count = len(next(iter(chosen.values())))
        self.num_experts_per_tok = num_experts_per_tok
        self._blocks = {f"{router.name.rpartition('.')[0]}.": chosen[router.layer] for router in routers}
        self._added = {f"{router.name}.{BIAS_NAME}" for router in routers if router.native is None}

    @torch.no_grad()
    def build(self) -> Any:  # noqa: ANN401 - a model of the same class
        """Return the new model, on the device and in the precision and mode of the old one.

        Raises:
            UnsupportedModelError: The configuration does not say how many experts there are, or it is not known which
                part of a tensor belongs to which expert.
        """
        before = self.model
        config = copy.deepcopy(before.config)
        inner = config.get_text_config()
        self._set(inner, _EXPERTS, self.routers[0].num_experts, self.count)
        if self.num_experts_per_tok is not None:
            self._set(inner, _PER_TOKEN, self.routers[0].num_experts_per_tok, self.num_experts_per_tok)
        with torch.random.fork_rng(devices=[]):
            other: Any = type(before)(config).to(before.dtype)
        shapes = {name: tensor.shape for name, tensor in other.state_dict().items()}
        filled = self.select({n: t for n, t in before.state_dict().items() if n not in self._added}, shapes)
        differing = sorted(shapes.keys() ^ filled.keys())
        if differing:
            raise UnsupportedModelError(
                f"a {config.model_type} model of {self.count} experts and this one do not both have {differing[0]}"
            )
        other.load_state_dict(filled)
        other.generation_config = copy.deepcopy(getattr(before, "generation_config", None))
        return other.to(before.device).train(before.training)

    def select(self, tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
        """Return tensors of the old model as those of the new one, whose ``shapes`` are given by name.

        Raises:
            UnsupportedModelError: It is not known which part of one belongs to which expert.
        """
        filled = {}
        for name, tensor in tensors.items():
            chosen = next((experts for block, experts in self._blocks.items() if name.startswith(block)), None)
            for renamed in _names(name, chosen):
                filled[renamed] = self._part(name, tensor, shapes.get(renamed, tensor.shape), chosen)
        return filled

    def _part(self, name: str, tensor: Tensor, shape: torch.Size, chosen: Tensor | None) -> Tensor:
        """Return the rows of the chosen experts along the one axis whose length changes."""
        if tensor.shape == shape:
            return tensor
        count = self.routers[0].num_experts
        axes = [axis for axis in range(tensor.ndim) if len(shape) == tensor.ndim and tensor.shape[axis] != shape[axis]]
        if chosen is None or len(axes) != 1 or tensor.shape[axes[0]] % count or shape[axes[0]] % self.count:
            raise UnsupportedModelError(
                f"{name} has shape {tuple(tensor.shape)}, and {tuple(shape)} in a model of {self.count} experts: which"
                " part of it belongs to which expert is not known"
            )
        split = tensor.unflatten(axes[0], (count, -1))
        rows: Tensor = split.index_select(axes[0], chosen.to(tensor.device)).flatten(axes[0], axes[0] + 1)
        return rows.contiguous()

    @staticmethod
    def _set(config: Any, names: Sequence[str], before: int, after: int) -> None:  # noqa: ANN401
        """Change whatever the configuration calls a number."""
        held = [name for name in names if getattr(config, name, None) == before]
        if not held:
            raise UnsupportedModelError(
                f"the configuration of {config.model_type} has {before} under none of {', '.join(names)}"
            )
        for name in held:
            setattr(config, name, after)


def _names(name: str, chosen: Tensor | None) -> list[str]:
    """Return the names of a tensor in the new model: several or none where each expert is a module of its own."""
    match = re.search(r"\.experts\.(\d+)\.", name)
    if match is None or chosen is None:
        return [name]
    places = (chosen == int(match[1])).nonzero()[:, 0].tolist()
    return [f"{name[: match.start(1)]}{place}{name[match.end(1) :]}" for place in places]
