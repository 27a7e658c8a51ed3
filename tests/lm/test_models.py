"""The presets: what the study says it trains is what is built."""

import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.lm import models
from trimtab.settings.fresh_models import FreshModel


@pytest.mark.parametrize("preset", ["sigmoid", "softmax"])
def test_layer_0_is_dense_and_the_others_are_not(preset):
    model = models.build(FreshModel(preset=preset), seed=0, vocab_size=64)
    assert [hasattr(layer.mlp, "experts") for layer in model.model.layers] == [False, True, True, True]
    assert 1.5e6 < models.count_parameters(model) < 2.5e6


def test_a_seed_is_a_model_and_leaves_the_global_state_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, two, other = (models.build(FreshModel(), seed=seed, vocab_size=64) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    same = [torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(one.lm_head.weight, other.lm_head.weight)


def test_without_feed_forward_nothing_but_attention_is_left():
    model = models.build(FreshModel(feed_forward="none"), seed=0, vocab_size=64)
    assert not any("experts" in name or "mlp" in name for name, _ in model.named_parameters())
    assert model(input_ids=torch.ones(1, 4, dtype=torch.long)).logits.shape == (1, 4, 64)


def test_an_unknown_preset_is_named():
    with pytest.raises(ConfigurationError, match="'relu'"):
        FreshModel(preset="relu")
