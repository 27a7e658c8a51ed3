"""Families that no stock mixture can be are refused, and told why."""

import re

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, LlamaModel

from trimtab.errors import UnsupportedModelError
from trimtab.moe.upcycle import upcycle
from trimtab.moe.upcycle_targets import TARGETS

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def dense(kind, **settings):
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**SIZES, **settings}))


def refusal(model, text):
    with pytest.raises(UnsupportedModelError) as caught:
        upcycle(model, num_experts=4, num_experts_per_tok=2, method="copy", tokens=text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "settings", "why"),
    [
        (
            "llama",
            {"attention_bias": True},
            r"'model.layers.0.self_attn.k_proj.bias': \(16,\) in the dense model, absent",
        ),
        ("llama", {"mlp_bias": True}, "layer 0 is no plain gated block: down_proj.bias, gate_proj.bias, up_proj.bias"),
        ("qwen3", {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}, "attend in a window"),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0}, "attend in a window"),
        ("smollm3", {}, "attend without positions"),
        ("olmo2", {}, "norms follow attention"),
        ("phi3", {}, "projections are fused"),
        ("mixtral", {"num_local_experts": 4}, "valid: 'llama', 'mistral', 'qwen2', 'qwen3'"),
    ],
)
def test_what_cannot_be_exact_is_refused_with_the_reason(text, kind, settings, why):
    message = refusal(dense(kind, **settings), text)
    assert re.search(why, message), message


def test_a_model_without_its_head_and_a_foreign_module_are_refused(text):
    headless = LlamaModel(AutoConfig.for_model("llama", **SIZES))
    assert "only LlamaForCausalLM can" in refusal(headless, text)
    assert "Linear ('') cannot be upcycled" in refusal(nn.Linear(2, 2), text)


def test_an_adapter_inside_is_refused(text):
    model = dense("llama")
    model.model.layers[1].mlp.register_parameter("lora_A", nn.Parameter(torch.zeros(2)))
    assert "layer 1 is no plain gated block: lora_A" in refusal(model, text)


@pytest.mark.parametrize("kind", sorted(TARGETS))
def test_every_target_is_a_family_of_the_installed_transformers(kind):
    target = TARGETS[kind]
    assert type(dense(kind)).__name__ == target.dense_class
    config = AutoConfig.for_model(target.model_type)
    for name in (target.experts, target.width, *target.carried, *target.fixed):
        assert hasattr(config, name)
