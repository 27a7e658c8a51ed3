"""Bias rules through the real gate, on the two instruments, several seeds; and how low a bias can go there at all.

    python benchmarks/newton_training.py tiny|upcycled STEPS SEED[,SEED...] [RULE...] [--dump FOLDER]

For each seed the same initialization and the same batches for each rule. Printed: training loss, and MaxVio of the last
tenth of the steps less the floor of sampling. Then the weights rest, the model reads forty more batches of the same
text, and the best single bias for thirty of them (by the solver of the assignment problem, with every score in hand)
is tried on the other ten: a rule that sets a bias between steps cannot be expected to do better, however it learns.
``--dump`` writes the logits of every step [steps, T, E], which ``trimtab simulate --stream "Dumped(path=...)"`` shows
in their order.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
import torch

from trimtab.lm.train import weighted_loss
from trimtab.moe.attach import attach
from trimtab.moe.routing import max_violation_floor, scores_of
from trimtab.moe.simulate import names
from trimtab.moe.simulate.measures import prices
from trimtab.study import pretrained_cells, run, spec, stages

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

STUDIES = Path(__file__).parent.parent / "studies"
RULES = (
    "LossFree(bias_update_rate=1e-2)",
    "LossFree(bias_update_rate=3e-2)",
    "QuantileBalancing()",
    "NewtonBalancing()",
)
FITTED, TRIED = 30, 10


class Instrument:
    """A model of a seed, ready to learn, with what it reads and how its loss is computed."""

    def __init__(self, name: str, seed: int, cache: Path) -> None:
        study = spec.load(STUDIES / ("tiny.toml" if name == "tiny" else "quick.toml"))
        record = run.as_record(study, next(iter(study.cells())))
        record["factors"]["seed"] = seed
        self.bench = (stages if name == "tiny" else pretrained_cells).prepare(record, cache=cache)
        self.bench.gates.detach()
        self.model = self.bench.model.train()
        self.whole = name == "tiny"

    def loss(self, step: int) -> Tensor:
        """Return the loss of a batch, in nats a token."""
        batch = (self.bench.corpus if self.whole else self.bench.pool).batch(self.bench.seed, step)
        tokens, weights, positions = (torch.as_tensor(part) for part in (batch.tokens, batch.weights, batch.positions))
        if self.whole:
            logits = self.model(input_ids=tokens, position_ids=positions, use_cache=False).logits
            total = weighted_loss(logits, tokens, weights)
        else:
            total = self.bench.vocabulary.place_loss(self.model, tokens, positions, weights)
        return total / weights[:, 1:].sum()

    def optimizer(self, routers: tuple) -> torch.optim.Optimizer:
        """Return AdamW as the study's training loop has it, at its constant rate."""
        own, schedule = {id(router.weight) for router in routers}, self.bench.training
        groups = [
            {"params": [p for p in self.model.parameters() if p.requires_grad and id(p) not in own]},
            {"params": [router.weight for router in routers], "lr": schedule.learning_rate * schedule.router_scale},
        ]
        betas = schedule.beta1, schedule.beta2
        return torch.optim.AdamW(
            groups, lr=schedule.learning_rate, betas=betas, weight_decay=schedule.weight_decay, fused=True
        )


def train(instrument: Instrument, rule: str, steps: int) -> tuple[list[float], list[float], list[Tensor], tuple]:
    """Train with ``rule``; return loss, MaxVio and logits of each step, and the text's floor with E and K."""
    gates = attach(instrument.model, balancer=names.rule(rule))
    router, heard = gates.routers[-1], []
    stop = router.port.listen(router.module, _listener(heard))
    optimizer = instrument.optimizer(gates.routers)
    learning = [p for p in instrument.model.parameters() if p.requires_grad]
    losses, violations = [], []
    for step in range(1, steps + 1):
        loss = instrument.loss(step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, instrument.bench.training.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        gates.update()
        losses.append(float(loss.detach()))
        violations.append(gates.metrics()[-1]["max_violation"])
    logits = list(heard)
    heard.clear()
    with torch.no_grad():
        for step in range(steps + 1, steps + FITTED + TRIED + 1):
            instrument.loss(step)
    stop()
    floor = text_floor(torch.stack(heard), router)
    gates.detach()
    return losses, violations, logits, (floor, (router.num_experts, router.num_experts_per_tok))


def _listener(heard: list[Tensor]) -> Callable:
    def listen(logits_TE: Tensor, weights_TK: Tensor, experts_TK: Tensor) -> tuple[Tensor, Tensor]:
        heard.append(logits_TE.detach().float().clone())
        return weights_TK, experts_TK

    return listen


def text_floor(logits: Tensor, router) -> float:
    """Return the mean MaxVio of ten batches under the best bias for thirty others of the same frozen model."""
    scores = scores_of(logits, router.score_function)
    unseen = torch.arange(len(scores)) % 4 == 0
    fitted, others = scores[~unseen], scores[unseen]
    _, bias = prices(fitted.flatten(0, 1), router.num_experts_per_tok)
    chosen = (others + bias).topk(router.num_experts_per_tok, dim=-1).indices.flatten(1)
    loads = torch.stack([torch.bincount(experts, minlength=router.num_experts).float() for experts in chosen])
    return float((loads.amax(1) / loads.mean(1) - 1).mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("instrument", choices=("tiny", "upcycled"))
    parser.add_argument("steps", type=int)
    parser.add_argument("seeds", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("rules", nargs="*", default=RULES)
    parser.add_argument("--dump", type=Path)
    parser.add_argument("--cache", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for seed in given.seeds:
            for rule in given.rules:
                start = time.process_time()
                instrument = Instrument(given.instrument, seed, given.cache or Path(folder))
                losses, violations, logits, (text, shape) = train(instrument, rule, given.steps)
                floor = max_violation_floor(len(logits[0]), *shape)
                last = max(1, given.steps // 10)
                end = fmean(violations[-last:])
                third, start_up = fmean(violations[-(given.steps // 3) :]), fmean(violations[:20])
                print(
                    f"{given.instrument} seed {seed} {rule:34} MaxVio, last tenth: {end:.3f}, over the floor"
                    f" {floor:.3f}: {end - floor:.3f}; last third: {third:.3f}; first 20: {start_up:.3f}; best fixed"
                    f" bias of the frozen model on unseen batches: {text:.3f}; loss of the last tenth:"
                    f" {fmean(losses[-last:]):.4f}; {time.process_time() - start:.0f} CPU s",
                    flush=True,
                )
                if given.dump:
                    short = rule.replace("bias_update_rate=", "").replace("(", "-").rstrip(")-")
                    np.save(given.dump / f"{given.instrument}-{seed}-{short}.npy", torch.stack(logits).numpy())


if __name__ == "__main__":
    main()
