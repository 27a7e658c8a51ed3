"""Tiny mixture-of-experts language models, built from stock transformers configurations.

Two families, because the two kinds of balancing were published on two kinds of gate: ``sigmoid`` is a GLM-4-MoE (bias
buffer of its own, DeepSeek-V3's gate), ``softmax`` a Qwen3-MoE (no bias; the gate we attach adds one). Layer 0 is dense
in both, because a first-layer router sees little but the token itself and no bias rule can split one token (MaxVio is
at least E·f/k − 1 for a token of frequency f). There is no shared expert, which would absorb a collapse.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import Glm4MoeConfig, Glm4MoeForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from trimtab.settings.fresh_models import FreshModel


def build(size: FreshModel, *, seed: int, vocab_size: int = 1024) -> PreTrainedModel:
    """Build a freshly initialized model; the global random state is left as it was."""
    families = {"sigmoid": _sigmoid, "softmax": _softmax}
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # A shared expert of width 0 is how GLM-4-MoE says "none"; torch warns that it has nothing to initialize.
        warnings.filterwarnings("ignore", message="Initializing zero-element tensors")
        torch.manual_seed(seed)
        model = families[size.preset](size, vocab_size)
    if size.feed_forward == "none":
        for layer in model.model.layers:
            layer.mlp = NoFeedForward()
    return model


def count_parameters(model: nn.Module) -> int:
    """Count the parameters, tied ones once."""
    return sum(parameter.numel() for parameter in model.parameters())


class NoFeedForward(nn.Module):
    """A feed-forward block that adds nothing to the residual stream."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Return zeros in the shape of ``hidden_states``."""
        return torch.zeros_like(hidden_states)


def _shared(size: FreshModel, vocab_size: int) -> dict[str, Any]:
    return {
        "vocab_size": vocab_size,
        "hidden_size": size.hidden_size,
        "intermediate_size": size.intermediate_size,
        "moe_intermediate_size": size.moe_intermediate_size,
        "num_hidden_layers": size.num_hidden_layers,
        "num_attention_heads": size.num_attention_heads,
        "num_key_value_heads": size.num_attention_heads,
        "head_dim": size.hidden_size // size.num_attention_heads,
        "num_experts_per_tok": size.num_experts_per_tok,
        "norm_topk_prob": True,
        "max_position_embeddings": size.max_position_embeddings,
        "initializer_range": size.initializer_range,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def _sigmoid(size: FreshModel, vocab_size: int) -> PreTrainedModel:
    config = Glm4MoeConfig(
        **_shared(size, vocab_size), n_routed_experts=size.num_experts, n_shared_experts=0, first_k_dense_replace=1
    )
    return Glm4MoeForCausalLM(config)


def _softmax(size: FreshModel, vocab_size: int) -> PreTrainedModel:
    config = Qwen3MoeConfig(**_shared(size, vocab_size), num_experts=size.num_experts, mlp_only_layers=[0])
    return Qwen3MoeForCausalLM(config)
