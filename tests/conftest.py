"""What several rooms' tests share."""

import importlib.util
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def synthetic():
    """The generator of run folders with known effects, tests/synthetic.py."""
    location = importlib.util.spec_from_file_location("synthetic", Path(__file__).with_name("synthetic.py"))
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def evidence_data():
    """The folder of the evidence data: TRIMTAB_DATA, or beside the repository."""
    shared = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TRIMTAB_DATA") or shared) / "evidence"
    if not folder.is_dir():
        pytest.skip(f"no evidence data in {folder}: set TRIMTAB_DATA")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A folder with a real transformer of two layers, random weights, and a tokenizer that knows a dozen words."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: PLC0415 - comes with transformers

    path = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=512,
    )  # fmt: skip
    transformers.LlamaModel(config).save_pretrained(path)
    words = [
        "[UNK]",
        *["loss", "free", "balancing", "of", "experts", "under", "a", "tight", "capacity", "bridges", "and", "tea"],
    ]
    inner = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))  # noqa: S106
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]").save_pretrained(path)  # noqa: S106
    return path
