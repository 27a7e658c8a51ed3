"""A cache that grows in place holds what transformers' own holds, and copies it seldom."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from trimtab.lm import cache

STEPS = st.lists(st.one_of(st.integers(1, 90), st.permutations(range(3)).map(lambda p: p[:2])), max_size=8)


@settings(deadline=None, max_examples=50)
@given(STEPS)
def test_it_holds_what_transformers_own_layer_holds(steps):
    torch.manual_seed(0)
    ours, theirs, rows = cache.GrowingLayer(), DynamicLayer(), 3
    for step in steps:
        if isinstance(step, int):
            new = torch.randn(2, rows, 2, step, 4)
            for layer in (ours, theirs):
                layer.update(new[0], new[1])
        elif rows == 3:
            rows = rows if theirs.get_seq_length() == 0 else len(step)
            for layer in (ours, theirs):
                layer.batch_select_indices(torch.tensor(step))
        assert ours.get_seq_length() == theirs.get_seq_length()
        if ours.get_seq_length():
            assert torch.equal(ours.keys, theirs.keys)
            assert torch.equal(ours.values, theirs.values)


@pytest.mark.parametrize("inference", [False, True])
def test_a_step_does_not_copy(inference):
    layer = cache.GrowingLayer()
    with torch.inference_mode(inference):
        layer.update(torch.zeros(1, 1, 5, 2), torch.zeros(1, 1, 5, 2))
        places = set()
        for _ in range(2 * cache.STEP):
            layer.update(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2))
            places.add((layer.keys.data_ptr(), layer.values.data_ptr()))
    assert len(places) <= 3


def test_layers_that_forget_stay_transformers_own():
    config = LlamaConfig(num_hidden_layers=2, layer_types=["full_attention", "sliding_attention"], sliding_window=8)
    kinds = [type(layer) for layer in cache.growing(config).layers]
    assert kinds[0] is cache.GrowingLayer
    assert kinds[1] is DynamicSlidingWindowLayer
