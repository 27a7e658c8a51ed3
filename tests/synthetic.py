"""A run folder with known effects: what a study would have written, without training anything.

Degradations are given per endpoint, method and stress; seeds shift all cells alike (which pairing must remove), cells
scatter around that, and units differ in difficulty.
"""

import json
import math
from dataclasses import dataclass, field, fields

import numpy as np

from trimtab.study import spec, store

STUDY = """
name = "synthetic"
description = "known effects"
[factors]
balancer = {balancers}
expert_init = ["random", "skewed"]
capacity = ["dropless", "tight"]
seed = {seeds}
[reference]
expert_init = "random"
capacity = "dropless"
[contrast]
treatment = "loss_free"
control = "aux_global"
[endpoints]
primary = "python_loss"
secondary = ["humaneval_nll", "micro_pass1", "micro_pro_pass1"]
[margins]
python_loss = 0.02
humaneval_nll = 0.02
micro_pass1 = 0.05
micro_pro_pass1 = 0.05
[balancers.loss_free]
rule = "loss_free"
bias_update_rate = 0.01
[balancers.aux_global]
rule = "switch"
coef = 0.01
[balancers.none]
rule = "none"
[expert_inits.random]
[expert_inits.skewed]
kind = "skewed_router"
[capacities.dropless]
[capacities.tight]
factor = 1.0
[training]
steps = {steps}
"""

# Endpoint → (typical value, harm of the skewed router, harm of tight capacity), the same for every method by default.
TYPICAL = {
    "python_loss": (4.2, 0.03, 0.06),
    "humaneval_nll": (2.1, 0.01, 0.03),
    "micro_pass1": (0.55, 0.02, 0.2),
    "micro_pro_pass1": (0.35, 0.02, 0.12),
}
CAPACITIES = {"dropless": 0.0, "1.25": 0.5, "1.0": 1.0}


@dataclass(kw_only=True)
class Synthetic:
    """``extra[endpoint][method]`` is (skewed, tight): harm on top of the typical one; a corner has both."""

    seeds: int = 5
    first_seed: int = 0
    balancers: tuple = ("loss_free", "aux_global")
    extra: dict = field(default_factory=dict)
    seed_sd: float = 0.05
    cell_sd: float = 0.002
    units: int = 60
    steps: int = 20
    unit_name: str = "unit/{}"
    absent: dict = field(default_factory=lambda: {"mbpp-sanitized": "no file under TRIMTAB_DATA"})
    diverged: tuple = ()
    unwritten: tuple = ()

    def study(self):
        seeds = list(range(self.first_seed, self.first_seed + self.seeds))
        text = STUDY.format(balancers=list(self.balancers), seeds=seeds, steps=self.steps)
        return spec.parse(text.replace("'", '"'))

    def write(self, path):
        """Write the folder; return the parsed study."""
        study, folder = self.study(), store.RunFolder(path)
        folder.claim(study.text)
        put(folder.environment, ENVIRONMENT)
        put(folder.controls, CONTROLS)
        for cell in study.cells():
            if self._key(cell) not in self.unwritten:
                self._write_cell(folder.cell(cell.id), cell)
        return study

    def cell_id(self, balancer, expert_init, capacity, seed):
        key = (balancer, expert_init, capacity, seed)
        return next(cell.id for cell in self.study().cells() if self._key(cell) == key)

    @staticmethod
    def _key(cell):
        return tuple(cell.factors[name] for name in ("balancer", "expert_init", "capacity", "seed"))

    def _write_cell(self, folder, cell):
        folder.path.mkdir(parents=True)
        put(folder.cell, {"study": "synthetic", "factors": dict(cell.factors), "settings": dict(cell.settings)})
        key = self._key(cell)
        folder.train_log.write_text("".join(json.dumps(step) + "\n" for step in self._steps(key)), encoding="utf-8")
        put(folder.timing, {"stages": {"train": {"cpu_s": 30.0, "wall_s": 31.0}}, "peak_rss_mib": 700})
        diverged = key in self.diverged
        measured = {} if diverged else self._measured(key)
        result = store.CellResult(
            cell_id=cell.id,
            factors=dict(cell.factors),
            outcome="diverged" if diverged else "completed",
            training={"steps": self.steps, "tokens": self.steps * 1536, "parameters": 1_900_000},
            **measured,
        )
        put(folder.result, {entry.name: getattr(result, entry.name) for entry in fields(result)})

    def _harm(self, endpoint, key):
        """Return the harm of this cell's stress, and the scatter of its seed and of itself."""
        balancer, init, capacity, seed = key
        _, skewed, tight = TYPICAL[endpoint]
        more = self.extra.get(endpoint, {}).get(balancer, (0.0, 0.0))
        stress = (skewed + more[0]) * (init == "skewed") + (tight + more[1]) * (capacity == "tight")
        common = np.random.default_rng([seed, 1]).normal() * self.seed_sd
        own = np.random.default_rng([seed, *map(ord, balancer + init + capacity)]).normal() * self.cell_sd
        return stress + common + own

    def _measured(self, key):
        names = [self.unit_name.format(index) for index in range(self.units)]
        return {
            "losses": {
                "python": self._losses("python_loss", key, names),
                "humaneval": self._losses("humaneval_nll", key, names),
            },
            "passes": {
                "micro": self._passes("micro_pass1", key, names),
                "micro-pro": self._passes("micro_pro_pass1", key, names),
            },
            "unigram": {text: dict.fromkeys(names, 1680.0) for text in ("python", "humaneval")},
            "ranking": {"humaneval": {name: [3, 4] for name in names}},
            "routing": self._routing(key),
            "absent": dict(self.absent),
        }

    def _losses(self, endpoint, key, names):
        level, rng = TYPICAL[endpoint][0], np.random.default_rng(7)
        tokens = rng.integers(200, 400, size=len(names))
        difficulty = rng.normal(size=len(names)) * 0.3
        found = {}
        for name, squeeze in CAPACITIES.items():
            rate = level + difficulty + self._harm(endpoint, key) + 0.1 * squeeze
            size = tokens * 3
            nats = rate * (tokens if endpoint == "python_loss" else size * math.log(2))
            found[name] = {
                unit: [float(n), int(t), int(b)] for unit, n, t, b in zip(names, nats, tokens, size, strict=True)
            }
        return found

    def _passes(self, endpoint, key, names):
        """Ten samples a problem; the same luck in every cell, so that only the effect moves a count."""
        luck = np.random.default_rng(11).uniform(size=(len(names), 10))
        found = {}
        for name, squeeze in CAPACITIES.items():
            share = TYPICAL[endpoint][0] - self._harm(endpoint, key) - 0.2 * squeeze
            found[name] = {unit: [10, int(c)] for unit, c in zip(names, (luck < share).sum(axis=1), strict=True)}
        return found

    def _routing(self, key):
        balancer, init, capacity, _ = key
        base = {"loss_free": 0.2, "aux_global": 0.25}.get(balancer, 1.6) + 0.1 * (init == "skewed")
        records = []
        for phase, limit in (
            ("train_tail", None),
            *((f"eval:{text}", c) for text in ("python", "micro") for c in CAPACITIES),
        ):
            dropping = capacity == "tight" if limit is None else limit != "dropless"
            records += [
                {
                    "phase": phase,
                    "eval_capacity": limit,
                    "layer": layer,
                    "max_violation": base / layer,
                    "max_violation_floor": 0.08,
                    "entropy": 0.97,
                    "drop_rate": 0.06 * base * 4 if dropping else 0.0,
                    "drop_floor": 0.02 if dropping else 0.0,
                    "dead_experts": 0,
                    "bias_spread": 0.03 if balancer == "loss_free" else 0.0,
                    "tokens": 4096,
                    "load": [256] * 16,
                }
                for layer in (1, 2)
            ]
        return records

    def _steps(self, key):
        balancer, init, capacity, seed = key
        rng = np.random.default_rng([seed, 3])
        rate = {"loss_free": 0.10, "aux_global": 0.05}.get(balancer, 0.004)
        for step in range(1, self.steps + 1):
            start = 3.0 if init == "skewed" else 1.4
            violation = 0.12 + start * math.exp(-rate * step)
            loss = 4.2 + 2.8 * math.exp(-step / 12) + 0.05 * rng.normal() + 0.05 * (capacity == "tight")
            yield {
                "step": step,
                "loss": loss,
                "tokens": step * 1536,
                "lr": 3e-3,
                "grad_norm": 0.8,
                "penalty": 0.0 if balancer == "loss_free" else 0.01,
                "layers": [
                    {
                        "layer": layer,
                        "max_violation": violation * (1.2 - 0.2 * layer) * float(rng.uniform(0.85, 1.15)),
                        "entropy": 0.97,
                        "drop_rate": min(0.6, 0.12 * violation) if capacity == "tight" else 0.0,
                        "dead_experts": 0,
                        "bias_spread": 0.01 * step if balancer == "loss_free" else 0.0,
                    }
                    for layer in (1, 2)
                ],
            }


ENVIRONMENT = {
    "machine": {"python": "3.12.0", "system": "Linux 6.8", "processor": "a processor", "cores": 2, "memory_gib": 8.0},
    "packages": {"trimtab": "0.1.0", "torch": "2.13.0+cpu"},
    "sandbox": {"tier": "A", "requested": "auto", "enforced": True, "verdict": "L2-data"},
    "allow_unsandboxed": False,
}
CONTROLS = {
    "schema": 1,
    "controls": [
        {
            "name": "two live experts instead of eight",
            "kind": "positive",
            "factor": "expert_init",
            "endpoint": "python_loss",
            "threshold": 0.01,
            "measured": 0.031,
            "passed": True,
            "cells": ["controls/two-experts"],
        },
        {
            "name": "two live experts instead of eight",
            "kind": "positive",
            "factor": "expert_init",
            "endpoint": "micro_pass1",
            "threshold": 0.1,
            "measured": 0.004,
            "passed": False,
            "cells": ["controls/two-experts"],
        },
        {
            "name": "the same arm under two names",
            "kind": "negative",
            "factor": "balancer",
            "endpoint": "python_loss",
            "threshold": 0.01,
            "measured": -0.002,
            "passed": True,
            "note": "another seed of the data order",
        },
    ],
}


def put(path, value):
    """Write JSON without waiting for the disk: these folders live for one test."""
    path.write_text(json.dumps(value), encoding="utf-8")


def rewrite(path, change):
    """Apply ``change`` to the JSON in ``path``."""
    record = json.loads(path.read_text(encoding="utf-8"))
    change(record)
    put(path, record)
