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

import torch
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

from trimtab.inspection.capacity_plan import PlanOptions, plan_capacity
from trimtab.inspection.domain_texts import domain_sources
from trimtab.inspection.inspected_model import InspectedModel
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


@torch.inference_mode()
def forward(model: InspectedModel, sources) -> None:
    """The model's own passes over the same batches, logits included."""
    found = model.windows(sources[0].texts())
    for batch in batches(found, batch_tokens=4096, pad=0):
        model.run(batch, logits=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--sweep-tokens", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, sources = model_of(4, 3, 64, 8), corpus(folder, options.tokens)
        timed(lambda: forward(model, corpus(folder, 4096)))
        own = timed(lambda: forward(model, sources))
        rows = {"the model's own passes": own}
        for label, health in (("routing, without health", False), ("routing", True)):
            reading = ReadingOptions(health=health)
            rows[label] = timed(lambda reading=reading: read_routing(model, sources, reading))
        for label, seconds in rows.items():
            print(
                f"{label}: {seconds:.1f} CPU s for {options.tokens} tokens, rate {own / seconds:.2f} of the model's own"
            )
        print(f"health adds {rows['routing'] / rows['routing, without health'] - 1:.1%}")
        for tokens in (options.tokens // 8, options.tokens):
            read_routing(model, corpus(folder, tokens), ReadingOptions(health=False))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"after {tokens} tokens the process has held at most {peak:.0f} MiB")
        limits = [
            RoomLimit(factor=factor, drop_policy=p)
            for factor in (1.0, 1.25, 1.5, 2.0, None)
            for p in ("probs", "position")
        ]
        planning = PlanOptions(batch_tokens=2048)
        for sparse in (1, 6, 11):
            model, sources = model_of(12, sparse, 8, 2), corpus(folder, options.sweep_tokens)
            windows = list(model.windows(sources[0].texts()))
            once = timed(lambda model=model, sources=sources: forward(model, sources))
            together = timed(lambda: plan_capacity(model, windows, limits, planning))
            apart = sum(timed(lambda limit=limit: plan_capacity(model, windows, [limit], planning)) for limit in limits)
            print(
                f"experts in the last {sparse} of 12 layers: ten settings together cost {together / once:.2f} passes over the"
                f" texts, in ten runs {apart / once:.2f} ({together / apart:.2f} of them)"
            )


if __name__ == "__main__":
    main()
