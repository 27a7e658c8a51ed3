"""What recording routes costs: CPU seconds of forward passes with and without, in turn, at 64 experts and 8 a token.

One thread. A Qwen3-MoE of 4 layers, hidden 512, 64 experts of width 256, 8 a token, batches of 8 x 128 tokens. Every
round times one pass of each variant in turn and alternates which comes first, so that a busy machine touches all alike.
The ratio is the median over rounds with its quartiles; the time spent in what recording adds is also clocked by itself.

    python benchmarks/record_routes.py [rounds]
"""

import statistics
import sys
import time

import torch
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

from trimtab.moe.attach import attach
from trimtab.moe.route_recording import RouteRecorder
from trimtab.settings.rules import NoBalancer


def build():
    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        vocab_size=1024, hidden_size=512, num_hidden_layers=4, num_attention_heads=8, num_key_value_heads=4,
        head_dim=64, intermediate_size=512, moe_intermediate_size=256, num_experts=64, num_experts_per_tok=8,
        norm_topk_prob=True,
    )  # fmt: skip
    return Qwen3MoeForCausalLM(config).eval()


def clocked(spent):
    """Clock the methods that recording adds."""
    for name in ("note", "finish"):
        method = getattr(RouteRecorder, name)

        def call(*arguments, method=method):
            start = time.process_time()
            try:
                return method(*arguments)
            finally:
                spent[0] += time.process_time() - start

        setattr(RouteRecorder, name, call)


def main():
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    plain, attached = build(), build()
    gates = attach(attached, balancer=NoBalancer())
    tokens = torch.randint(3, 1024, (8, 128), generator=torch.Generator().manual_seed(0))
    spent, inside = [0.0], []
    clocked(spent)

    def recorded():
        spent[0] = 0.0
        with gates.record():
            attached(input_ids=tokens, use_cache=False)
        inside.append(spent[0])

    variants = {
        "not attached": lambda: plain(input_ids=tokens, use_cache=False),
        "attached": lambda: attached(input_ids=tokens, use_cache=False),
        "recording": recorded,
    }
    times = {name: [] for name in variants}
    with torch.no_grad():
        for number in range(rounds + 1):
            for name in variants if number % 2 else reversed(variants):
                start = time.process_time()
                variants[name]()
                if number:
                    times[name].append(time.process_time() - start)
    for base, name in (("not attached", "attached"), ("attached", "recording"), ("not attached", "recording")):
        ratios = [mine / other for mine, other in zip(times[name], times[base], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"{name} / {base}: {middle:.4f} [{low:.4f}, {high:.4f}], {rounds} rounds")
    whole = statistics.median(times["attached"])
    added = statistics.median(inside)
    print(f"inside recording: {1e3 * added:.2f} ms of {1e3 * whole:.0f} ms, {added / whole:.3%}")


if __name__ == "__main__":
    main()
