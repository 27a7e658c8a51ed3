"""A file of weights is the model that is computed with, or an error names what it is not."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

import trimtab
from trimtab.errors import ConfigurationError
from trimtab.lm import pretrained
from trimtab.moe.whole_weights import load_whole

SIZES = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
IDS = torch.arange(3, 15)[None]


def load(name):
    location = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


tiny_gguf = load("tiny_gguf")


@pytest.fixture
def folder(tmp_path):
    """A saved Mixtral, and a way to change its weights by name."""
    torch.manual_seed(0)
    MixtralForCausalLM(MixtralConfig(num_local_experts=4, **SIZES)).save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"

    def change(edit):
        save_file(edit(load_file(path)), path, metadata={"format": "pt"})
        return str(tmp_path)

    return change


def test_a_whole_folder_is_loaded(folder):
    assert load_whole(AutoModelForCausalLM, folder(dict)).config.num_local_experts == 4


def test_missing_weights_are_named(folder):
    short = folder(
        lambda weights: {name: value for name, value in weights.items() if "layers.1.self_attn.q" not in name}
    )
    with pytest.raises(ConfigurationError, match=r"has no model\.layers\.1\.self_attn\.q_proj\.weight of Mixtral"):
        load_whole(AutoModelForCausalLM, short)


def test_weights_left_over_are_named(folder):
    long = folder(lambda weights: weights | {"model.layers.7.mlp.gate.weight": torch.ones(4, 32)})
    with pytest.raises(ConfigurationError, match=r"nothing uses, model\.layers\.7\.mlp\.gate\.weight"):
        load_whole(AutoModelForCausalLM, long)


def test_buffers_of_old_files_are_no_weights(folder):
    old = folder(lambda weights: weights | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)})
    load_whole(AutoModelForCausalLM, old)


def test_tied_weights_are_not_missing(tmp_path):
    LlamaForCausalLM(LlamaConfig(tie_word_embeddings=True, **SIZES)).save_pretrained(tmp_path)
    assert not any("lm_head" in name for name in load_file(tmp_path / "model.safetensors"))
    load_whole(AutoModelForCausalLM, str(tmp_path))


def test_a_trunk_alone_is_no_language_model(tmp_path):
    LlamaForCausalLM(LlamaConfig(**SIZES)).model.save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match=r"has no lm_head\.weight"):
        load_whole(AutoModelForCausalLM, str(tmp_path))


def test_a_dense_gguf_file_is_loaded(tmp_path):
    tensors = tiny_gguf.write(tmp_path / "a.gguf", "llama", experts=False)
    model = pretrained.load(str(tmp_path / "a.gguf")).model
    assert np.array_equal(model.lm_head.weight.detach().numpy(), tensors["output.weight"].astype(np.float32))


def test_a_mixtral_in_a_gguf_file_is_not_read_as_a_dense_llama(tmp_path):
    tiny_gguf.write(tmp_path / "a.gguf", "llama")
    with pytest.raises(ConfigurationError, match=r"mixture of 4 experts \(Mixtral\)"):
        pretrained.load(str(tmp_path / "a.gguf"))


def test_gpt_oss_in_a_gguf_file_says_which_experts_would_be_random(tmp_path):
    tiny_gguf.write(tmp_path / "a.gguf", "gpt-oss")
    with pytest.raises(ConfigurationError, match=r"has no model\.layers\.0\.mlp\.experts\.down_proj, .* and \d+ more"):
        pretrained.load(str(tmp_path / "a.gguf"))


def test_qwen3_moe_in_a_gguf_file_has_the_width_of_its_header(tmp_path):
    tensors = tiny_gguf.write(tmp_path / "a.gguf", "qwen3moe")
    model = pretrained.load(str(tmp_path / "a.gguf")).model
    assert model.config.moe_intermediate_size == tiny_gguf.EXPERT_WIDTH
    again = type(model)(model.config).eval()
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(again(IDS).logits, model(IDS).logits)
    both = model.model.layers[1].mlp.experts.gate_up_proj.detach().numpy()
    by_hand = np.concatenate([tensors["blk.1.ffn_gate_exps.weight"], tensors["blk.1.ffn_up_exps.weight"]], axis=1)
    assert np.array_equal(both, by_hand.astype(np.float32))


def test_a_width_that_is_not_that_of_the_weights_is_refused(tmp_path, monkeypatch):
    tiny_gguf.write(tmp_path / "a.gguf", "qwen3moe")
    monkeypatch.setattr("trimtab.lm.pretrained.gguf_options", lambda _: {})
    with pytest.raises(
        ConfigurationError, match=r"experts\.down_proj \(4, 32, 16\), by its configuration \(4, 32, 768\)"
    ):
        pretrained.load(str(tmp_path / "a.gguf"))


@pytest.mark.parametrize(
    ("extra", "value"),
    [
        ("blk.1.attn_q.bias", np.ones(tiny_gguf.HIDDEN)),
        ("blk.2.attn_norm.weight", np.ones(tiny_gguf.HIDDEN)),
        ("rope_freqs.weight", np.full(tiny_gguf.HEAD // 2, 8.0)),
    ],
)
def test_tensors_of_a_gguf_file_that_nothing_uses_are_named(tmp_path, extra, value):
    tiny_gguf.write(tmp_path / "a.gguf", "llama", experts=False, more={extra: value})
    with pytest.raises(ConfigurationError, match=extra):
        pretrained.load(str(tmp_path / "a.gguf"))


def test_frequencies_of_1_change_nothing(tmp_path):
    more = {"rope_freqs.weight": np.ones(tiny_gguf.HEAD // 2)}
    tiny_gguf.write(tmp_path / "a.gguf", "llama", experts=False, more=more)
    pretrained.load(str(tmp_path / "a.gguf"))


def test_tensors_that_a_gguf_file_lacks_are_named(tmp_path):
    tiny_gguf.write(tmp_path / "a.gguf", "llama", experts=False, less=["blk.1.ffn_up.weight"])
    with pytest.raises(ConfigurationError, match=r"has no model\.layers\.1\.mlp\.up_proj\.weight"):
        pretrained.load(str(tmp_path / "a.gguf"))


def test_what_is_no_gguf_file_is_said(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"GGML" + bytes(100))
    with pytest.raises(ConfigurationError, match="no GGUF file that can be read"):
        pretrained.load(str(tmp_path / "a.gguf"))


def test_what_was_attached_is_loaded_with_all_of_its_weights_or_not_at_all(tmp_path):
    model = MixtralForCausalLM(MixtralConfig(num_local_experts=4, **SIZES))
    gates = trimtab.attach(model, balancer=trimtab.NoBalancer())
    gates.save_pretrained(tmp_path)
    trimtab.load(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.layers.0.input_layernorm.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigurationError, match=r"has no model\.layers\.0\.input_layernorm\.weight"):
        trimtab.load(tmp_path)
