#!/usr/bin/env bash
# torch 2.13.0: fully_shard takes a model with a parameter that has no elements, and its first backward pass fails.
#
# transformers 5.17.0 builds such parameters by itself: a GLM-4-MoE without shared experts (n_shared_experts=0) has an MLP
# of width 0 in each of its expert layers. Wrapping and the forward pass are silent; the backward pass ends with
# "_chunk_cat expects non-empty tensor", which names neither the parameter nor the module. The same model trains without
# FSDP2. Freezing the parameter lets the backward pass through, but then full_tensor() of it fails when a checkpoint is
# gathered over two processes; leaving it out by ignored_params does both.
# Output seen: three parameters without elements (gate_proj, up_proj, down_proj of layers.1.mlp.shared_experts); without
# FSDP2 the backward pass ends well, with it it raises RuntimeError; with ignored_params and requires_grad off it ends well.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 transformers==5.17.0 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import sys
import warnings

import torch
import transformers
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

print("torch", torch.__version__, "transformers", transformers.__version__)
warnings.simplefilter("ignore")
distributed.init_process_group("gloo", init_method=f"file://{sys.argv[1]}/meet", rank=0, world_size=1)
mesh = init_device_mesh("cpu", (1,))


def build():
    torch.manual_seed(0)
    config = transformers.Glm4MoeConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, moe_intermediate_size=16, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, head_dim=16, n_routed_experts=4, num_experts_per_tok=2,
        n_shared_experts=0, first_k_dense_replace=1, n_group=1, topk_group=1,
    )
    return transformers.Glm4MoeForCausalLM(config).train()


def backward(model):
    model(input_ids=torch.arange(8)[None], use_cache=False).logits.square().mean().backward()


model = build()
empty = [name for name, parameter in model.named_parameters() if not parameter.numel()]
print("without elements:", *empty)
assert empty
backward(model)
print("backward pass without FSDP2: ended well")

model = build()
fully_shard(model, mesh=mesh)
try:
    backward(model)
except RuntimeError as error:
    print("backward pass with FSDP2:", str(error).splitlines()[0])
    assert "non-empty" in str(error)
else:
    raise SystemExit("the backward pass went through: this has changed")

model = build()
ignored = {parameter for parameter in model.parameters() if not parameter.numel()}
for parameter in ignored:
    parameter.requires_grad_(False)
fully_shard(model, mesh=mesh, ignored_params=ignored)
backward(model)
print("backward pass with FSDP2 and ignored_params: ended well")
distributed.destroy_process_group()
PY
"$folder/env/bin/python" "$folder/check.py" "$folder"
