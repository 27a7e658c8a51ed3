"""Attention without copies against transformers' own: the same result, and the copies gone."""

from __future__ import annotations

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from trimtab.lm import cache
from trimtab.lm.grouped_attention import NAME, attend, without_copies


def llama(**settings):
    torch.manual_seed(0)
    shape = {"hidden_size": 36, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 6}
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, **shape, **settings)).eval()


@pytest.mark.parametrize("heads", [1, 2, 3, 6])
@torch.inference_mode()
def test_prompt_and_decoding_are_those_of_transformers(heads):
    model = llama(num_key_value_heads=heads)
    ids = torch.randint(0, 64, (3, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.ones(3, 9, dtype=torch.long)
    mask[0, :4] = 0  # padded on the left

    def read_and_decode():
        past = cache.growing(model.config)
        prompt = model(ids, attention_mask=mask, past_key_values=past).logits
        longer = torch.cat([mask, mask.new_ones(3, 1)], dim=1)
        return prompt[mask.bool()], model(ids[:, :1], attention_mask=longer, past_key_values=past).logits

    expected = read_and_decode()
    with without_copies(model):
        assert model.config._attn_implementation == NAME
        for logits, theirs in zip(read_and_decode(), expected, strict=True):
            torch.testing.assert_close(logits, theirs, rtol=0, atol=1e-6)
    assert model.config._attn_implementation == "sdpa"


def test_a_model_with_another_attention_keeps_it():
    model = llama(num_key_value_heads=2, attn_implementation="eager")
    with without_copies(model):
        assert model.config._attn_implementation == "eager"
    assert model.config._attn_implementation == "eager"


def test_the_models_own_attention_returns_after_an_error():
    model = llama(num_key_value_heads=2)
    with pytest.raises(ZeroDivisionError), without_copies(model):
        raise ZeroDivisionError
    assert model.config._attn_implementation == "sdpa"


def test_keys_and_values_are_not_copied():
    layer = llama(num_key_value_heads=2).model.layers[0].self_attn
    query, key = torch.randn(4, 6, 1, 6), torch.randn(4, 2, 500, 6)
    mask = torch.ones(4, 1, 1, 500, dtype=torch.bool)

    def bytes_taken(function):
        with torch.inference_mode(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
            function(layer, query, key, key.clone(), mask)
        return sum(max(0, event.self_cpu_memory_usage) for event in record.events())

    copied = 2 * 4 * 6 * 500 * 6 * 4  # keys and values, repeated for six heads, in bytes
    assert bytes_taken(sdpa_attention_forward) >= bytes_taken(attend) + copied
