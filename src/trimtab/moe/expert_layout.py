"""Where each expert's weights are: stacked in one tensor, side by side in a flat one, or in modules of their own.

Layouts are found by shapes and names, no list of families is kept, and what is not understood is refused by name:
writing to the wrong numbers would damage a model in silence.

* *stacked*: [E, ...] in any order of the other axes (Mixtral; transposed in gpt-oss, Llama 4, Aria), with biases;
* *flat*: [E·I, H], one expert's rows after another's (DBRX);
* *modules*: a list of E modules of one kind.

Some experts may have no weights (LongCat's zero experts hand their input on): they are the last ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from trimtab.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from trimtab.moe.router import Router

# The last linear map of an expert, by the names in use for it: its weight and, where there is one, its bias.
_OUTPUT: Final = re.compile(
    r"(?:^|\.)(?:down_proj|down|w2|fc2|fc_out|output_linear|output_proj|out_proj|c_proj|wo|linear_fc2|dense_4h_to_h)"
    r"(?:[._](?:weight|bias))?$"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExpertLayout:
    """The weights of the experts beside one router.

    Args:
        router: The router.
        count: How many experts have weights.
        pieces: By the name of a parameter within the experts: its part of each expert, sharing memory with the model.
        flat: Whether experts lie side by side in flat matrices [E·I, H].
    """

    router: Router
    count: int
    pieces: dict[str, list[Tensor]]
    flat: bool = False

    @property
    def output(self) -> dict[str, list[Tensor]]:
        """The pieces of the experts' last linear map, biases included.

        Raises:
            ConfigurationError: None of the names is known.
        """
        last = {name: parts for name, parts in self.pieces.items() if _OUTPUT.search(name)}
        if not any(parts[0].ndim >= 2 for parts in last.values()) or len(last) == len(self.pieces):
            raise ConfigurationError(
                f"the experts beside {self.router.name} hold {', '.join(self.pieces)}, none of which is known to be"
                " their output projection"
            )
        return last

    def full_name(self, name: str) -> str:
        """Return the name of a parameter of the experts as messages and records give it."""
        return f"{self.router.name.rpartition('.')[0]}.experts.{name}".strip(".")


def expert_layout(router: Router) -> ExpertLayout:
    """Return where the weights of the experts beside ``router`` are.

    Raises:
        ConfigurationError: They are not understood, with names and shapes.
    """
    if wrapped := wrappers(router.experts):
        raise ConfigurationError(f"the experts beside {router.name} are wrapped by {wrapped}", hint=UNWRAP)
    parameters = dict(router.experts.named_parameters())
    if not parameters:
        raise ConfigurationError(f"the experts beside {router.name} hold no weights")
    modules = _in_modules(router, parameters)
    if modules is not None:
        return ExpertLayout(router=router, count=router.num_experts, pieces=modules)
    lengths = {len(parameter) if parameter.ndim >= 2 else 0 for parameter in parameters.values()}
    # Tensors of two lengths: the experts beyond the shorter ones have no weights.
    if max(lengths) == router.num_experts and min(lengths) >= 2 and len(lengths) <= 2:
        count = min(lengths)
        return ExpertLayout(
            router=router, count=count, pieces={name: list(p.detach()[:count]) for name, p in parameters.items()}
        )
    if _is_flat(router, parameters):
        split = {name: list(p.detach().unflatten(0, (router.num_experts, -1))) for name, p in parameters.items()}
        return ExpertLayout(router=router, count=router.num_experts, pieces=split, flat=True)
    shapes = ", ".join(f"{name} {list(parameter.shape)}" for name, parameter in parameters.items())
    raise ConfigurationError(
        f"the experts beside {router.name} hold {shapes}: which numbers belong to which of {router.num_experts} experts"
        " is not known"
    )


UNWRAP: Final = "stress the fresh model first, then add adapters, quantize or attach"


def wrappers(module: torch.nn.Module) -> str:
    """Return the class of the first module in ``module`` that stands before another's weights; empty for none.

    Adapters of PEFT keep what they wrap in ``base_layer`` or ``original_module``; a parametrized module computes its
    weights, so that writing to them does nothing.
    """
    for inner in module.modules():
        held = [getattr(inner, name, None) for name in ("base_layer", "original_module")]
        if any(isinstance(behind, torch.nn.Module) for behind in held) or hasattr(inner, "parametrizations"):
            return type(inner).__name__
    return ""


def _in_modules(router: Router, parameters: Mapping[str, Tensor]) -> dict[str, list[Tensor]] | None:
    """Return the pieces where each parameter lies in one of E numbered modules of the same kind; None elsewhere."""
    numbered = [re.match(r"(?:(.*)\.)?(\d+)\.(.+)$", name) for name in parameters]
    if not all(numbered):
        return None
    pieces: dict[str, list[Tensor]] = {}
    for match, parameter in zip(numbered, parameters.values(), strict=True):
        assert match is not None  # noqa: S101 - all are
        pieces.setdefault(".".join(filter(None, (match[1], match[3]))), []).append(parameter.detach())
    alike = all(len({tuple(part.shape) for part in parts}) == 1 for parts in pieces.values())
    return pieces if alike and {len(parts) for parts in pieces.values()} == {router.num_experts} else None


def _is_flat(router: Router, parameters: Mapping[str, Tensor]) -> bool:
    """Tell whether all are matrices [E·I, H] of one shape, which no other reading of H columns explains."""
    experts, hidden = router.num_experts, router.weight.shape[1]
    shapes = {tuple(parameter.shape) for parameter in parameters.values()}
    if len(shapes) != 1:
        return False
    (shape,) = shapes
    return len(shape) == 2 and shape[0] % experts == 0 and shape[0] > experts and shape[1] == hidden != shape[0]
