"""Make a mixture of SmolLM2-135M-Instruct, train its experts for some steps on installed Python, and save it.

python examples/upcycled-smollm2/train.py FOLDER [--granularity 2] [--steps 24]

The text is the Python of permissively licensed packages that are installed here; their licenses are printed. Only the
last layer becomes sparse and only its experts and its router learn.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from trimtab import LossFree, attach, upcycle
from trimtab.lm import dense, python_text

ROWS, WIDTH = 4, 512


def read_rows(tokenizer: object, count: int) -> torch.Tensor:
    """Return [count, WIDTH] token ids of Python files, one file behind another."""
    repeated, ids = python_text.Repetitions(), []
    files, _ = python_text.take(python_text.files(), train_bytes=24 * count * WIDTH, heldout_bytes=0)
    for file in files:
        ids += tokenizer.encode(repeated.drop(python_text.clean(file.path.read_bytes())))
    return torch.tensor(ids[: count * WIDTH]).view(count, WIDTH)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--granularity", type=int, default=1)
    parser.add_argument("--experts", type=int, default=8)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    options = parser.parse_args()
    started = time.perf_counter(), time.process_time()
    loaded = dense.load("smollm2-135m", options.folder.parent / "dense")
    rows = read_rows(loaded.tokenizer, ROWS * options.steps)
    model, receipt = upcycle(
        loaded.model,
        num_experts=options.experts,
        num_experts_per_tok=2 * options.granularity,
        method="granular" if options.granularity > 1 else "copy",
        granularity=options.granularity,
        tokens=rows[:1],
        layers=[-1],
    )
    print(receipt)
    model.requires_grad_(requires_grad=False)
    block = model.model.layers[-1].mlp
    learning = [block.gate.weight, *block.experts.parameters()]
    for parameter in learning:
        parameter.requires_grad_()
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-3))
    optimizer = torch.optim.AdamW(learning, lr=options.learning_rate, weight_decay=0.0)
    model.train()
    for step, batch in enumerate(rows.split(ROWS), start=1):
        loss = model(input_ids=batch, labels=batch, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        gates.update()
        (line,) = gates.metrics()
        print(f"step {step}: {loss.item():.4f} nats a token, MaxVio {line['max_violation']:.3f}", flush=True)
    gates.save_pretrained(options.folder)
    loaded.tokenizer.inner.save_pretrained(options.folder)
    for source in python_text.sources():
        print(f"text of {source.name} {source.version}: {source.license}")
    wall, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
    print(f"{options.folder}: {wall:.0f} s by the clock, {cpu:.0f} s of CPU time")


if __name__ == "__main__":
    main()
