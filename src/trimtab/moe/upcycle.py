"""Turn a dense language model into a mixture of experts, and say what that did to its function.

::

    moe, receipt = upcycle(model, num_experts=8, num_experts_per_tok=2, tokens=ids, method="granular", granularity=2)
    assert receipt.exact

* ``copy``: every expert is the dense feed-forward block (arXiv 2212.05055).
* ``granular``: the block is cut into G shards along its intermediate columns; expert e holds shard e mod G, and the G
  experts of a *virtual group* share a router row, so that top-k takes whole groups (arXiv 2410.07524). The routing
  weights of a shard then sum to 1/G over the chosen groups, so its output must grow by G. All of that scale is on
  ``down_proj``, where the block is linear: on ``gate_proj``, as in that paper, it would pass through the activation.
* ``noise``: the same, plus Gaussian noise on every weight.
* ``drop``: the same, with a share of each expert's intermediate columns drawn anew (Drop-Upcycling, arXiv 2502.19261).

``copy`` and ``granular`` preserve the function or are refused; the other two report what they cost.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import torch

from trimtab.errors import ConfigurationError, UnsupportedModelError, nearest
from trimtab.moe.preservation import PreservationReceipt, errors, tolerance
from trimtab.moe.upcycle_targets import carry_over, require_plain, target_config

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor
    from transformers import PreTrainedModel

Method = Literal["copy", "noise", "drop", "granular"]
_EXACT: Final = ("copy", "granular")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How experts are made of a feed-forward block; see :func:`upcycle`."""

    method: Method
    num_experts: int
    num_experts_per_tok: int
    granularity: int
    drop_ratio: float
    noise_std: float
    seed: int
    layers: tuple[int, ...] | None

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ConfigurationError(f"upcycle(method={self.method!r}): {nearest(str(self.method), get_args(Method))}")
        if not 1 <= self.num_experts_per_tok <= self.num_experts:
            raise ConfigurationError(
                f"upcycle(num_experts_per_tok={self.num_experts_per_tok}) must be between 1 and"
                f" num_experts={self.num_experts}"
            )
        if self.granularity < 1 or self.num_experts % self.granularity:
            raise ConfigurationError(
                f"upcycle(granularity={self.granularity}) must divide num_experts={self.num_experts}: each virtual"
                " group holds every shard once"
            )
        if self.method == "copy" and self.granularity != 1:
            raise ConfigurationError(
                f"upcycle(method='copy', granularity={self.granularity}): a copy is whole", hint="method='granular'"
            )
        if not 0 <= self.drop_ratio <= 1:
            raise ConfigurationError(f"upcycle(drop_ratio={self.drop_ratio!r}) must lie between 0 and 1")
        if not (self.noise_std >= 0 and math.isfinite(self.noise_std)):
            raise ConfigurationError(f"upcycle(noise_std={self.noise_std!r}) must be finite and not negative")

    def sparse(self, count: int) -> Sequence[int]:
        """Return the numbers of the layers that become sparse in a model of ``count``."""
        return range(count) if self.layers is None else self.layers


def upcycle(  # noqa: PLR0913 - one keyword for each choice, as the field names them
    model: PreTrainedModel,
    *,
    num_experts: int,
    num_experts_per_tok: int,
    tokens: Tensor,
    method: Method = "copy",
    granularity: int = 1,
    drop_ratio: float = 0.5,
    noise_std: float = 0.01,
    seed: int = 0,
    layers: Sequence[int] | None = None,
) -> tuple[PreTrainedModel, PreservationReceipt]:
    """Make a stock transformers mixture of experts of a dense model.

    Every layer becomes sparse, or those of ``layers``. Router rows are drawn from N(0, ``initializer_range``²), one for
    each virtual group. The model itself and the global random state stay as they are.

    Args:
        model: A Llama (SmolLM), Mistral, Qwen2 or Qwen3 model with its language-model head.
        num_experts: Experts E of each layer, a multiple of ``granularity``.
        num_experts_per_tok: Experts k of each token. Routing weights sum to 1, so a router with k = 1 cannot learn.
        tokens: [B, S] token ids on which the receipt is measured: real text, no padding.
        method: ``copy``, ``noise``, ``drop`` or ``granular``.
        granularity: Shards G of each dense block; each expert is 1/G as wide. For every method but ``copy``.
        drop_ratio: Of ``drop``: share r of the intermediate columns of each expert that is drawn anew from the normal
            distribution with the mean and standard deviation of what the same columns held, matrix by matrix.
        noise_std: Of ``noise``: in standard deviations of the matrix it is added to.
        seed: Of every draw; draws do not depend on the device.
        layers: Numbers of the layers that become sparse, negative ones from the end; None for all. Llama and Mistral
            then become Qwen2-MoE, because Mixtral has no dense layers.

    Returns:
        The mixture, on the device and in the precision and mode of ``model``, and its receipt.

    Raises:
        UnsupportedModelError: No stock mixture can be this model, and why.
        ConfigurationError: The numbers do not fit each other, or ``copy`` or ``granular`` would not be exact (k is no
            multiple of G): with the error it would cost, measured on ``tokens``.
    """
    if layers is not None:
        require_plain(model)
    recipe = Recipe(
        method=method,
        num_experts=num_experts,
        num_experts_per_tok=num_experts_per_tok,
        granularity=granularity,
        drop_ratio=drop_ratio,
        noise_std=noise_std,
        seed=seed,
        layers=None if layers is None else _resolve(layers, len(model.model.layers)),
    )
    config = _configure(model, recipe)
    _check_tokens(tokens, int(config.vocab_size))
    limit = tolerance(model.dtype)
    mixture = _build(model, config, recipe)
    receipt = _measure(model, mixture, recipe, tokens, limit)
    if method in _EXACT and not receipt.exact:
        raise _refusal(recipe, receipt)
    return mixture, receipt


def _resolve(layers: Sequence[int], count: int) -> tuple[int, ...]:
    resolved = [layer + count if layer < 0 else layer for layer in layers]
    for given, layer in zip(layers, resolved, strict=True):
        if not 0 <= layer < count or resolved.count(layer) > 1:
            raise ConfigurationError(
                f"upcycle(layers={list(layers)}): {given} is no layer of a model of {count}, or is named twice",
                hint=f"numbers from 0 to {count - 1}, or negative ones from the end",
            )
    if not resolved:
        raise ConfigurationError("upcycle(layers=[]) would leave the model dense", hint="layers=None for all of them")
    return tuple(sorted(resolved))


def _configure(model: PreTrainedModel, recipe: Recipe) -> Any:  # noqa: ANN401 - one of three classes
    shards = recipe.granularity
    columns = int(getattr(getattr(model, "config", None), "intermediate_size", shards))
    if columns % shards:
        raise ConfigurationError(f"upcycle(granularity={shards}) must divide intermediate_size={columns}")
    return target_config(
        model,
        num_experts=recipe.num_experts,
        num_experts_per_tok=recipe.num_experts_per_tok,
        width=columns // shards,
        dense_layers=[] if recipe.layers is None else sorted(set(range(len(model.model.layers))) - set(recipe.layers)),
    )


def _build(model: PreTrainedModel, config: Any, recipe: Recipe) -> Any:  # noqa: ANN401 - one of three classes
    from transformers import AutoModelForCausalLM  # noqa: PLC0415 - heavy, and needed only here

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        mixture = AutoModelForCausalLM.from_config(
            config,
            dtype=model.dtype,
            attn_implementation=model.config._attn_implementation,  # noqa: SLF001 - no other name
        )
    mixture.generation_config = copy.deepcopy(model.generation_config)
    carry_over(model, mixture, recipe.sparse(len(mixture.model.layers)))
    _fill(model, mixture, recipe)
    return mixture.to(model.device).train(model.training)


@torch.no_grad()
def _fill(model: Any, mixture: Any, recipe: Recipe) -> None:  # noqa: ANN401 - layers by their names
    """Write the routers and experts of every layer."""
    generator = torch.Generator().manual_seed(recipe.seed)
    # Routers first: one seed gives all methods the same, and so the same routing.
    numbers = recipe.sparse(len(mixture.model.layers))
    pairs = [(model.model.layers[number], mixture.model.layers[number]) for number in numbers]
    for _, sparse in pairs:
        fill_router(sparse.mlp.gate.weight, recipe.granularity, mixture.config.initializer_range, generator)
    for dense, sparse in pairs:
        fill_experts(dense.mlp, sparse.mlp.experts, recipe.granularity, lambda parts: _change(parts, recipe, generator))
        if hasattr(sparse.mlp, "shared_expert"):
            sparse.mlp.shared_expert.down_proj.weight.zero_()


def fill_router(weight: Tensor, shards: int, std: float, generator: torch.Generator) -> None:
    """Draw router rows [E, H] from N(0, ``std``²), one for all the experts of a virtual group of ``shards``."""
    groups = torch.randn(weight.shape[0] // shards, weight.shape[1], generator=generator) * std
    weight.copy_(groups.repeat_interleave(shards, dim=0))


def fill_experts(
    dense: Any,  # noqa: ANN401 - layers by their names
    experts: Any,  # noqa: ANN401 - as above
    shards: int,
    change: Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]] = lambda parts: parts,
) -> None:
    """Write gate_up_proj [E, 2I, H] and down_proj [E, H, I] of one layer: expert e holds shard e mod G of ``dense``.

    Args:
        dense: A gated feed-forward block.
        experts: What is written to.
        shards: G.
        change: Applied to the matrices gate, up and down, each [I, H], of every expert.
    """
    # Half precision is widened, so that noise is not rounded before it is added.
    matrices = [layer.weight.float() for layer in (dense.gate_proj, dense.up_proj, dense.down_proj)]
    gate, up, down = matrices[0].chunk(shards), matrices[1].chunk(shards), (matrices[2].T * shards).chunk(shards)
    for expert in range(len(experts.gate_up_proj)):
        shard = expert % shards
        changed = change((gate[shard], up[shard], down[shard]))
        experts.gate_up_proj[expert].copy_(torch.cat(changed[:2]))
        experts.down_proj[expert].copy_(changed[2].T)


def _change(parts: tuple[Tensor, ...], recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Return the matrices [I, H] of one expert as its method changes them."""
    if recipe.method == "noise":
        return tuple(part + recipe.noise_std * part.std() * _normal(part, generator) for part in parts)
    if recipe.method == "drop":
        return redraw(parts, recipe.drop_ratio, generator)
    return parts


def redraw(parts: tuple[Tensor, ...], ratio: float, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Return the matrices [I, H] of one expert with a share of their rows drawn anew, the same rows in all."""
    width = len(parts[0])
    # A product such as 0.29 · 100 falls short of the whole number it means.
    chosen = torch.randperm(width, generator=generator)[: math.floor(ratio * width + 1e-9)]
    return tuple(_redraw(part, chosen.to(part.device), generator) for part in parts)


def _redraw(part: Tensor, chosen: Tensor, generator: torch.Generator) -> Tensor:
    """Draw the chosen rows of [I, H] anew with their own mean and deviation, as the abstract of 2502.19261 has it."""
    if not len(chosen):
        return part
    old = part[chosen]
    return part.index_copy(0, chosen, old.mean() + old.std(correction=0) * _normal(old, generator))


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator).to(like)


def _check_tokens(tokens: Tensor, vocab_size: int) -> None:
    if tokens.ndim != 2 or not tokens.numel() or tokens.is_floating_point():
        raise ConfigurationError(
            f"upcycle(tokens=...) has shape {tuple(tokens.shape)} and {tokens.dtype}; it must hold token ids [B, S]"
        )
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= vocab_size:
        raise ConfigurationError(f"upcycle(tokens=...) holds ids from {low} to {high}; vocab_size is {vocab_size}")


def _measure(
    model: PreTrainedModel,
    mixture: Any,  # noqa: ANN401 - as above
    recipe: Recipe,
    tokens: Tensor,
    limit: float,
) -> PreservationReceipt:
    layers, logits = errors(model, mixture, tokens.to(model.device))
    return PreservationReceipt(
        method=recipe.method,
        source=model.config.model_type,
        target=mixture.config.model_type,
        num_experts=recipe.num_experts,
        num_experts_per_tok=recipe.num_experts_per_tok,
        granularity=recipe.granularity,
        seed=recipe.seed,
        tokens=tokens.numel(),
        layers=layers,
        logits=logits,
        tolerance=limit,
        exact=all(error <= limit for error in (*layers, logits)),
    )


def _refusal(recipe: Recipe, receipt: PreservationReceipt) -> ConfigurationError:
    k, shards = recipe.num_experts_per_tok, recipe.granularity
    cost = (
        f"feed-forward blocks would differ by up to {max(receipt.layers):.1%} and logits by {receipt.logits:.1%}"
        f" on the {receipt.tokens} tokens given"
    )
    if k % shards:
        above = k + shards - k % shards  # at most num_experts, which is a multiple of granularity
        return ConfigurationError(
            f"upcycle(num_experts_per_tok={k}, granularity={shards}) cannot be exact: top-{k} would cut through a"
            f" virtual group of {shards} shards, and {cost}",
            hint=f"num_experts_per_tok={above}, or method='noise' or 'drop', which report their error",
        )
    return UnsupportedModelError(
        f"upcycling this {receipt.source} model to {receipt.target} should be exact and is not: {cost}"
        f" (rounding explains {receipt.tolerance:.1g})",
        hint="check the weights for values that are not finite, or upcycle in float32",
    )
