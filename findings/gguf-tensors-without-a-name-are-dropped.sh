#!/usr/bin/env bash
# transformers 5.17.0: tensors of a GGUF file for which it has no name are dropped, and what lacks weights is random.
#
# llama.cpp writes Mixtral under the architecture "llama", told apart by `llama.expert_count` and stacked tensors
# `ffn_*_exps`. from_pretrained(gguf_file=...) reads such a file as a dense LlamaForCausalLM: every MLP is initialized
# at random, so two loads of one file give two models, and the experts in the file are used by nothing. The names of the
# layers that lack weights are in `missing_keys`; the dropped tensors are nowhere, `unexpected_keys` is empty. The same happens to
# the attention biases of a Llama that has them: with all keys found, the model computes without the biases.
# Output seen: LlamaForCausalLM, 6 missing keys, 0 unexpected; an MLP of two loads is not equal, standard deviation 0.020
# where the file's experts have 1; with biases 0 missing, 0 unexpected, and the logits are those without them.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 transformers==5.17.0 accelerate==1.15.0 gguf==0.19.0 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import sys

import gguf
import numpy as np
import torch
import transformers

folder = sys.argv[1]
print("torch", torch.__version__, "transformers", transformers.__version__)
transformers.logging.set_verbosity_error()
HIDDEN, WIDTH, WORDS, LAYERS, EXPERTS = 32, 48, 64, 2, 4


def write(name, experts=0, biases=False):
    chance = np.random.default_rng(0)
    header = gguf.GGUFWriter(f"{folder}/{name}", "llama")
    header.add_context_length(64)
    header.add_embedding_length(HIDDEN)
    header.add_block_count(LAYERS)
    header.add_feed_forward_length(WIDTH)
    header.add_head_count(2)
    header.add_head_count_kv(2)
    header.add_layer_norm_rms_eps(1e-5)
    header.add_vocab_size(WORDS)
    if experts:
        header.add_expert_count(experts)
        header.add_expert_used_count(2)
    square, table = (HIDDEN, HIDDEN), (WORDS, HIDDEN)
    tensors = {"token_embd.weight": chance.normal(size=table), "output.weight": chance.normal(size=table)}
    tensors["output_norm.weight"] = np.ones(HIDDEN)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        for part in ("q", "k", "v", "output"):
            tensors[f"{block}attn_{part}.weight"] = chance.normal(size=square)
        tensors |= {f"{block}attn_norm.weight": np.ones(HIDDEN), f"{block}ffn_norm.weight": np.ones(HIDDEN)}
        for part, shape in (("gate", (WIDTH, HIDDEN)), ("up", (WIDTH, HIDDEN)), ("down", (HIDDEN, WIDTH))):
            if experts:
                tensors[f"{block}ffn_{part}_exps.weight"] = chance.normal(size=(experts, *shape))
            else:
                tensors[f"{block}ffn_{part}.weight"] = chance.normal(size=shape)
        if experts:
            tensors[f"{block}ffn_gate_inp.weight"] = chance.normal(size=(experts, HIDDEN))
    if biases:
        for layer in range(LAYERS):
            for part in ("q", "k", "v"):
                tensors[f"blk.{layer}.attn_{part}.bias"] = 5 * chance.normal(size=HIDDEN)
    for key, value in tensors.items():
        header.add_tensor(key, np.ascontiguousarray(value, dtype=np.float32))
    header.write_header_to_file()
    header.write_kv_data_to_file()
    header.write_tensors_to_file()
    header.close()


def load(name):
    model, told = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, output_loading_info=True)
    with torch.no_grad():
        logits = model(torch.arange(10)[None]).logits
    missing, unexpected = len(told["missing_keys"]), len(told["unexpected_keys"])
    print(name, type(model).__name__, "missing", missing, "unexpected", unexpected)
    return model, missing, unexpected, logits


write("mixtral.gguf", experts=EXPERTS)
first, again = load("mixtral.gguf"), load("mixtral.gguf")
apart = [each[0].model.layers[0].mlp.up_proj.weight for each in (first, again)]
print("an MLP of the mixture, loaded twice: standard deviations", *(f"{float(each.std()):.3f}" for each in apart))
print("equal:", torch.equal(*apart), "; the experts of the file have 1.000")
assert type(first[0]).__name__ == "LlamaForCausalLM"
assert first[1] == 6 and first[2] == 0 and not torch.equal(*apart)

write("plain.gguf")
write("biased.gguf", biases=True)
plain, biased = load("plain.gguf"), load("biased.gguf")
print("the biases change logits by", float((plain[3] - biased[3]).abs().max()))
assert biased[1] == biased[2] == 0 and torch.equal(plain[3], biased[3])
print("as described")
PY
"$folder/env/bin/python" "$folder/check.py" "$folder"
