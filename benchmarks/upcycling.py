"""What upcycling does to a trained model: a byte-level Llama trained here for a minute, on this repository's text.

Prints a table of receipts and of the loss on held-out text before any further training. The row "cube root on all
three" is the same granular mixture with the scale G spread evenly over gate, up and down projections, as in
arXiv 2410.07524 and Megatron-LM's upcycling.
"""

import argparse
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from trimtab.errors import ConfigurationError
from trimtab.moe.preservation import errors
from trimtab.moe.upcycle import upcycle

ROOT = Path(__file__).parent.parent
CASES = (
    {"method": "copy"},
    {"method": "granular", "granularity": 2, "num_experts_per_tok": 4},
    {"method": "granular", "granularity": 4, "num_experts_per_tok": 4},
    {"method": "granular", "granularity": 4, "num_experts_per_tok": 8, "num_experts": 32},
    {"method": "noise", "noise_std": 0.01},
    {"method": "noise", "noise_std": 0.1},
    {"method": "drop", "drop_ratio": 0.1},
    {"method": "drop", "drop_ratio": 0.5},
    {"method": "drop", "drop_ratio": 1.0},
)


def text():
    files = sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("docs/**/*.md")])
    return torch.tensor(list(b"\n".join(path.read_bytes() for path in files)))


def trained(steps, ids):
    torch.manual_seed(0)
    sizes = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=256, tie_word_embeddings=True, **sizes))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(steps):
        batch = ids[torch.randint(len(ids) - 129, (16, 1)) + torch.arange(128)]
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 20) * (1 - step / steps)
        model(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@torch.no_grad()
def loss(model, ids):
    return float(model(input_ids=ids, labels=ids).loss)


def row(name, layers, logits, value):
    print(f"| {name} | {max(layers):.1e} | {logits:.1e} | {value:.3f} |")


@torch.no_grad()
def cube_root(model, held, shards):
    """Spread the scale of a granular mixture over its three matrices."""
    mixture, _ = upcycle(
        model, num_experts=16, num_experts_per_tok=4, tokens=held, method="granular", granularity=shards
    )
    for layer in mixture.model.layers:
        layer.mlp.experts.down_proj.mul_(shards ** (-2 / 3))
        layer.mlp.experts.gate_up_proj.mul_(shards ** (1 / 3))
    row(f"granular G={shards}, cube root on all three", *errors(model, mixture, held), loss(mixture, held))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    ids = text()
    model, held = trained(steps, ids[:-16384]), ids[-16384:].view(-1, 128)[:32]
    print(f"dense loss {loss(model, held):.3f} nats a byte after {steps} steps; {held.numel()} held-out tokens\n")
    print("| method | worst block | logits | loss |\n|---|---|---|---|")
    for case in CASES:
        settings = {"num_experts": 16, "num_experts_per_tok": 2, **case}
        mixture, receipt = upcycle(model, tokens=held, **settings)
        row(", ".join(f"{k}={v}" for k, v in settings.items()), receipt.layers, receipt.logits, loss(mixture, held))
    for shards in (2, 4):
        cube_root(model, held, shards)
    for k, shards in ((3, 2), (2, 4)):
        try:
            upcycle(model, num_experts=16, num_experts_per_tok=k, tokens=held, method="granular", granularity=shards)
        except ConfigurationError as error:
            print(f"\nrefused: {error}")


if __name__ == "__main__":
    main()
