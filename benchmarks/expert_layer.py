"""The expert layer beside plain GEMMs of the same active arithmetic, and beside transformers' grouped_mm.

One thread, forward and backward of the experts alone, gradients of input, weights and call weights; calls drawn evenly.
The GEMMs are the six products of the layer on all calls at once with one set of weights, into outputs that are there
already: nothing else of a layer is in them. With a weight set for each expert they are what these shapes allow at
best, because all weights have to be read and all their gradients written. Ratios are of CPU seconds, medians over
rounds in which each variant runs once, in turn.

    python benchmarks/expert_layer.py [--rounds 15] [--old FOLDER_OF_AN_OLDER_BUILD/src]

Writes ``results/expert_layer.json``.
"""

import argparse
import importlib.util
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn
from transformers.activations import ACT2FN
from transformers.integrations.moe import grouped_mm_experts_forward

from recording import write
from trimtab.heap import keep_freed_memory
from trimtab.moe import experts

# Tokens, hidden, intermediate, experts, calls a token; the share of the GEMMs' rate asked for.
SHAPES = (
    (2048, 256, 512, 16, 2, 0.90),
    (2048, 256, 512, 64, 2, 0.75),
    (1024, 128, 64, 8, 2, 0.70),
)


class Layer(nn.Module):
    """Experts in transformers' stock layout."""

    def __init__(self, hidden, inner, count):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.num_experts, self.has_gate, self.has_bias = count, True, False
        self.is_transposed, self.is_concatenated = False, True
        self.gate_up_proj = nn.Parameter(torch.randn(count, 2 * inner, hidden, generator=draw) / hidden**0.5)
        self.down_proj = nn.Parameter(torch.randn(count, hidden, inner, generator=draw) / inner**0.5)
        self.act_fn = ACT2FN["silu"]

    def _apply_gate(self, gate_up):
        gate, up = gate_up.chunk(2, dim=-1)
        return self.act_fn(gate) * up


def gemms(rows, hidden, inner, count):
    """Return the six products of ``rows`` calls spread evenly over ``count`` weight sets, as a function."""
    each = rows // count
    x, up, act = torch.randn(rows, hidden), torch.randn(count, 2 * inner, hidden), torch.randn(rows, inner)
    down, projected, y = torch.randn(count, hidden, inner), torch.empty(rows, 2 * inner), torch.empty(rows, hidden)
    grad_up, grad_down, grad_x, grad_act = map(torch.empty_like, (up, down, x, act))
    grad_y, grad_projected = torch.randn(rows, hidden), torch.randn(rows, 2 * inner)

    def run():
        for number in range(count):
            part = slice(number * each, (number + 1) * each)
            torch.mm(x[part], up[number].t(), out=projected[part])
            torch.mm(act[part], down[number].t(), out=y[part])
            torch.mm(grad_y[part], down[number], out=grad_act[part])
            torch.mm(grad_y[part].t(), act[part], out=grad_down[number])
            torch.mm(grad_projected[part].t(), x[part], out=grad_up[number])
            torch.mm(grad_projected[part], up[number], out=grad_x[part])

    return run


def layer(forward, shape):
    """Return a forward and backward pass of a layer, as a function."""
    tokens, hidden, inner, count, per_tok, _ = shape
    module, draw = Layer(hidden, inner, count), torch.Generator().manual_seed(1)
    x = torch.randn(tokens, hidden, generator=draw).requires_grad_()
    index = torch.rand(tokens, count, generator=draw).topk(per_tok, dim=-1).indices
    weights = torch.rand(tokens, per_tok, generator=draw).requires_grad_()
    grad = torch.randn(tokens, hidden, generator=draw)

    def run():
        for tensor in (x, weights, module.gate_up_proj, module.down_proj):
            tensor.grad = None
        forward(module, x, index, weights).backward(grad)

    return run


def older(source):
    """Return the expert computation of another build."""
    location = importlib.util.spec_from_file_location("older_experts", source / "trimtab" / "moe" / "experts.py")
    module = importlib.util.module_from_spec(location)
    sys.modules["older_experts"] = module
    location.loader.exec_module(module)
    return module.forward


def measure(shape, rounds, old):
    """Return the median CPU seconds of each variant, and their rates as shares of the GEMMs'."""
    tokens, hidden, inner, count, per_tok, wanted = shape
    variants = {
        "GEMMs, one weight set": gemms(tokens * per_tok, hidden, inner, 1),
        "GEMMs, a weight set each": gemms(tokens * per_tok, hidden, inner, count),
        "trimtab": layer(experts.forward, shape),
        "grouped_mm": layer(grouped_mm_experts_forward, shape),
    }
    if old is not None:
        variants["older build"] = layer(older(old), shape)
    times = {name: [] for name in variants}
    for number in range(rounds + 2):
        for name, run in variants.items():
            begin = time.process_time()
            run()
            if number >= 2:
                times[name].append(time.process_time() - begin)
    first = times["GEMMs, one weight set"]
    shares = {
        name: statistics.median(limit / mine for limit, mine in zip(first, own, strict=True))
        for name, own in times.items()
    }
    return {
        "tokens": tokens,
        "hidden": hidden,
        "inner": inner,
        "experts": count,
        "calls a token": per_tok,
        "asked": wanted,
        "milliseconds": {name: round(1000 * statistics.median(own), 3) for name, own in times.items()},
        "share of GEMMs": {name: round(share, 3) for name, share in shares.items()},
        "times grouped_mm": round(shares["trimtab"] / shares["grouped_mm"], 3),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--old", type=Path)
    parser.add_argument("--commit", default="", help="of the older build")
    parser.add_argument("--plain-memory", action="store_true", help="leave glibc as it is")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.plain_memory:
        keep_freed_memory()  # as the training loop does; all variants have it
    found = [measure(shape, arguments.rounds, arguments.old) for shape in SHAPES]
    for record in found:
        print(", ".join(f"{key} {record[key]}" for key in ("tokens", "hidden", "inner", "experts", "asked")))
        for name, share in record["share of GEMMs"].items():
            print(f"  {name:<26} {record['milliseconds'][name]:8.2f} ms  {share:.3f}")
        print(f"  {record['times grouped_mm']:.2f} times grouped_mm", flush=True)
    write("expert_layer_plain_memory" if arguments.plain_memory else "expert_layer", found)


if __name__ == "__main__":
    main()
