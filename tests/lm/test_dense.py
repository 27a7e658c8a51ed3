import shutil

import pytest
import torch

from trimtab.errors import UnsupportedModelError
from trimtab.lm import dense


def test_a_folder_is_loaded_at_rest_and_writes(tiny_dense, tmp_path):
    loaded = dense.load(str(tiny_dense), tmp_path)
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert loaded.completer.model is loaded.model
    assert loaded.tokenizer.decode(loaded.tokenizer.encode("def f():\n")) == "def f():\n"
    with torch.inference_mode():
        assert loaded.model(input_ids=torch.tensor([[1, 2]])).logits.shape == (1, 2, 257)


def test_other_weights_have_another_identity(tiny_dense, tmp_path):
    first = dense.load(str(tiny_dense), tmp_path).identity
    copy = shutil.copytree(tiny_dense, tmp_path / "copy")
    assert dense.load(str(copy), tmp_path).identity == first
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    assert dense.load(str(copy), tmp_path).identity != first


def test_a_family_whose_blocks_are_no_gated_ones_is_refused(tmp_path):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path / "gpt2"
    config = transformers.GPT2Config(vocab_size=257, n_embd=16, n_layer=1, n_head=2)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    from tokenizers import Tokenizer, models  # noqa: PLC0415 - comes with transformers

    transformers.PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE({"a": 0}, []))).save_pretrained(folder)
    with pytest.raises(UnsupportedModelError):
        dense.load(str(folder), tmp_path)


def test_a_lock_ends_with_its_block(tmp_path):
    with dense.lock(tmp_path / "made" / "a.lock"):
        assert (tmp_path / "made" / "a.lock").exists()
    with dense.lock(tmp_path / "made" / "a.lock"):
        pass
