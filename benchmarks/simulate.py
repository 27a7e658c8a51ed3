"""Cells a minute of the simulator: 1,000 steps, 16 experts, 1,024 tokens, top-2; CPU seconds, one thread.

The goal is 200 cells a minute on two cores, which is 0.6 CPU seconds a cell.
"""

from __future__ import annotations

import time

import torch

from trimtab.moe.simulate import names
from trimtab.moe.simulate.engine import SimulatedArm, run
from trimtab.moe.simulate.streams import Shape

STEPS = 1000


def main() -> None:
    torch.set_num_threads(1)
    for texts, seeds in (
        (["LossFree(bias_update_rate=1e-3)", "LossFree(bias_update_rate=1e-2)"], 4),
        (["QuantileBalancing()"], 4),
        (["NewtonBalancing()"], 4),
        (["NewtonBalancing()"], 16),
        (["BIP()"], 4),
    ):
        arms = [SimulatedArm(name=text, balancer=names.rule(text)) for text in texts]
        start = time.process_time()
        run(names.stream("skewed"), Shape(), arms, seeds=list(range(seeds)), steps=STEPS)
        cell = (time.process_time() - start) / (len(arms) * seeds)
        what = f"{' + '.join(texts)}, {seeds} seeds"
        print(f"{what:74} {cell:6.2f} CPU s a cell of 1,000 steps, {120 / cell:6.0f} a minute on 2 cores", flush=True)


if __name__ == "__main__":
    main()
