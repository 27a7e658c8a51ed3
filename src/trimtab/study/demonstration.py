"""A small mixture of experts, skewed on purpose and trained under several balancing rules: what balancing looks like.

It is the tiny study's model on little text, with the study's own initialization, attaching and training loop. One seed
and some dozens of steps show how rules act, and decide nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab import disk
from trimtab.lm import train as training
from trimtab.moe.attach import attach
from trimtab.moe.routing import max_violation_floor
from trimtab.settings import rules
from trimtab.settings.fresh_models import FreshModel
from trimtab.settings.initializations import SkewedRouter
from trimtab.settings.runs import CorpusSettings, Schedule
from trimtab.study import stages
from trimtab.study.demonstration_steps import Demonstration, Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from trimtab.lm.corpus import Corpus
    from trimtab.moe.gates import Gates
    from trimtab.settings.families import Rule

MODEL: Final = FreshModel(
    preset="sigmoid",
    num_hidden_layers=2,
    num_attention_heads=1,
    intermediate_size=64,
    moe_intermediate_size=64,
    initializer_range=0.06,
    num_experts=8,
)
SKEW: Final = SkewedRouter(shift=3.0, share=0.25)
TEXT: Final = CorpusSettings(python_weight=0.25, python_bytes=600_000, heldout_bytes=40_000, micro_samples=1_000)
RULES: Final[Mapping[str, Rule]] = {
    "no balancing": rules.NoBalancer(),
    "auxiliary loss": rules.SwitchLoss(coef=0.01, scope="global"),
    "ALF-LB": rules.LossFree(bias_update_rate=0.03),
    "NewtonBalancing": rules.NewtonBalancing(),
}


@dataclass(slots=True)
class _CountingGates:
    """The gates as the training loop sees them; the calls of a step are copied before the update forgets them."""

    gates: Gates
    calls: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def routers(self) -> tuple[Any, ...]:
        return self.gates.routers

    def update(self) -> None:
        (calls_E,) = self.gates.loads().values()
        self.calls.append(tuple(int(count) for count in calls_E))
        self.gates.update()

    def penalty(self) -> Tensor:
        return self.gates.penalty()

    def metrics(self) -> list[dict[str, Any]]:
        return self.gates.metrics()

    def state_dict(self) -> dict[str, Tensor]:
        return self.gates.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.gates.load_state_dict(state)


def run(*, steps: int, seed: int, show: Callable[[Moment], None] = lambda _: None) -> Demonstration:
    """Train the model once under each rule, from the same weights, skew and batches.

    Args:
        steps: Optimizer steps of each training, at least 2.
        seed: Of weights, skew and batches.
        show: Called with each step as soon as it is taken.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    moments: list[Moment] = []
    try:
        with TemporaryDirectory(prefix="trimtab-demo-") as scratch:
            corpus = stages.build_corpus(TEXT, Path(scratch) / "cache", {})
            for name in RULES:
                folder = Path(scratch) / name
                folder.mkdir()
                moments += _trained_under(name, corpus, folder, steps, seed, show)
    finally:
        torch.set_num_threads(threads)
    floor = max_violation_floor(TEXT.rows * TEXT.row_length, MODEL.num_experts, MODEL.num_experts_per_tok)
    return Demonstration(steps=steps, seed=seed, floor=floor, moments=tuple(moments))


def _trained_under(
    name: str, corpus: Corpus, folder: Path, steps: int, seed: int, show: Callable[[Moment], None]
) -> list[Moment]:
    """Train the skewed model under one rule; return its steps."""
    model = stages.build_model(MODEL, TEXT, seed)
    stages.initialize(model, SKEW, corpus, seed)
    gates = _CountingGates(attach(model, balancer=RULES[name].for_run(steps)))
    moments: list[Moment] = []

    def note(step: int) -> None:
        line = disk.read_lines(folder / "train.jsonl")[-1]
        max_violation = line["layers"][0]["max_violation"]
        moments.append(
            Moment(rule=name, step=step, loss=line["loss"], max_violation=max_violation, calls=gates.calls[-1])
        )
        show(moments[-1])

    schedule = Schedule(steps=steps, learning_rate=1.8e-3, warmup_steps=min(5, steps - 1))
    training.train(model, gates, lambda step: corpus.batch(seed, step), schedule, folder, on_step=note)
    return moments
