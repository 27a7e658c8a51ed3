"""Which tokens are images: by the ids a model was called with and the names its configuration gives them."""

from types import SimpleNamespace

import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.image_tokens import image_tokens


def model(**config):
    module = torch.nn.Module()
    module.config = SimpleNamespace(**config)
    return module


IDS = torch.tensor([[5, 60, 61], [60, 7, 8]])


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"image_token_id": 60}, [False, True, False, True, False, False]),
        ({"image_token_index": 60, "video_token_id": 61}, [False, True, True, True, False, False]),
        ({"image_token_id": None, "video_token_index": 8}, [False, False, False, False, False, True]),
    ],
)
def test_image_and_video_tokens_are_told_by_their_ids(config, expected):
    assert image_tokens([(model(**config), {"input_ids": IDS})]).tolist() == expected


def test_the_outermost_model_that_names_such_tokens_says_which_they_are():
    text = model(vocab_size=64)
    assert image_tokens([(text, {"input_ids": IDS})]) is None
    assert image_tokens([]) is None
    calls = [(model(image_token_id=60), {"input_ids": IDS}), (text, {"inputs_embeds": torch.zeros(2, 3, 4)})]
    assert int(image_tokens(calls).sum()) == 2
    with pytest.raises(ConfigurationError, match="Module was called without input_ids"):
        image_tokens([(model(image_token_id=60), {"input_ids": None})])
