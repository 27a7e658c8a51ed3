"""From a cell's plain values to a trained model: the one place where names become objects.

Seeds are paired across arms: the same seed gives the same initial weights, the same stress and the same order of data,
whatever the balancer, so that differences between arms are differences of the arms.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors.torch import load_file, save_file
from transformers.utils.logging import disable_progress_bar

from trimtab import disk
from trimtab.codeeval import problems
from trimtab.errors import BenchmarkError, RunFolderError
from trimtab.lm import checkpoint, models
from trimtab.lm import train as training
from trimtab.lm.corpus import Corpus, CorpusSettings
from trimtab.moe import balancers, depth_init, expert_init, experts, upcycled_init
from trimtab.moe.attach import attach
from trimtab.moe.capacity import Capacity
from trimtab.moe.discovery import find_routers
from trimtab.study import balancer_levels, levels, store
from trimtab.study.decode import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from transformers import PreTrainedModel

    from trimtab.codeeval.problems import Benchmark
    from trimtab.moe.gates import Gates

_DEDUPLICATED_AGAINST: Final = ("humaneval", "mbpp-sanitized")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A cell ready to be trained or measured."""

    seed: int
    model: PreTrainedModel
    gates: Gates
    corpus: Corpus
    benchmarks: Mapping[str, Benchmark]
    absent: Mapping[str, str]
    training: levels.Training
    evaluation: levels.Evaluation


def prepare(record: Mapping[str, Any], *, cache: Path) -> Bench:
    """Build what ``cell.json`` describes; texts are tokenized once and kept in ``cache``.

    Raises:
        StudyError: The cell's settings do not decode.
        ConfigurationError: The balancer cannot work on this model.
    """
    settings = record["settings"]
    model_level = decode(levels.ModelLevel, settings["model"], "cell.model")
    rule = balancer_levels.balancer(_without_none(settings["balancer"]), "cell.balancer")
    seed = int(record["factors"]["seed"]) + rule.seed_offset
    schedule = decode(levels.Training, settings["training"], "cell.training")
    torch.set_num_threads(schedule.threads)
    disable_progress_bar()  # type: ignore[no-untyped-call]  # saving a model of eight megabytes needs none
    evaluation = decode(levels.Evaluation, settings["evaluation"], "cell.evaluation")
    benchmarks, absent = load_benchmarks(tuple(dict.fromkeys((*_DEDUPLICATED_AGAINST, *evaluation.benchmarks))))
    data = decode(levels.Data, settings["data"], "cell.data")
    corpus = build_corpus(data, cache, benchmarks)
    model = build_model(model_level, data, seed)
    initialize(model, levels.expert_init(settings["expert_init"], "cell.expert_init"), corpus, seed)
    capacity = decode(levels.CapacityLevel, _without_none(settings["capacity"]), "cell.capacity")
    return Bench(
        seed=seed,
        model=model,
        gates=_attach(model, balancer(rule, schedule.steps), capacity_of(capacity), schedule.accumulation),
        corpus=corpus,
        benchmarks=benchmarks,
        absent=absent,
        training=schedule,
        evaluation=evaluation,
    )


def _attach(model: PreTrainedModel, rule: balancers.Balancer, capacity: Capacity, accumulation: int) -> Gates:
    """Attach; a control without feed-forward blocks has nothing to balance."""
    if not find_routers(model):
        return attach(model, balancer=balancers.NoBalancer())
    return attach(model, balancer=rule, capacity=capacity, accumulation=accumulation)


def load_benchmarks(names: tuple[str, ...]) -> tuple[dict[str, Benchmark], dict[str, str]]:
    """Return the benchmarks that are here, and for the others why not."""
    found, absent = {}, {}
    for name in names:
        try:
            found[name] = problems.load(name)
        except BenchmarkError as error:
            absent[name] = error.message
    return found, absent


def build_corpus(data: levels.Data, cache: Path, benchmarks: Mapping[str, Benchmark]) -> Corpus:
    """Return the training text, without what it shares with the benchmarks."""
    settings = CorpusSettings(**dataclasses.asdict(data))
    exclude = [p.prompt + p.canonical_solution for benchmark in benchmarks.values() for p in benchmark.problems]
    return Corpus.build(cache, settings, exclude)


def build_model(level: levels.ModelLevel, data: levels.Data, seed: int) -> PreTrainedModel:
    """Return the fresh model of this seed, with the fast expert computation."""
    dimensions = {name: value for name, value in dataclasses.asdict(level).items() if name != "preset"}
    size = models.ModelSize(vocab_size=data.vocab_size, **dimensions)
    model = models.build(level.preset, size, seed=seed)
    experts.use(model)
    return model


def balancer(level: balancer_levels.BalancerLevel, steps: int) -> balancers.Balancer:
    """Turn the table of a rule into the rule, for a run of ``steps`` optimizer steps."""
    if isinstance(level, balancer_levels.StackLevel):
        return balancers.Stack(*(balancer(part, steps) for part in (level.bias, *level.losses)))  # type: ignore[arg-type] # checked when read
    values = {name: value for name, value in dataclasses.asdict(level).items() if name not in {"rule", "seed_offset"}}
    if isinstance(level, balancer_levels.LossFreeLevel):
        total_steps = None if level.freeze_at is None else steps
        return balancers.LossFree(rule=values.pop("update"), total_steps=total_steps, **values)
    kinds: dict[type, type[balancers.Balancer]] = {
        balancer_levels.NoneLevel: balancers.NoBalancer,
        balancer_levels.QuantileLevel: balancers.QuantileBalancing,
        balancer_levels.NewtonLevel: balancers.NewtonBalancing,
        balancer_levels.BIPLevel: balancers.BIP,
        balancer_levels.SinkhornLevel: balancers.Sinkhorn,
        balancer_levels.SwitchLevel: balancers.SwitchLoss,
        balancer_levels.PooledSwitchLevel: balancers.PooledSwitchLoss,
        balancer_levels.ZLossLevel: balancers.RouterZLoss,
        balancer_levels.SimBalLevel: balancers.SimBal,
    }
    return kinds[type(level)](**values)


def capacity_of(level: levels.CapacityLevel) -> Capacity:
    """Turn the table of a capacity into the capacity; evaluation is dropless unless it is asked otherwise."""
    return Capacity(**dataclasses.asdict(level))


def initialize(model: PreTrainedModel, level: levels.InitLevel, corpus: Corpus, seed: int) -> None:
    """Apply the stress of an initialization; the same seed stresses the same experts in every arm."""
    stresses: dict[str, Callable[..., expert_init.ExpertInit]] = {
        "random": expert_init.Random,
        "scaled_router": expert_init.ScaledRouter,
        "skewed_router": expert_init.SkewedRouter,
        "twin_rows": expert_init.TwinRows,
        "identical_experts": expert_init.IdenticalExperts,
        "dead_expert": expert_init.DeadExpert,
        "biased_router": expert_init.BiasedRouter,
        "drop_upcycled": upcycled_init.DropUpcycled,
        "virtual_groups": upcycled_init.VirtualGroups,
        "depth_scaled": depth_init.DepthScaled,
        "collapsed_inputs": depth_init.CollapsedInputs,
    }
    values = dataclasses.asdict(level)
    stress = stresses[values.pop("kind")](**values)
    sample = torch.as_tensor(corpus.batch(seed, 0).tokens)
    stress.apply(model, sample, torch.Generator().manual_seed(seed))


def train(bench: Bench, folder: store.CellFolder, report: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Train, or take the model that is already there; return steps, tokens, parameters and whether it diverged."""
    outcome_file = folder.model / "outcome.json"
    if outcome_file.exists():
        outcome: dict[str, Any] = disk.read_json(outcome_file)
        if not outcome["diverged"]:
            _load(bench, folder.model)
        return outcome
    settings = bench.training
    schedule = training.Schedule(
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_steps,
        decay_fraction=settings.decay_fraction,
        max_grad_norm=settings.max_grad_norm,
        accumulation=settings.accumulation,
        checkpoint_every=settings.checkpoint_every,
    )
    _discard_unreadable(folder.checkpoint)
    ended = training.train(
        bench.model,
        bench.gates,
        lambda step: bench.corpus.batch(bench.seed, step),
        schedule,
        folder.path,
        on_step=lambda step: report("train", step, schedule.steps),
    )
    outcome = {
        "steps": ended.steps,
        "tokens": ended.tokens,
        "diverged": ended.diverged,
        "parameters": models.count_parameters(bench.model),
    }
    _save(bench, folder.model, outcome)
    return outcome


def seconds_per_step(level: levels.ModelLevel, data: levels.Data) -> float:
    """Time a training step of this model on random tokens; the second of two, because the first allocates."""
    model = build_model(level, data, seed=0)
    tokens = torch.randint(3, data.vocab_size, (data.rows, data.row_length))
    spent = 0.0
    for _ in range(2):
        start = time.process_time()
        training.weighted_loss(model(input_ids=tokens).logits, tokens, torch.ones(tokens.shape)).backward()  # type: ignore[no-untyped-call]
        spent = time.process_time() - start
    return spent


def _discard_unreadable(folder: Path) -> None:
    try:
        checkpoint.latest(folder)
    except RunFolderError as error:
        print(f"{error.message}; this cell is trained from its start", file=sys.stderr)  # noqa: T201 - a worker's log
        shutil.rmtree(folder)


def _save(bench: Bench, folder: Path, outcome: Mapping[str, Any]) -> None:
    """Write the model in transformers' form, and the gates beside it; the folder appears whole or not at all."""
    temporary = folder.with_name("model.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    bench.model.save_pretrained(temporary)
    save_file(
        {name: tensor.contiguous() for name, tensor in bench.gates.state_dict().items()},
        temporary / "gates.safetensors",
    )
    (temporary / "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")
    temporary.replace(folder)


def _load(bench: Bench, folder: Path) -> None:
    # Through transformers, because what it saves has other names and shapes than what it computes with.
    saved = type(bench.model).from_pretrained(folder).state_dict()
    # Biases that gates added are unknown to transformers, and come back with the gates.
    own = bench.model.state_dict().keys() - bench.gates.added
    if missing := own - saved.keys():
        raise RunFolderError(f"{folder} lacks {min(missing)}", hint=f"delete {folder} to train this cell again")
    bench.model.load_state_dict({name: saved[name] for name in own}, strict=False)
    bench.gates.load_state_dict(load_file(folder / "gates.safetensors"))


def _without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    """Drop nulls: in a cell's JSON they stand for a key that the study file leaves out."""
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }
