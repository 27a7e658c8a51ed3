#!/usr/bin/env bash
# transformers 5.17.0: the auxiliary loss of a model with a selection bias counts experts that the model does not choose.
#
# Two families with a bias on the selection (ernie4_5_moe, minimax_m2) are built tiny and random, with one layer of
# experts each. A large bias sends every token to the same two of eight experts, and the routers report that collapse.
# `output.aux_loss` is the same number as with the bias at zero, because the loss takes its own top-k of
# softmax(router_logits) and never sees the bias. So the loss neither sees nor repairs an imbalance that the bias causes,
# and it pushes against loads that the model does not have.
# Output seen: aux_loss 2.124829 twice (ernie4_5_moe) and 2.099776 twice (minimax_m2); with the bias 128 calls on each of
# two experts and none on the other six.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 transformers==5.17.0 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import torch
import transformers

torch.manual_seed(0)
print("torch", torch.__version__, "transformers", transformers.__version__)
shared = dict(
    vocab_size=64, hidden_size=32, num_attention_heads=4, num_key_value_heads=2, output_router_logits=True,
)
ernie = transformers.Ernie4_5_MoeForCausalLM(
    transformers.Ernie4_5_MoeConfig(
        num_hidden_layers=2, intermediate_size=48, moe_intermediate_size=24, moe_num_experts=8, moe_k=2,
        moe_num_shared_experts=1, **shared,  # layer 0 is dense
    )
)
minimax = transformers.MiniMaxM2ForCausalLM(
    transformers.MiniMaxM2Config(
        num_hidden_layers=1, intermediate_size=24, num_local_experts=8, num_experts_per_tok=2, head_dim=8,
        rotary_dim=4, **shared,
    )
)
tokens = torch.randint(3, 64, (4, 32), generator=torch.Generator().manual_seed(1))
for model in (ernie, minimax):
    model.eval()
    name = type(model).__name__
    biases = [
        tensor
        for path, tensor in [*model.named_parameters(), *model.named_buffers()]
        if path.endswith("e_score_correction_bias")
    ]
    loads = []
    for path, module in model.named_modules():
        if type(module).__name__.endswith("Router"):
            torch.manual_seed(0)
            torch.nn.init.normal_(module.weight, std=0.3)
            module.register_forward_hook(
                lambda _m, _i, out: loads.append(torch.bincount(out[-1].flatten(), minlength=8).tolist())
            )
    losses = []
    for size in (0.0, 100.0):
        loads.clear()
        with torch.no_grad():
            for bias in biases:
                bias.zero_()
                bias.flatten()[:2] = size
            losses.append(float(model(input_ids=tokens, labels=tokens).aux_loss))
        print(f"{name}: bias {size:5.1f} on two experts, calls {loads}, aux_loss {losses[-1]:.6f}")
    assert all(load[2:] == [0] * 6 for load in loads), loads
    assert losses[0] == losses[1], losses
print("as described: the loss does not see what the bias does")
PY
OMP_NUM_THREADS=1 "$folder/env/bin/python" "$folder/check.py"
