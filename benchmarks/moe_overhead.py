"""What attaching costs, and what the fast experts save: CPU time of training steps, as ratios of interleaved runs.

The model of studies/tiny.toml in the training step of a study (the real loop, clipping and logging included), and,
larger, the default preset (GLM-4-MoE, 4 layers with the first dense, hidden 128, 8 experts, top-2). One thread. Every
round times one step of each variant in turn, so that a busy machine touches all of them alike; the ratio printed is the
median over rounds of a variant's step to the first one's, with its quartiles. That ratio is noisy at the level of a
percent, so the time spent inside hooks and update is also clocked directly (least of all rounds; without the backward
pass of what they add to the graph).

    python benchmarks/moe_overhead.py [rounds] [tiny|default]
"""

import statistics
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from trimtab.lm import models, train
from trimtab.lm.corpus import Batch
from trimtab.moe import experts
from trimtab.moe.attach import attach
from trimtab.moe.gate import Gate
from trimtab.moe.gates import Gates
from trimtab.moe.passes import Passes, PassHook
from trimtab.settings.capacities import Capacity
from trimtab.settings.fresh_models import FreshModel
from trimtab.settings.rules import LossFree, NewtonBalancing, NoBalancer, SwitchLoss
from trimtab.settings.runs import Schedule
from trimtab.study import spec, stages

TINY = Path(__file__).parent.parent / "studies" / "tiny.toml"
ROWS, COLUMNS = 32, 96  # 3,072 tokens a step


class Step:
    """A model, its optimizer and perhaps its gates."""

    def __init__(self, preset="sigmoid", implementation="trimtab", balancer=None, capacity=None):
        self.model = models.build(FreshModel(preset=preset), seed=0)
        experts.use(self.model)
        self.model.set_experts_implementation(implementation)
        self.model.train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)
        self.gates = None if balancer is None else attach(self.model, balancer=balancer, capacity=capacity)
        self.times = []

    def run(self, tokens):
        """Train one step and note its CPU time."""
        start = time.process_time()
        self.model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.gates is not None:
            self.gates.update()
            self.gates.metrics()
            float(self.gates.penalty())
        self.times.append(time.process_time() - start)


class NoGates:
    """What the loop asks of gates, where nothing is attached."""

    def update(self):
        """Do nothing."""

    def penalty(self):
        """No penalty."""
        return 0.0

    def metrics(self):
        """No layers."""
        return []


class QuickStep:
    """A step of studies/tiny.toml, by the loop that trains a study."""

    def __init__(self, balancer=None, capacity=None):
        study = spec.load(TINY)
        (level,) = study.models.values()
        self.model = stages.build_model(level, study.data, 0).train()
        torch.set_num_threads(1)
        gates = NoGates() if balancer is None else attach(self.model, balancer=balancer, capacity=capacity)
        settings = study.training
        schedule = Schedule(
            steps=settings.steps, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay
        )
        groups = train._parameter_groups(self.model, gates, schedule)  # noqa: SLF001 - the very loop
        optimizer = torch.optim.AdamW(groups, lr=schedule.learning_rate, fused=True)
        accelerator = Accelerator(cpu=True)
        model, prepared = accelerator.prepare(self.model, optimizer)
        self.loop = train._Loop(  # noqa: SLF001 - the very loop
            accelerator=accelerator,
            model=model,
            optimizer=prepared,
            gates=gates,
            schedule=schedule,
            loss_of=train.language_model_loss,
        )
        shape = (study.data.rows, study.data.row_length)
        drawn = np.random.default_rng(0).integers(3, study.data.vocab_size, shape)
        self.batch = Batch(tokens=drawn, weights=np.ones(shape, dtype=np.float32))
        self.times = []

    def run(self, _tokens):
        """Train one step and note its CPU time."""
        start = time.process_time()
        self.loop.step(1 + len(self.times), self.batch)
        self.times.append(time.process_time() - start)


def compare(title, variants, rounds):
    """Print the median ratio of each variant's step to that of the first."""
    tokens = torch.randint(3, 1024, (ROWS, COLUMNS), generator=torch.Generator().manual_seed(0))
    for variant in variants.values():
        variant.run(tokens)
        variant.times.clear()
    for number in range(rounds):
        # Alternate the order, so that none always runs in another's warm cache.
        names = list(variants) if number % 2 else list(reversed(variants))
        for name in names:
            variants[name].run(tokens)
    base = next(iter(variants.values())).times
    print(f"\n{title} ({rounds} rounds)")
    for name, variant in variants.items():
        ratios = [mine / first for mine, first in zip(variant.times, base, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        step = 1000 * statistics.median(variant.times)
        print(f"  {name:<34} {step:7.1f} ms CPU   ratio {middle:.3f}  [{low:.3f}, {high:.3f}]")


@contextmanager
def clocked():
    """Clock everything the gates do; yields a list of one float, the CPU seconds so far."""
    spent = [0.0]

    def timed(method):
        def call(*args, **kwargs):
            start = time.process_time()
            try:
                return method(*args, **kwargs)
            finally:
                spent[0] += time.process_time() - start

        return call

    places = [(Gate, "before"), (Gate, "decide"), (Gates, "update"), (Gates, "metrics"), (PassHook, "begin")]
    methods = [(owner, name, getattr(owner, name)) for owner, name in places]
    for owner, name, method in methods:
        setattr(owner, name, timed(method))
    try:
        yield spent
    finally:
        for owner, name, method in methods:
            setattr(owner, name, method)


def inside(title, rounds, make):
    """Print the CPU time a step spends inside the gates, beside that of the rest of the step."""
    tokens = torch.randint(3, 1024, (ROWS, COLUMNS), generator=torch.Generator().manual_seed(0))
    with clocked() as spent:
        step, gates = make(), []
        for _ in range(rounds):
            before = spent[0]
            step.run(tokens)
            gates.append(spent[0] - before)
    rest = min(total - own for total, own in zip(step.times, gates, strict=True))
    print(f"  {title:<34} {1000 * min(gates):7.2f} ms of {1000 * rest:.0f} ms   ratio {1 + min(gates) / rest:.4f}")


def where(rounds, make):
    """Print where the time inside goes: the least of all rounds of each part; parts of `decide` are indented."""
    spent, places = {}, {
        PassHook: ("begin",),
        Passes: ("find",),
        Gate: ("before", "decide", "_context", "_select", "_place", "_count"),
        Gates: ("update", "metrics"),
    }  # fmt: skip

    def timed(name, method):
        def call(*args, **kwargs):
            start = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - start

        return call

    methods = [(owner, name, getattr(owner, name)) for owner, names in places.items() for name in names]
    for owner, name, method in methods:
        setattr(owner, name, timed(name, method))
    try:
        step, found = make(), []
        tokens = torch.randint(3, 1024, (ROWS, COLUMNS), generator=torch.Generator().manual_seed(0))
        for _ in range(rounds):
            spent.clear()
            step.run(tokens)
            found.append(dict(spent))
    finally:
        for owner, name, method in methods:
            setattr(owner, name, method)
    for name in found[0]:
        inner = "  " if name.startswith("_") or name == "find" else ""
        print(f"    {inner + name:<12} {1000 * min(one.get(name, 0.0) for one in found):6.2f} ms")


def tiny(rounds):
    """The model of the tiny study."""
    rule, tight = LossFree(bias_update_rate=0.03), Capacity(factor=1.0)
    makers = {
        "LossFree": partial(QuickStep, rule),
        "LossFree, capacity 1.0": partial(QuickStep, rule, tight),
        "SwitchLoss global": partial(QuickStep, SwitchLoss(coef=0.01, scope="global")),
        "NewtonBalancing": partial(QuickStep, NewtonBalancing()),
    }
    variants = {"not attached": QuickStep(), **{name: make() for name, make in makers.items()}}
    compare("The tiny study's model and training step", variants, rounds)
    print("  inside hooks and update")
    for name, make in makers.items():
        inside(name, rounds, make)
    print("  where it goes, LossFree")
    where(rounds, makers["LossFree"])


def main():
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    parts = {"tiny": tiny, "default": default}
    for name in sys.argv[2:] or parts:
        parts[name](rounds)


def default(rounds):
    """The default preset, larger."""
    compare(
        "Attachment, sigmoid (GLM-4-MoE)",
        {
            "not attached": Step(),
            "NoBalancer": Step(balancer=NoBalancer()),
            "LossFree": Step(balancer=LossFree(bias_update_rate=1e-3)),
            "SwitchLoss global": Step(balancer=SwitchLoss(coef=1e-2, scope="global")),
            "LossFree, capacity 1.25": Step(balancer=LossFree(bias_update_rate=1e-3), capacity=Capacity(factor=1.25)),
        },
        rounds,
    )
    compare(
        "Attachment, softmax (Qwen3-MoE)",
        {
            "not attached": Step("softmax"),
            "LossFree": Step("softmax", balancer=LossFree(bias_update_rate=1e-3)),
        },
        rounds,
    )
    print("\nInside hooks and update")
    rule, global_loss = LossFree(bias_update_rate=1e-3), SwitchLoss(coef=1e-2, scope="global")
    inside("LossFree, sigmoid", rounds, partial(Step, balancer=rule))
    inside("LossFree, softmax", rounds, partial(Step, "softmax", balancer=rule))
    for preset in ("sigmoid", "softmax"):
        print(f"  where it goes, LossFree, {preset}")
        where(min(rounds, 8), partial(Step, preset, balancer=rule))
    inside("SwitchLoss global, sigmoid", rounds, partial(Step, balancer=global_loss))
    inside("LossFree, sigmoid, capacity 1.0", rounds, partial(Step, balancer=rule, capacity=Capacity(factor=1.0)))
    compare(
        "Experts",
        {name: Step(implementation=name) for name in ("trimtab", "grouped_mm", "eager")},
        rounds,
    )


if __name__ == "__main__":
    main()
