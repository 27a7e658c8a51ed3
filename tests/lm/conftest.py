"""A dense model small enough for tests, in a folder as transformers writes it."""

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


def save_tiny_dense(folder):
    """Write a Llama of three layers over the bytes of a text; each byte is a token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    engine = Tokenizer(models.BPE({sign: number for number, sign in enumerate(["<end>", *alphabet])}, []))
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=257,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
        initializer_range=0.2,
        bos_token_id=0,
        eos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=engine, eos_token="<end>").save_pretrained(folder)  # noqa: S106 - no password


@pytest.fixture(scope="session")
def tiny_dense(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dense")
    save_tiny_dense(folder)
    return folder
