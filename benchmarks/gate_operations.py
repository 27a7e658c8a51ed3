"""Operations that an attached gate adds to a training step, per layer: what it costs a GPU where kernels are short.

Counted by a dispatch mode, on a Qwen3-MoE of four layers with experts on torch's meta device: forward and backward pass
with gates less the same without, divided by the layers. Views start no kernel and are left out. ``update`` needs
values, so it is counted on a CPU. No GPU is needed, and nothing is timed. That no rule reads a value in the forward
pass is a test (tests/moe/test_synchronization.py).

    python benchmarks/gate_operations.py

Writes ``results/gate_operations.json``.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM, masking_utils

from recording import write
from trimtab.moe import gate as gate_module
from trimtab.moe.attach import attach
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import RULES, LossFree, NoBalancer, Stack, SwitchLoss

LAYERS = 4
ARGUMENTS = {
    "loss_free": {"bias_update_rate": 1e-3},
    "smebu": {"bias_update_rate": 1e-3},
    "soft_clipped": {"bias_update_rate": 1e-3},
    "causal_bias": {"rate": 1e-2},
    **{key: {"coef": 1e-2} for key in ("switch", "pooled_switch", "z_loss", "simbal")},
}
VIEWS = (
    "view", "reshape", "detach", "alias", "expand", "slice", "select.int", "unsqueeze", "squeeze", "permute",
    "transpose", "aten.t.", "as_strided", "split", "unbind", "chunk", "diagonal", "empty",
)  # fmt: skip


class Counting(TorchDispatchMode):
    """Counts operations that are no views."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += not any(name in str(function) for name in VIEWS)
        return function(*args, **(kwargs or {}))


def step(balancer=None, capacity=None):
    """Return the operations of a forward and backward pass, and of an update."""
    config = Qwen3MoeConfig(
        vocab_size=64, hidden_size=32, intermediate_size=32, moe_intermediate_size=16, num_hidden_layers=LAYERS,
        num_attention_heads=2, num_key_value_heads=2, head_dim=16, num_experts=8, num_experts_per_tok=2,
        max_position_embeddings=64, norm_topk_prob=True,
    )  # fmt: skip
    passes = 0
    for device in ("cpu", "meta"):
        torch.manual_seed(0)
        model = Qwen3MoeForCausalLM(config).train()
        model.set_experts_implementation("batched_mm")
        gates = None if balancer is None else attach(model, balancer=balancer, capacity=capacity)
        model.to(device)
        tokens = torch.zeros((2, 16), dtype=torch.int64, device=device)
        for _ in range(1 if device == "cpu" else 2):  # the first pass makes what lives on
            with Counting() as mode:
                model(input_ids=tokens, use_cache=False).logits.float().mean().backward()
        passes = mode.count
        if device == "cpu" and gates is not None:
            with Counting() as updating:
                gates.update()
    return passes, 0 if balancer is None else updating.count


def main():
    gate_module._get_current_dispatch_mode = lambda: None  # noqa: SLF001 - a gate hides from modes otherwise
    masking_utils.find_packed_sequence_indices = lambda _: None  # reads a value, which the meta device has not
    plain, _ = step()
    cases = {kind.key: (kind(**ARGUMENTS.get(kind.key, {})), None) for kind in RULES if kind is not Stack}
    cases["stack"] = (Stack(LossFree(bias_update_rate=1e-3), SwitchLoss(coef=1e-2)), None)
    for policy in ("probs", "position", "random", "batch_priority"):
        cases[f"capacity, {policy}"] = (NoBalancer(), Capacity(factor=1.0, drop_policy=policy))
    found = {}
    for name, case in cases.items():
        passes, updates = step(*case)
        found[name] = {
            "forward and backward": round((passes - plain) / LAYERS, 1),
            "update": round(updates / LAYERS, 1),
        }
        print(f"{name:24} {found[name]}", flush=True)
    write("gate_operations", {"without gates": round(plain / LAYERS, 1), "with": found})


if __name__ == "__main__":
    main()
