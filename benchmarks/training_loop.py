"""Tokens per CPU second of our training loop beside a loop written by hand for the same model.

    python benchmarks/training_loop.py [rounds]

The hand-written loop is what one would type: the same transformers model with its own default experts, batches prepared
before the clock starts, AdamW, clipping; no hooks, no metrics, no log. Ours is `trimtab.lm.train` with everything on:
gates, capacity, metrics, corpus batches, `train.jsonl`, a checkpoint on the way. Rounds are interleaved and the ratio
of each pair is taken, because the machine's speed drifts; one thread.
"""

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from trimtab.lm import models
from trimtab.lm.train import train, weighted_loss
from trimtab.settings.runs import Schedule
from trimtab.study import run, spec, stages, store

STEPS = 50
STUDY = spec.load(Path(__file__).parent.parent / "studies" / "tiny.toml")


def by_hand(batches):
    """Train for STEPS steps; return CPU seconds."""
    model = models.build(STUDY.models["tiny"], seed=0, vocab_size=STUDY.data.vocab_size).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=STUDY.training.learning_rate, fused=True)
    start = time.process_time()
    for tokens, weights, positions in batches:
        logits = model(input_ids=tokens, position_ids=positions, use_cache=False).logits
        loss = weighted_loss(logits, tokens, weights) / weights[:, 1:].sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return time.process_time() - start


def ours(bench, folder):
    """Train the study's first cell for STEPS steps; return CPU seconds."""
    start = time.process_time()
    train(
        bench.model,
        bench.gates,
        lambda step: bench.corpus.batch(bench.seed, step),
        Schedule(steps=STEPS, learning_rate=STUDY.training.learning_rate, checkpoint_every=STEPS // 2),
        folder,
    )
    return time.process_time() - start


def main(rounds):
    torch.set_num_threads(1)
    tokens = STEPS * STUDY.data.rows * STUDY.data.row_length
    cell = next(iter(STUDY.cells()))
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        bench = stages.prepare(run.as_record(STUDY, cell), cache=root / "cache")
        prepared = [bench.corpus.batch(0, step) for step in range(STEPS)]
        batches = [
            (torch.as_tensor(b.tokens), torch.as_tensor(b.weights), torch.as_tensor(b.positions)) for b in prepared
        ]
        speeds = []
        for number in range(rounds):
            bench = stages.prepare(run.as_record(STUDY, cell), cache=root / "cache")
            folder = store.CellFolder(root / str(number))
            folder.path.mkdir()
            speeds.append((tokens / by_hand(batches), tokens / ours(bench, folder.path)))
            print(f"round {number}: by hand {speeds[-1][0]:.0f}, ours {speeds[-1][1]:.0f} tokens per CPU second")
    print(f"ours / by hand, median of {rounds}: {median(b / a for a, b in speeds):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
