"""A model is chosen by its preset, and impossible dimensions are refused before it is built."""

import pytest

from trimtab.errors import StudyError
from trimtab.settings.fresh_models import FreshModel
from trimtab.settings.model_tables import BY_PRESET, MODELS, read_model


def test_a_preset_chooses_the_class():
    assert read_model({}, "x") == FreshModel()
    assert read_model({"preset": "softmax", "num_experts": 16}, "x") == FreshModel(preset="softmax", num_experts=16)
    assert {model for model in MODELS if set(model.presets) <= BY_PRESET.keys()} == set(MODELS)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"preset": "relu"}, "preset: unknown preset 'relu'"),
        ({"num_hidden_layers": 1}, "num_hidden_layers: 1 leaves no expert layer"),
        ({"hidden_size": 36, "num_attention_heads": 4}, "hidden_size: 36 is not an even multiple of 4 heads"),
        ({"num_experts": 2, "num_experts_per_tok": 3}, "num_experts_per_tok: 3 is not between 1 and num_experts = 2"),
        ({"num_experts_per_tok": 1}, "renormalized weight is always 1"),
        ({"initializer_range": 0.0}, "initializer_range: must be positive"),
        ({"hidden_size": 64.0}, "hidden_size: expected int, got 64.0"),
        ({"vocab_size": 3}, "unknown key 'vocab_size'"),
    ],
)
def test_impossible_dimensions_are_refused(table, message):
    with pytest.raises(StudyError, match=message) as caught:
        read_model(table, "study.models.x")
    assert "study.models.x" in caught.value.message


def test_it_says_what_its_routers_are_like():
    router = FreshModel(num_experts=16, num_experts_per_tok=4, hidden_size=64).router
    assert (router.num_experts, router.num_experts_per_tok, router.hidden_size, router.renormalize) == (16, 4, 64, True)
