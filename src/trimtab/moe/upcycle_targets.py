"""Which stock mixture of transformers can be exactly a dense family, and why another cannot.

Upcycling replaces feed-forward blocks alone, so that everything else must be computed as before: the same attention
(projections, biases, norms of queries and keys, window), the same norms and positions, and routing weights that sum
to 1 over the chosen experts. That pairs Llama (SmolLM, SmolLM2) and Mistral with Mixtral, Qwen2 and Qwen2.5 with
Qwen2-MoE, and Qwen3 with Qwen3-MoE. Qwen2-MoE has a shared expert besides: it is narrow, and silent until trained.
Where some layers stay dense, Llama and Mistral without a window become Qwen2-MoE without biases, because Mixtral has no
dense layers.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import UnsupportedModelError, nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from torch import nn
    from transformers import PreTrainedModel

_CARRIED: Final = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "hidden_act",
    "max_position_embeddings",
    "initializer_range",
    "rms_norm_eps",
    "use_cache",
    "tie_word_embeddings",
    "rope_parameters",
    "attention_dropout",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
)
_PROJECTIONS: Final = {"gate_proj.weight", "up_proj.weight", "down_proj.weight"}
_SHARED_WIDTH: Final = 64  # columns: divisible by any degree of tensor parallelism, next to nothing beside real experts


@dataclass(frozen=True, slots=True, kw_only=True)
class UpcycleTarget:
    """The mixture that a dense family becomes."""

    dense_class: str
    model_type: str
    experts: str = "num_experts"
    width: str = "moe_intermediate_size"
    carried: tuple[str, ...] = ()
    fixed: dict[str, object] = field(default_factory=dict)
    shared: bool = False


_QWEN: Final[dict[str, object]] = {"norm_topk_prob": True, "decoder_sparse_step": 1, "mlp_only_layers": []}
TARGETS: Final = {
    "llama": UpcycleTarget(
        dense_class="LlamaForCausalLM", model_type="mixtral", experts="num_local_experts", width="intermediate_size"
    ),
    "mistral": UpcycleTarget(
        dense_class="MistralForCausalLM",
        model_type="mixtral",
        experts="num_local_experts",
        width="intermediate_size",
        carried=("sliding_window",),
    ),
    "qwen2": UpcycleTarget(
        dense_class="Qwen2ForCausalLM",
        model_type="qwen2_moe",
        carried=("intermediate_size",),
        fixed={**_QWEN, "qkv_bias": True},
        shared=True,
    ),
    "qwen3": UpcycleTarget(
        dense_class="Qwen3ForCausalLM",
        model_type="qwen3_moe",
        carried=("intermediate_size", "attention_bias"),
        fixed=_QWEN,
    ),
}
# What becomes of families whose usual mixture cannot leave a layer dense.
_PARTLY: Final = UpcycleTarget(
    dense_class="",
    model_type="qwen2_moe",
    carried=("intermediate_size",),
    fixed={**_QWEN, "qkv_bias": False},
    shared=True,
)
_WHY_NOT: Final = {
    "smollm3": "some of its layers attend without positions, which no stock mixture with its attention does",
    "gemma2": "its blocks have norms behind attention and feed-forward, which no stock mixture of its kind has",
    "gemma3_text": "its blocks have norms behind attention and feed-forward, which no stock mixture of its kind has",
    "phi3": "its attention projections are fused, which those of no stock mixture of its kind are",
    "olmo2": "its norms follow attention and feed-forward, while those of OLMoE precede them",
    "gpt2": "its feed-forward blocks are not gated",
    "gpt_neox": "its feed-forward blocks are not gated",
    "opt": "its feed-forward blocks are not gated",
}


def target_config(
    model: PreTrainedModel, *, num_experts: int, num_experts_per_tok: int, width: int, dense_layers: Sequence[int] = ()
) -> Any:  # noqa: ANN401 - the configurations share no useful type
    """Return the configuration of the mixture that ``model`` becomes.

    Args:
        model: The dense model, whole: with its language-model head.
        num_experts: Experts E of each layer.
        num_experts_per_tok: Experts k of each token.
        width: Intermediate columns of each expert.
        dense_layers: Layers that keep their feed-forward block.

    Raises:
        UnsupportedModelError: No stock mixture computes the rest of ``model``.
    """
    from transformers import AutoConfig  # noqa: PLC0415 - heavy, and needed only here

    require_plain(model)
    target, dense = _target(model), model.config
    if dense_layers and target.model_type == "mixtral":
        target = _partly(model)
    values = {name: getattr(dense, name, None) for name in (*_CARRIED, *target.carried)}
    values = {name: copy.deepcopy(value) for name, value in values.items() if value is not None}
    if "sliding_window" in target.carried:
        values["sliding_window"] = dense.sliding_window  # None says something: no window
    if target.shared:
        values["shared_expert_intermediate_size"] = min(_SHARED_WIDTH, width)
    values |= copy.deepcopy(target.fixed)
    values |= {target.experts: num_experts, target.width: width, "num_experts_per_tok": num_experts_per_tok}
    if dense_layers:
        values["mlp_only_layers"] = sorted(dense_layers)
    return AutoConfig.for_model(target.model_type, **values)


def require_plain(model: PreTrainedModel) -> None:
    """Refuse a dense model whose feed-forward blocks cannot become experts.

    Raises:
        UnsupportedModelError: Its family, its class, a window of attention or an addition to a block stands against it.
    """
    _target(model)
    _check(model)


def _partly(model: PreTrainedModel) -> UpcycleTarget:
    """Return the mixture with dense layers that a Llama or Mistral model becomes."""
    window = getattr(model.config, "sliding_window", None)
    if window is not None:
        raise UnsupportedModelError(
            f"{type(model).__name__} cannot keep dense layers: it attends in a window of {window}, which no stock"
            " mixture with dense layers and its attention does",
            hint="upcycle all layers",
        )
    return _PARTLY


def carry_over(dense: nn.Module, mixture: nn.Module, sparse: Collection[int]) -> None:
    """Copy every tensor but the feed-forward blocks of ``sparse`` layers from ``dense`` to ``mixture``.

    Raises:
        UnsupportedModelError: One has a tensor that the other lacks or has in another shape, such as a bias.
    """
    ours, theirs = _outside_blocks(dense, sparse), _outside_blocks(mixture, sparse)
    shapes = [{name: tuple(tensor.shape) for name, tensor in side.items()} for side in (ours, theirs)]
    differing = sorted({name for name, _ in shapes[0].items() ^ shapes[1].items()})
    if differing:
        name = differing[0]
        raise UnsupportedModelError(
            f"{type(dense).__name__} cannot become {type(mixture).__name__}: {len(differing)} tensors outside the"
            f" feed-forward blocks differ, the first {name!r}: {shapes[0].get(name, 'absent')} in the dense model,"
            f" {shapes[1].get(name, 'absent')} in the mixture"
        )
    mixture.load_state_dict(ours, strict=False)


def _target(model: PreTrainedModel) -> UpcycleTarget:
    name, kind = type(model).__name__, str(getattr(getattr(model, "config", None), "model_type", ""))
    target = TARGETS.get(kind)
    if target is None:
        why = _WHY_NOT.get(kind) or f"its family is none of those that can; {nearest(kind, TARGETS)}"
        raise UnsupportedModelError(f"{name} ({kind!r}) cannot be upcycled: {why}")
    if name != target.dense_class:
        raise UnsupportedModelError(
            f"{name} cannot be upcycled as it is: of the family {kind!r} only {target.dense_class} can",
            hint="merge adapters, and load the model with AutoModelForCausalLM",
        )
    return target


def _check(model: PreTrainedModel) -> None:
    """Refuse what a configuration of the target could not say."""
    name, dense = type(model).__name__, model.config
    if "sliding_attention" in (getattr(dense, "layer_types", None) or ()):
        raise UnsupportedModelError(
            f"{name} cannot be upcycled: some of its layers attend in a window (layer_types), which its mixture cannot"
            " say layer by layer",
            hint="use_sliding_window=False if sequences stay below the window",
        )
    for index, layer in enumerate(model.model.layers):
        extra = sorted(set(layer.mlp.state_dict()) ^ _PROJECTIONS)
        if extra:
            raise UnsupportedModelError(
                f"{name} cannot be upcycled: layer {index} is no plain gated block: {', '.join(extra)}"
                " (biases, adapters and quantized weights have no place in stock experts)"
            )


def _outside_blocks(model: nn.Module, sparse: Collection[int]) -> dict[str, Any]:
    blocks = tuple(f"model.layers.{layer}.mlp." for layer in sparse)
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(blocks)}
