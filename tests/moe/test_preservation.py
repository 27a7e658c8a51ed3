"""Errors are measured where they arise, and measuring leaves no trace."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from trimtab.errors import UnsupportedModelError
from trimtab.moe.preservation import errors, tolerance


def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2}
        return LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=64, attention_dropout=0.5))


def test_only_the_block_that_differs_is_off_and_by_what_was_planted(text):
    dense, other = model().train(), model()
    other.model.layers[1].mlp.down_proj.weight.data *= 1.25
    layers, logits = errors(dense, other, text)
    assert layers == pytest.approx((0.0, 0.25, 0.0), abs=1e-6)
    assert 0 < logits < 0.25
    assert dense.training  # and dropout was off while measuring, or the others would differ
    assert not any(module._forward_hooks for module in dense.modules())


def test_an_error_beside_a_silent_block_is_large_and_none_is_none(text):
    dense, same, other = model(), model(), model()
    for silent in (dense, same):
        silent.model.layers[0].mlp.down_proj.weight.data.zero_()
    assert errors(dense, same, text)[0] == (0.0, 0.0, 0.0)
    assert errors(dense, other, text)[0][0] > 1e6


@pytest.mark.parametrize("dtype", [torch.float64, torch.int8])
def test_a_precision_that_stock_experts_lack_is_refused(dtype):
    with pytest.raises(UnsupportedModelError, match=f"a model in {dtype} cannot"):
        tolerance(dtype)
