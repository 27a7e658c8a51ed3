"""Cells a minute of the simulator, for every causal rule: 16 experts, 1,024 tokens, top-2; CPU seconds, one thread.

The goal is 200 cells of 1,000 steps a minute on two cores, which is 0.6 CPU seconds a cell. Fewer steps are run, and
the first of two runs is left out.

    python benchmarks/simulate.py [--steps 200] [--seeds 4]

Writes ``results/simulate.json``.
"""

from __future__ import annotations

import argparse
import time

import torch

from recording import write
from trimtab.moe.balancers.behaviors import behavior
from trimtab.moe.simulate import names
from trimtab.moe.simulate.engine import SimulatedArm, run
from trimtab.moe.simulate.streams import Shape
from trimtab.settings import rules

ARGUMENTS = {"LossFree": "bias_update_rate=1e-3", "SoftClippedBias": "bias_update_rate=1e-3", "CausalBias": "rate=1e-2"}
ASKED = 200


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=4)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = []
    for kind in rules.RULES:
        if kind.not_simulated or kind is rules.Stack:
            continue
        text = f"{kind.__name__}({ARGUMENTS.get(kind.__name__, '')})"
        rule = names.rule(text)
        if not behavior(rule).causal:
            continue
        arms = [SimulatedArm(name=text, balancer=rule)]
        for steps in (10, arguments.steps):
            start = time.process_time()
            run(names.stream("skewed"), Shape(), arms, seeds=list(range(arguments.seeds)), steps=steps)
        cell = (time.process_time() - start) / arguments.seeds / arguments.steps * 1000
        found.append({"rule": text, "CPU s a cell of 1,000 steps": round(cell, 3), "cells a minute": round(120 / cell)})
        print(f"{text:50} {cell:6.2f} CPU s a cell, {120 / cell:6.0f} a minute on 2 cores", flush=True)
    write("simulate", {"steps": arguments.steps, "seeds": arguments.seeds, "asked": ASKED, "rules": found})


if __name__ == "__main__":
    main()
