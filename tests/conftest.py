"""What several rooms' tests share."""

import gc
import importlib.util
import os
from pathlib import Path

import pytest

# `make test` has two workers on two cores, and torch gives each process a thread a core: threads that wait for a core
# spin, which took six times the CPU seconds of a process with one thread. Set before anything imports torch; the
# processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Modules and ten thousand tests that are collected stay: going through them for garbage took a third of the seconds.
gc.disable()


def pytest_collection_finish():
    """Collect garbage from here on, but not among what is there now."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items):
    """Put files with a slow test first: when one of them comes last, the other worker has nothing left to do."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


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


@pytest.fixture(scope="session")
def tiny_dense(tmp_path_factory):
    """A folder with a real Llama of three layers, random weights, and a tokenizer whose tokens are bytes."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415 - comes with transformers

    folder = tmp_path_factory.mktemp("dense")
    alphabet = ["<end>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    engine = Tokenizer(models.BPE({sign: number for number, sign in enumerate(alphabet)}, []))
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=257, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=1, tie_word_embeddings=True, initializer_range=0.2, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    end = {"eos_token": "<end>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=engine, **end).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def make_mixture():
    """Make a tiny random Qwen3-MoE over bytes, whose first layer is dense."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")

    def make(layers=3, experts=8, **settings):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            config = transformers.Qwen3MoeConfig(
                vocab_size=257, hidden_size=32, intermediate_size=48, moe_intermediate_size=16,
                num_hidden_layers=layers, num_attention_heads=2, num_key_value_heads=2, head_dim=16,
                num_experts=experts, num_experts_per_tok=2, norm_topk_prob=True, mlp_only_layers=[0],
                max_position_embeddings=128, initializer_range=0.2, eos_token_id=256, pad_token_id=256,
                bos_token_id=None, **settings,
            )  # fmt: skip
            return transformers.Qwen3MoeForCausalLM(config).eval()

    return make


@pytest.fixture(scope="session")
def mixture_folder(make_mixture, tmp_path_factory):
    """The folder of a checkpoint of such a mixture, with a tokenizer of bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415 - comes with transformers
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415 - as above

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: place for place, letter in enumerate([*letters, "<end>"])}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    folder = tmp_path_factory.mktemp("mixture")
    make_mixture().save_pretrained(folder)
    ends = dict.fromkeys(("eos_token", "pad_token"), "<end>")
    PreTrainedTokenizerFast(tokenizer_object=inner, **ends).save_pretrained(folder)
    return folder
