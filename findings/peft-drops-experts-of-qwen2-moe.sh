#!/usr/bin/env bash
# peft 0.21.2, transformers 5.17.0: what an adapter made with transformers 4 taught a Qwen2-MoE's experts is dropped, silently.
#
# transformers 5 keeps the experts of a layer as one parameter, and PEFT converts adapters of single experts that older
# runs saved. Their tensors are renamed for every family; which weights get an adapter is adjusted only for families in a
# table. Qwen2-MoE, whose name that table gives to the pattern, is not in it, nor are Phi-3.5-MoE, Jamba and LFM2-MoE. So
# attention gets its adapter, the experts get none, and their tensors belong nowhere. from_pretrained tells of adapters
# without tensors, not of tensors without an adapter. The model runs with untrained experts, and merge_and_unload() makes
# a checkpoint of them.
# Output seen: Qwen3-MoE: experts and attention changed. Qwen2-MoE, Phi-3.5-MoE, Jamba, LFM2-MoE: attention changed, the
# experts are those of the base model to the last bit, no warning.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 transformers==5.17.0 peft==0.21.2 accelerate==1.15.0 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import copy
import sys
import warnings

import peft
import torch
import transformers
from safetensors.torch import save_file

print("torch", torch.__version__, "transformers", transformers.__version__, "peft", peft.__version__)
transformers.logging.set_verbosity_error()
RANK, EXPERTS, HIDDEN, WIDTH = 4, 4, 32, 24
LLAMA, MIXTRAL = ("gate_proj", "up_proj", "down_proj"), ("w1", "w3", "w2")
shared = dict(
    vocab_size=64, hidden_size=HIDDEN, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
    num_experts_per_tok=2,
)
narrow = dict(intermediate_size=48, moe_intermediate_size=WIDTH, num_experts=EXPERTS, **shared)
every = dict(attn_layer_offset=0, attn_layer_period=1, expert_layer_offset=0, expert_layer_period=1)
# Each with the path of its experts, and the names of their projections, in transformers 4.
FAMILIES = {
    "Qwen3Moe": (dict(head_dim=8, **narrow), "mlp.experts", LLAMA),
    "Qwen2Moe": (dict(shared_expert_intermediate_size=WIDTH, **narrow), "mlp.experts", LLAMA),
    "Phimoe": (
        dict(intermediate_size=WIDTH, num_local_experts=EXPERTS, **shared), "block_sparse_moe.experts", MIXTRAL
    ),
    "Jamba": (
        dict(intermediate_size=WIDTH, num_experts=EXPERTS, use_mamba_kernels=False, **every, **shared),
        "feed_forward.experts", LLAMA,
    ),
    "Lfm2Moe": (
        dict(num_dense_layers=0, layer_types=["full_attention"], **narrow), "feed_forward.experts", MIXTRAL
    ),
}


def adapter(family, experts, names):
    """Write an adapter of attention, of each expert and, where there is one, of the shared expert."""
    chance = torch.Generator().manual_seed(1)
    shapes = {"self_attn.q_proj": (HIDDEN, HIDDEN)}
    places = [f"{experts}.{expert}" for expert in range(EXPERTS)]
    for place in [*places, *(["mlp.shared_expert"] if family == "Qwen2Moe" else [])]:
        for name in names:
            shapes[f"{place}.{name}"] = (HIDDEN, WIDTH) if name == names[2] else (WIDTH, HIDDEN)
    tensors = {}
    for place, (out, into) in shapes.items():
        path = f"base_model.model.model.layers.0.{place}"
        tensors[f"{path}.lora_A.weight"] = torch.randn(RANK, into, generator=chance)
        tensors[f"{path}.lora_B.weight"] = torch.randn(out, RANK, generator=chance)
    save_file(tensors, f"{sys.argv[1]}/adapter_model.safetensors")
    config = peft.LoraConfig(r=RANK, lora_alpha=8, target_modules=["q_proj", *names], task_type="CAUSAL_LM")
    config.save_pretrained(sys.argv[1])


def changed(before, after, part):
    weights = [name for name in before if part in name]
    assert weights, part
    return any(not torch.equal(before[name], after[name]) for name in weights)


for family, (settings, experts, names) in FAMILIES.items():
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**settings)
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    before = copy.deepcopy(model.state_dict())
    adapter(family, experts, names)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        loaded = peft.PeftModel.from_pretrained(model, sys.argv[1])
    lost = [str(warning.message) for warning in told if "pattern" not in str(warning.message)]
    after = loaded.merge_and_unload().state_dict()
    attention, routed = changed(before, after, "q_proj"), changed(before, after, ".experts.")
    print(f"{family}: attention changed: {attention}, experts changed: {routed}, warnings: {lost}")
    assert attention and not lost
    assert routed == (family == "Qwen3Moe"), f"{family} has changed"
print("as described: the experts' part of the adapter is gone, and nothing is said")
PY
OMP_NUM_THREADS=1 "$folder/env/bin/python" "$folder/check.py" "$folder"
