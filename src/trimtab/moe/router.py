"""Find the routers of a transformers model, and learn what each computes, by its interface.

A mixture-of-experts block holds ``experts`` and a router (``gate`` or ``router``) that returns ``(logits, weights,
indices)``. Names of configuration fields differ from family to family, so the router is asked: it is run on a few
random tokens with random weights (nothing of the model is touched), and the score function and normalization that
reproduce its weights are the ones it has. A router that none reproduces is refused with the reason.
"""

from __future__ import annotations

import copy
import itertools
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from trimtab.errors import UnsupportedModelError
from trimtab.moe.routing import ScoreFunction, scores_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

NATIVE_BIAS: Final = "e_score_correction_bias"
_ROUTER_NAMES: Final = ("gate", "router")
_PROBE_TOKENS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """One router of a model.

    Args:
        name: Qualified name in the model, e.g. ``model.layers.1.mlp.gate``.
        layer: Number of its layer in the model.
        module: The router; ``module.weight`` is [E, H].
        experts: The module with the expert weights.
        num_experts, num_experts_per_tok: E and K.
        score_function: How scores come from logits.
        renormalize: Whether the K weights of a token are divided by their sum.
        native_bias: Whether the router adds a bias buffer of its own before top-k.
    """

    name: str
    layer: int
    module: nn.Module
    experts: nn.Module
    num_experts: int
    num_experts_per_tok: int
    score_function: ScoreFunction
    renormalize: bool
    native_bias: bool

    def weights_of(self, scores: Tensor, experts: Tensor) -> Tensor:
        """Return the combine weights [T, K] of chosen experts, from scores without bias."""
        return combine_weights(scores, experts, renormalize=self.renormalize, scale=_scale(self.module))


def combine_weights(scores: Tensor, experts: Tensor, *, renormalize: bool, scale: float = 1.0) -> Tensor:
    """Gather the scores of the chosen experts, divide them by their sum if asked, and scale them."""
    weights = scores.gather(1, experts)
    if renormalize:
        weights = weights / weights.sum(-1, keepdim=True)
    return weights if scale == 1 else weights * scale


def find_routers(model: nn.Module) -> list[Router]:
    """Return the routers of ``model`` in the order of its layers; none for a dense model.

    Raises:
        UnsupportedModelError: A block has experts, but its router cannot be read.
    """
    found = [_read(*candidate) for candidate in _candidates(model)]
    layers = [_layer_number(router.name) for router in found]
    if None in layers or len(set(layers)) < len(layers):
        return [_renumbered(router, index) for index, router in enumerate(found)]
    return found


def _candidates(model: nn.Module) -> Iterator[tuple[str, nn.Module, nn.Module]]:
    for name, block in model.named_modules():
        experts = getattr(block, "experts", None)
        if not isinstance(experts, torch.nn.Module):
            continue
        for child in _ROUTER_NAMES:
            gate = getattr(block, child, None)
            if isinstance(gate, torch.nn.Module):
                yield f"{name}.{child}" if name else child, gate, experts
                break
        else:
            raise UnsupportedModelError(
                f"{name} ({type(block).__name__}) has experts but no router named {' or '.join(_ROUTER_NAMES)}"
            )


def _read(name: str, gate: nn.Module, experts: nn.Module) -> Router:
    where = f"{name} ({type(gate).__name__})"
    weight = getattr(gate, "weight", None)
    if not isinstance(weight, torch.Tensor) or weight.ndim != 2:
        raise UnsupportedModelError(f"{where} has no weight [experts, hidden]")
    logits, weights, indices = _probe(gate, where, weight.shape[1])
    bias = getattr(gate, NATIVE_BIAS, None)
    for score_function, renormalize in itertools.product(("sigmoid", "softmax"), (False, True)):
        known: ScoreFunction = "sigmoid" if score_function == "sigmoid" else "softmax"
        scores = scores_of(logits, known)
        if torch.allclose(
            combine_weights(scores, indices, renormalize=renormalize, scale=_scale(gate)), weights, rtol=1e-4, atol=1e-6
        ):
            return Router(
                name=name,
                layer=_layer_number(name) or 0,
                module=gate,
                experts=experts,
                num_experts=logits.shape[1],
                num_experts_per_tok=indices.shape[1],
                score_function=known,
                renormalize=renormalize,
                native_bias=isinstance(bias, torch.Tensor) and not isinstance(bias, torch.nn.Parameter),
            )
    raise UnsupportedModelError(
        f"{where} weighs its experts by neither a softmax nor a sigmoid of its logits, normalized or not"
    )


def _probe(gate: nn.Module, where: str, hidden: int) -> tuple[Tensor, Tensor, Tensor]:
    """Run the router on random tokens with random weights in float32; the module itself is not changed."""
    generator = torch.Generator().manual_seed(0)
    values = {name: torch.zeros(tensor.shape) for name, tensor in (*gate.named_parameters(), *gate.named_buffers())}
    values["weight"] = torch.randn(values["weight"].shape, generator=generator)
    tokens = torch.randn(_PROBE_TOKENS, hidden, generator=generator) / hidden**0.5
    try:
        with torch.no_grad():
            result = torch.func.functional_call(_without_hooks(gate), values, (tokens,))
    except (TypeError, RuntimeError) as error:
        raise UnsupportedModelError(f"{where} cannot be called with hidden states alone: {error}") from error
    if not (isinstance(result, tuple) and len(result) == 3 and all(isinstance(t, torch.Tensor) for t in result)):
        raise UnsupportedModelError(f"{where} does not return (logits, weights, indices)")
    logits, weights, indices = result
    shaped = logits.ndim == weights.ndim == indices.ndim == 2 and len(logits) == len(indices) == _PROBE_TOKENS
    if not shaped or indices.is_floating_point() or weights.shape != indices.shape:
        raise UnsupportedModelError(f"{where} does not return logits [T, E], weights [T, K] and indices [T, K]")
    return logits, weights, indices


def _without_hooks(gate: nn.Module) -> nn.Module:
    """Return a shallow copy that nobody listens to, so that the probe is not recorded by hooks of others."""
    bare = copy.copy(gate)
    for name in ("_forward_hooks", "_forward_pre_hooks"):
        setattr(bare, name, OrderedDict())
    for name in ("_parameters", "_buffers"):
        setattr(bare, name, dict(getattr(gate, name)))
    return bare


def _scale(gate: nn.Module) -> float:
    return float(getattr(gate, "routed_scaling_factor", 1.0) or 1.0)


def _layer_number(name: str) -> int | None:
    numbers = re.findall(r"(?<=\.)\d+(?=\.)", name)
    return int(numbers[0]) if numbers else None


def _renumbered(router: Router, layer: int) -> Router:
    return Router(**{field: getattr(router, field) for field in Router.__slots__} | {"layer": layer})
