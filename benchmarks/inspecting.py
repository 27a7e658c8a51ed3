"""Looking into a mixture beside running it, in CPU seconds.

`routing` over the model's own forward passes, the cost of health statistics, memory over tokens, and a capacity sweep
of ten settings beside one evaluation. Each figure is a ratio within one run. The model is a Qwen3-MoE with random
weights over bytes.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

from trimtab.inspection import routing_reading
from trimtab.inspection.capacity_plan import PlanOptions, plan_capacity
from trimtab.inspection.domain_texts import domain_sources
from trimtab.inspection.inspected_model import InspectedModel
from trimtab.inspection.output_sample import OutputSample
from trimtab.inspection.room_limits import RoomLimit
from trimtab.inspection.routing_reading import ReadingOptions, read_routing
from trimtab.inspection.token_windows import batches


class Bytes:
    """A tokenizer of bytes."""

    def encode(self, text):
        """Return the bytes."""
        return list(text.encode())


def model_of(layers: int, sparse: int, experts: int, top_k: int) -> InspectedModel:
    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        vocab_size=257, hidden_size=256, intermediate_size=768, moe_intermediate_size=192, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=4, head_dim=64, num_experts=experts, num_experts_per_tok=top_k,
        norm_topk_prob=True, mlp_only_layers=list(range(layers - sparse)), max_position_embeddings=1024,
        initializer_range=0.05,
    )  # fmt: skip
    return InspectedModel(name="random", model=Qwen3MoeForCausalLM(config), tokenizer=Bytes())


def corpus(folder: Path, tokens: int) -> tuple:
    """Return source files of this package as lines of 200 to 800 bytes, context and continuation."""
    text = "\n".join(p.read_text() for p in sorted((Path(__file__).parents[1] / "src").rglob("*.py")))
    lines, start = [], 0
    while start < tokens:
        size = 200 + 37 * len(lines) % 600
        piece = text[start % len(text) : start % len(text) + size]
        lines.append(json.dumps({"prompt": piece[: size // 2], "completion": piece[size // 2 :]}))
        start += size
    path = folder / f"{tokens}.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return domain_sources([], [f"code={path}"])


def timed(call) -> float:
    before = time.process_time()
    call()
    return time.process_time() - before


def clocked() -> list[float]:
    """Clock what health adds: the sampling of outputs, and what is measured behind the reading."""
    spent = [0.0]
    for owner, name in ((OutputSample, "expect"), (OutputSample, "_take"), (routing_reading, "_add_health")):
        method = getattr(owner, name)

        def call(*arguments, method=method):
            start = time.process_time()
            try:
                return method(*arguments)
            finally:
                spent[0] += time.process_time() - start

        setattr(owner, name, call)
    return spent


def spread(values: list[float]) -> str:
    """Return the median and the range."""
    return f"{median(values):.3f} [{min(values):.3f}, {max(values):.3f}]"


@torch.inference_mode()
def forward(model: InspectedModel, sources) -> None:
    """The model's own passes over the same batches, logits included."""
    found = model.windows(sources[0].texts())
    for batch in batches(found, batch_tokens=4096, pad=0):
        model.run(batch, logits=True)


def sweep(model: InspectedModel, sources, sparse: int) -> None:
    """Ten settings together, beside the same ten in runs of their own and one pass over the texts."""
    limits = [
        RoomLimit(factor=factor, drop_policy=policy)
        for factor in (1.0, 1.25, 1.5, 2.0, None)
        for policy in ("probs", "position")
    ]
    windows, planning = list(model.windows(sources[0].texts())), PlanOptions(batch_tokens=2048)
    once = timed(lambda: forward(model, sources))
    together = timed(lambda: plan_capacity(model, windows, limits, planning))
    apart = sum(timed(lambda limit=limit: plan_capacity(model, windows, [limit], planning)) for limit in limits)
    print(
        f"experts in the last {sparse} of 12 layers: ten settings together cost {together / once:.2f} passes over the"
        f" texts, in ten runs {apart / once:.2f} ({together / apart:.2f} of them)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sweep-tokens", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, sources = model_of(4, 3, 64, 8), corpus(folder, options.tokens)
        timed(lambda: forward(model, corpus(folder, 4096)))
        inside = clocked()
        parts = {
            "the model's own passes": lambda: forward(model, sources),
            "routing, without health": lambda: read_routing(model, sources, ReadingOptions(health=False)),
            "routing": lambda: read_routing(model, sources, ReadingOptions()),
        }
        rows: dict[str, list[float]] = {label: [] for label in parts}
        shares = []
        for number in range(options.rounds):  # in turn, and each first in its turn: a busy machine touches all alike
            for place in range(len(parts)):
                label = list(parts)[(number + place) % len(parts)]
                inside[0] = 0.0
                rows[label].append(timed(parts[label]))
                if label == "routing":
                    shares.append(inside[0] / (rows[label][-1] - inside[0]))
        own = rows["the model's own passes"]
        for label, seconds in rows.items():
            rates = [mine / other for mine, other in zip(own, seconds, strict=True)]
            print(
                f"{label}: {median(seconds):.1f} CPU s for {options.tokens} tokens, rate {spread(rates)} of its own",
                flush=True,
            )
        added = [a / b - 1 for a, b in zip(rows["routing"], rows["routing, without health"], strict=True)]
        print(
            f"health adds {spread(added)} of reading without it; CPU inside what it adds over the rest {spread(shares)}"
        )
        for tokens in (options.tokens // 8, options.tokens):
            read_routing(model, corpus(folder, tokens), ReadingOptions(health=False))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"after {tokens} tokens the process has held at most {peak:.0f} MiB")
        for sparse in (1, 6, 11):
            sweep(model_of(12, sparse, 8, 2), corpus(folder, options.sweep_tokens), sparse)


if __name__ == "__main__":
    main()
