"""Embeddings by a real transformer with random weights: pooling against an independent sum, errors, order."""

import numpy as np
import pytest
import torch
from transformers import AutoModel

from trimtab.errors import ConfigurationError
from trimtab.lm.embedding import LocalEmbedder


def test_a_vector_is_the_mean_of_the_last_hidden_states_at_length_one(tiny_model):
    found = LocalEmbedder(path=tiny_model).embed("loss free balancing")
    with torch.inference_mode():
        states = AutoModel.from_pretrained(tiny_model)(torch.tensor([[1, 2, 3]])).last_hidden_state[0].numpy()
    mean = (states[0] + states[1] + states[2]) / 3
    np.testing.assert_allclose(found, mean / np.sqrt((mean**2).sum()), atol=1e-6)
    assert found.dtype == np.float32


def test_a_vector_depends_on_its_text_alone_and_long_texts_are_cut(tiny_model):
    embedder = LocalEmbedder(path=tiny_model, longest=4)
    first = embedder.embed("tea and bridges")
    embedder.embed("experts under a tight capacity")
    assert np.array_equal(embedder.embed("tea and bridges"), first)
    assert np.array_equal(embedder.embed("tea and bridges of"), embedder.embed("tea and bridges of experts and tea"))


def test_a_model_is_named_by_its_bytes(tiny_model, tmp_path):
    before = LocalEmbedder(path=tiny_model).sha256
    assert LocalEmbedder(path=tiny_model).sha256 == before
    copy = tmp_path / "other"
    copy.mkdir()
    for file in tiny_model.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert LocalEmbedder(path=copy).sha256 == before
    (copy / "config.json").write_text("{}")
    assert LocalEmbedder(path=copy).sha256 != before


@pytest.mark.parametrize("there", [False, True])
def test_no_model_is_an_error_and_nothing_is_downloaded(tmp_path, there):
    path = tmp_path / "nothing"
    if there:
        path.mkdir()
    with pytest.raises(ConfigurationError, match="there is no model in"):
        _ = LocalEmbedder(path=path).sha256
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        LocalEmbedder(path=path).embed("tea")
