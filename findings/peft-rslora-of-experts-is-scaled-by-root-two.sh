#!/usr/bin/env bash
# peft 0.21.2, transformers 5.17.0: an rsLoRA of experts that was made with transformers 4 comes back 1.414 times as strong.
#
# transformers 4 had a linear layer for each expert's gate and up projection, transformers 5 has one parameter for all of
# both. PEFT converts the adapter of an older run: the two LoRAs of rank r become one of rank 2 r, and lora_alpha is
# doubled so that alpha / r stays. With use_rslora=True the scale is alpha / sqrt(r), so it becomes 2 alpha / sqrt(2 r):
# gate and up projections are changed by 1.414 times what was trained, down projections by what was trained. Nothing is
# raised. The warnings about rank_pattern and alpha_pattern are the same for plain LoRA, which is exact.
# Output seen: Mixtral and Qwen3-MoE, plain LoRA: gate and up 1.000, down 1.000 of what was trained, logits those of
# weights changed by hand; rsLoRA: gate and up 1.414, down 1.000, logits off by 0.13 where the adapter changes them by 0.39
# (Mixtral), 0.13 of 0.35 (Qwen3-MoE).
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 transformers==5.17.0 peft==0.21.2 accelerate==1.15.0 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import copy
import math
import sys
import warnings

import peft
import torch
import transformers
from safetensors.torch import save_file

print("torch", torch.__version__, "transformers", transformers.__version__, "peft", peft.__version__)
RANK, ALPHA, EXPERTS, HIDDEN, WIDTH = 4, 8, 4, 32, 24
SHARED = dict(
    vocab_size=64, hidden_size=HIDDEN, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
    num_experts_per_tok=2,
)
FAMILIES = {
    "block_sparse_moe": (
        lambda: transformers.MixtralForCausalLM(
            transformers.MixtralConfig(intermediate_size=WIDTH, num_local_experts=EXPERTS, **SHARED)
        ),
        ("w1", "w3", "w2"),
    ),
    "mlp": (
        lambda: transformers.Qwen3MoeForCausalLM(
            transformers.Qwen3MoeConfig(
                intermediate_size=48, moe_intermediate_size=WIDTH, num_experts=EXPERTS, **SHARED
            )
        ),
        ("gate_proj", "up_proj", "down_proj"),
    ),
}
tokens = torch.arange(16)[None]


def adapter(place, names, stabilized):
    """Write an adapter with a LoRA for each expert and projection; return what it adds to each weight."""
    chance = torch.Generator().manual_seed(1)
    tensors, trained = {}, {}
    for expert in range(EXPERTS):
        for name in names:
            out, into = (HIDDEN, WIDTH) if name == names[2] else (WIDTH, HIDDEN)
            down, up = torch.randn(RANK, into, generator=chance) / 10, torch.randn(out, RANK, generator=chance) / 10
            path = f"base_model.model.model.layers.0.{place}.experts.{expert}.{name}"
            tensors |= {f"{path}.lora_A.weight": down, f"{path}.lora_B.weight": up}
            trained[expert, name] = ALPHA / (math.sqrt(RANK) if stabilized else RANK) * up @ down
    save_file(tensors, f"{sys.argv[1]}/adapter_model.safetensors")
    config = peft.LoraConfig(
        r=RANK, lora_alpha=ALPHA, use_rslora=stabilized, target_modules=list(names), task_type="CAUSAL_LM"
    )
    config.save_pretrained(sys.argv[1])
    return trained


def share(got, wanted):
    return float((got * wanted).sum() / wanted.square().sum())


@torch.no_grad()
def compare(place, stabilized):
    build, names = FAMILIES[place]
    torch.manual_seed(0)
    model = build().eval()
    trained = adapter(place, names, stabilized)
    by_hand = copy.deepcopy(model)
    experts = by_hand.model.layers[0].mlp.experts
    for expert in range(EXPERTS):
        experts.gate_up_proj[expert] += torch.cat([trained[expert, names[0]], trained[expert, names[1]]])
        experts.down_proj[expert] += trained[expert, names[2]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = peft.PeftModel.from_pretrained(copy.deepcopy(model), sys.argv[1])
    plain, wanted, got = (each(tokens).logits for each in (model, by_hand, loaded))
    before, merged = model.model.layers[0].mlp.experts, loaded.merge_and_unload().model.layers[0].mlp.experts
    shares = [
        share(getattr(merged, kind) - getattr(before, kind), getattr(experts, kind) - getattr(before, kind))
        for kind in ("gate_up_proj", "down_proj")
    ]
    off = float((got - wanted).abs().max())
    print(
        f"{type(model).__name__}, {'rsLoRA' if stabilized else 'plain LoRA'}: gate and up {shares[0]:.3f},"
        f" down {shares[1]:.3f} of what was trained; logits off by {off:.2g}, the adapter changes them by"
        f" {float((plain - wanted).abs().max()):.2g}"
    )
    return shares, off


for place in FAMILIES:
    shares, off = compare(place, stabilized=False)
    assert all(abs(each - 1) < 1e-4 for each in shares) and off < 1e-5, "plain LoRA changed, too"
    shares, off = compare(place, stabilized=True)
    assert abs(shares[0] - math.sqrt(2)) < 1e-4 and abs(shares[1] - 1) < 1e-4 and off > 0.05, shares
print("as described: gate and up projections come back by the root of two too strong")
PY
OMP_NUM_THREADS=1 "$folder/env/bin/python" "$folder/check.py" "$folder"
