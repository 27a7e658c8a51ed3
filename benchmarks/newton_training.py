"""NewtonBalancing through the real gate, beside LossFree and Quantile Balancing: the tiny study's model and batches.

    python benchmarks/newton_training.py [steps]

One seed, the same initialization and the same batches for each rule. Printed: training loss and MaxVio of its MoE
layers, mean over layers, at the start and at the end, with the floor of sampling; CPU seconds of all steps.
"""

import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean

import torch

from trimtab.lm.train import weighted_loss
from trimtab.moe.attach import attach
from trimtab.moe.routing import max_violation_floor
from trimtab.settings.rules import LossFree, NewtonBalancing, NoBalancer, QuantileBalancing
from trimtab.study import run, spec, stages

STUDY = spec.load(Path(__file__).parent.parent / "studies" / "tiny.toml")
RULES = (
    NoBalancer(),
    LossFree(bias_update_rate=1e-3),
    LossFree(bias_update_rate=1e-2),
    LossFree(bias_update_rate=3e-2),
    QuantileBalancing(),
    NewtonBalancing(),
)


def train(bench, rule, steps):
    """Train the bench's model with ``rule`` in place of its own; return losses, MaxVio a step, and CPU seconds."""
    bench.gates.detach()
    model, gates = bench.model.train(), attach(bench.model, balancer=rule)
    optimizer = torch.optim.AdamW(model.parameters(), lr=STUDY.training.learning_rate, fused=True)
    losses, violations, start = [], [], time.process_time()
    for step in range(steps):
        batch = bench.corpus.batch(bench.seed, step)
        tokens, weights = torch.as_tensor(batch.tokens), torch.as_tensor(batch.weights)
        logits = model(input_ids=tokens, position_ids=torch.as_tensor(batch.positions), use_cache=False).logits
        loss = weighted_loss(logits, tokens, weights) / weights[:, 1:].sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        gates.update()
        losses.append(float(loss.detach()))
        violations.append(fmean(line["max_violation"] for line in gates.metrics()))
    return losses, violations, time.process_time() - start, gates.routers[0]


def main(steps):
    torch.set_num_threads(1)
    cell = next(iter(STUDY.cells()))
    with tempfile.TemporaryDirectory() as cache:
        for rule in RULES:
            bench = stages.prepare(run.as_record(STUDY, cell), cache=Path(cache))
            losses, violations, spent, router = train(bench, rule, steps)
            tokens = STUDY.data.rows * STUDY.data.row_length
            floor = max_violation_floor(tokens, router.num_experts, router.num_experts_per_tok)
            print(
                f"{type(rule).__name__} {getattr(rule, 'bias_update_rate', '')}"
                f"   loss, last 50: {fmean(losses[-50:]):.4f}"
                f"   MaxVio, steps 1-20: {fmean(violations[:20]):.3f}"
                f"   steps 21-100: {fmean(violations[20:100]):.3f}   last 100: {fmean(violations[-100:]):.3f}"
                f" (floor {floor:.3f}, largest {max(violations[-100:]):.3f})   {spent:.0f} CPU s",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
