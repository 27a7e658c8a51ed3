#!/usr/bin/env bash
# transformers 5.17.0: what Gemma 4 records under the name `router_logits` are probabilities, not logits.
#
# With output_router_logits=True a mixture-of-experts model returns one table a layer. For Qwen3-MoE and others it
# holds logits, which consumers (auxiliary losses, load plots) put through a softmax. Gemma 4's table has been through
# the softmax already: each row sums to 1. A second softmax of it is nearly flat, so an entropy, a confidence or a mean
# probability computed as for the other families is wrong without an error.
# Output seen (Gemma 4 tiny, a router made confident): rows sum to 1; mean largest entry 0.79 as recorded, 0.24
# after the softmax that the other families need.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 transformers==5.17.0 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import torch
import transformers

print("torch", torch.__version__, "transformers", transformers.__version__)
tokens = torch.randint(3, 64, (2, 16), generator=torch.Generator().manual_seed(1))


def tables(model):
    torch.manual_seed(0)
    for path, module in model.named_modules():
        if type(module).__name__.endswith("Router"):
            for parameter in module.parameters():
                if parameter.ndim == 2:
                    torch.nn.init.normal_(parameter, std=4.0)
    with torch.no_grad():
        output = model.eval()(input_ids=tokens, output_router_logits=True)
    return torch.cat([table.float().reshape(-1, 8) for table in output.router_logits])


torch.manual_seed(0)
qwen = transformers.Qwen3MoeForCausalLM(
    transformers.Qwen3MoeConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, moe_intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, num_experts=8, num_experts_per_tok=2,
    )
)
gemma = transformers.Gemma4TextModel(
    transformers.Gemma4TextConfig(
        vocab_size=64, vocab_size_per_layer_input=64, hidden_size_per_layer_input=8, hidden_size=32,
        intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        num_kv_shared_layers=0, layer_types=["full_attention", "full_attention"], enable_moe_block=True,
        num_experts=8, top_k_experts=2, moe_intermediate_size=24,
    )
)
sums = {}
for model in (qwen, gemma):
    table = tables(model)
    name = type(model).__name__
    sums[name] = bool(torch.allclose(table.sum(-1), torch.ones(len(table)), atol=1e-4))
    print(
        f"{name}: rows sum to 1: {sums[name]}; mean largest entry as recorded {table.max(-1).values.mean():.3f},"
        f" after a softmax {table.softmax(-1).max(-1).values.mean():.3f}"
    )
assert sums == {"Qwen3MoeForCausalLM": False, "Gemma4TextModel": True}, sums
print("as described: logits from one family, probabilities from the other, under one name")
PY
OMP_NUM_THREADS=1 "$folder/env/bin/python" "$folder/check.py"
