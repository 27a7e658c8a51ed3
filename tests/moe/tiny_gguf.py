"""Tiny GGUF files as llama.cpp's converter writes them, with random weights."""

import gguf
import numpy as np

HIDDEN, LAYERS, HEADS, WIDTH, EXPERTS, EXPERT_WIDTH, VOCABULARY, HEAD = 32, 2, 2, 48, 4, 16, 64, 16


def write(path, architecture, *, experts=True, more=None, less=()):
    """Write a file; ``more`` tensors are added and ``less`` left out. Return the tensors."""
    header = gguf.GGUFWriter(str(path), architecture)
    header.add_context_length(64)
    header.add_embedding_length(HIDDEN)
    header.add_block_count(LAYERS)
    header.add_feed_forward_length(WIDTH)
    header.add_head_count(HEADS)
    header.add_head_count_kv(HEADS)
    header.add_layer_norm_rms_eps(1e-5)
    header.add_vocab_size(VOCABULARY)
    header.add_rope_freq_base(10000.0)
    header.add_tokenizer_model("gpt2")
    header.add_token_list(["a", "b", "ab", "ba", *(f"<{number}>" for number in range(4, VOCABULARY))])
    header.add_token_types([1] * VOCABULARY)
    header.add_token_merges(["a b", "b a"])
    header.add_bos_token_id(0)
    header.add_eos_token_id(1)
    if experts:
        header.add_expert_count(EXPERTS)
        header.add_expert_used_count(2)
    if architecture in {"qwen3moe", "gpt-oss"}:
        header.add_expert_feed_forward_length(EXPERT_WIDTH)
        header.add_key_length(HEAD)
        header.add_value_length(HEAD)
    tensors = _tensors(architecture, experts=experts) | (more or {})
    for name in less:
        del tensors[name]
    for name, value in tensors.items():
        header.add_tensor(name, np.ascontiguousarray(value, dtype=np.float32))
    header.write_header_to_file()
    header.write_kv_data_to_file()
    header.write_tensors_to_file()
    header.close()
    return tensors


def _tensors(architecture, *, experts):
    chance = np.random.default_rng(0)
    found = {
        "token_embd.weight": chance.normal(size=(VOCABULARY, HIDDEN)),
        "output_norm.weight": np.ones(HIDDEN),
        "output.weight": chance.normal(size=(VOCABULARY, HIDDEN)),
    }
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        names = {"attn_q", "attn_k", "attn_v", "attn_output"}
        found |= {f"{block}{name}.weight": chance.normal(size=(HIDDEN, HIDDEN)) for name in sorted(names)}
        found |= {f"{block}attn_norm.weight": np.ones(HIDDEN), f"{block}ffn_norm.weight": np.ones(HIDDEN)}
        if not experts:
            found |= {f"{block}ffn_{name}.weight": chance.normal(size=(WIDTH, HIDDEN)) for name in ("gate", "up")}
            found[f"{block}ffn_down.weight"] = chance.normal(size=(HIDDEN, WIDTH))
            continue
        width = WIDTH if architecture == "llama" else EXPERT_WIDTH
        found[f"{block}ffn_gate_inp.weight"] = chance.normal(size=(EXPERTS, HIDDEN))
        for name in ("gate", "up"):
            found[f"{block}ffn_{name}_exps.weight"] = chance.normal(size=(EXPERTS, width, HIDDEN))
        found[f"{block}ffn_down_exps.weight"] = chance.normal(size=(EXPERTS, HIDDEN, width))
        if architecture == "qwen3moe":
            found |= {f"{block}attn_q_norm.weight": np.ones(HEAD), f"{block}attn_k_norm.weight": np.ones(HEAD)}
        if architecture == "gpt-oss":
            found[f"{block}post_attention_norm.weight"] = found.pop(f"{block}ffn_norm.weight")
            found[f"{block}attn_sinks.weight"] = chance.normal(size=HEADS)
            biases = {**dict.fromkeys(sorted(names), HIDDEN), "ffn_gate_inp": EXPERTS}
            found |= {f"{block}{name}.bias": chance.normal(size=size) for name, size in biases.items()}
            found |= {f"{block}ffn_{name}_exps.bias": chance.normal(size=(EXPERTS, width)) for name in ("gate", "up")}
            found[f"{block}ffn_down_exps.bias"] = chance.normal(size=(EXPERTS, HIDDEN))
    return found
