"""From a cell's plain values to a trained model: the one place where names become objects.

Seeds are paired across arms: the same seed gives the same initial weights, the same stress and the same order of data,
whatever the balancer, so that differences between arms are differences of the arms.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import distributed
from transformers.utils.logging import disable_progress_bar

from trimtab import disk
from trimtab.errors import ConfigurationError, RunFolderError, StudyError
from trimtab.lm import checkpoint, models, sharding
from trimtab.lm import train as training
from trimtab.lm.corpus import Corpus
from trimtab.moe import experts, stresses
from trimtab.moe.attach import attach
from trimtab.moe.discovery import find_routers
from trimtab.moe.lookout import wants_own_loss
from trimtab.settings import fresh_models, initializations, model_settings, model_tables
from trimtab.settings.capacities import Capacity
from trimtab.settings.reading import read
from trimtab.settings.rules import NoBalancer
from trimtab.settings.runs import CorpusSettings, Evaluation, Schedule
from trimtab.study import arms, launch, store, trackers
from trimtab.study.cell_inputs import DEDUPLICATED_AGAINST, load_benchmarks, without_none

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from transformers import PreTrainedModel

    from trimtab.codeeval.problems import Benchmark
    from trimtab.moe.gates import Gates
    from trimtab.moe.stressed import Changes
    from trimtab.settings.families import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A cell ready to be trained or measured."""

    seed: int
    model: PreTrainedModel
    gates: Gates
    corpus: Corpus
    benchmarks: Mapping[str, Benchmark]
    absent: Mapping[str, str]
    training: Schedule
    evaluation: Evaluation
    changes: Changes

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the training text comes from."""
        return self.corpus.provenance

    @property
    def tokens_of_step(self) -> int:
        """Routed tokens of an optimizer step."""
        return self.corpus.settings.rows * self.corpus.settings.row_length


def prepare(
    record: Mapping[str, Any], cache: Path, _report: Callable[[str, int, int], None] = lambda *_: None
) -> Bench:
    """Build what ``cell.json`` describes; texts are tokenized once and kept in ``cache``.

    Raises:
        StudyError: The cell's settings do not decode.
        ConfigurationError: The balancer cannot work on this model.
    """
    settings = record["settings"]
    arm = arms.from_table(without_none(settings["balancer"]), "cell.balancer")
    seed = int(record["factors"]["seed"]) + arm.seed_offset
    schedule = read(Schedule, settings["training"], "cell.training")
    torch.set_num_threads(schedule.threads)
    disable_progress_bar()  # type: ignore[no-untyped-call]  # saving a model of eight megabytes needs none
    evaluation = read(Evaluation, settings["evaluation"], "cell.evaluation")
    benchmarks, absent = load_benchmarks(tuple(dict.fromkeys((*DEDUPLICATED_AGAINST, *evaluation.benchmarks))))
    data = read(CorpusSettings, settings["data"], "cell.data")
    corpus = build_corpus(data, cache, benchmarks)
    model = build_model(model_tables.read_model(settings["model"], "cell.model"), data, seed)
    init = initializations.read_initialization(settings["expert_init"], "cell.expert_init")
    changes = initialize(model, init, corpus, seed)
    capacity = read(Capacity, without_none(settings["capacity"]), "cell.capacity")
    return Bench(
        seed=seed,
        model=model,
        gates=_attach(model, arm.balancer.for_run(schedule.steps), capacity, schedule.accumulation),
        corpus=corpus,
        benchmarks=benchmarks,
        absent=absent,
        training=schedule,
        evaluation=evaluation,
        changes=changes,
    )


def _attach(model: PreTrainedModel, rule: Rule, capacity: Capacity, accumulation: int) -> Gates:
    """Attach; a control without feed-forward blocks has nothing to balance.

    Raises:
        ConfigurationError: The model would add an auxiliary loss of its own, so that an arm has two balancers.
    """
    if wants_own_loss(model.config):
        raise ConfigurationError(
            f"{type(model).__name__} adds its own auxiliary loss (output_router_logits in its configuration): an arm of"
            " a study has the balancer it names and no other",
            hint="set output_router_logits to false in the model's config.json",
        )
    if not find_routers(model):
        return attach(model, balancer=NoBalancer())
    return attach(model, balancer=rule, capacity=capacity, accumulation=accumulation)


def build_corpus(data: CorpusSettings, cache: Path, benchmarks: Mapping[str, Benchmark]) -> Corpus:
    """Return the training text, without what it shares with the benchmarks."""
    exclude = [p.prompt + p.canonical_solution for benchmark in benchmarks.values() for p in benchmark.problems]
    return Corpus.build(cache, data, exclude)


def build_model(settings: model_settings.ModelSettings, data: CorpusSettings, seed: int) -> PreTrainedModel:
    """Return the fresh model of this seed, with the fast expert computation.

    Raises:
        StudyError: There is no way to build a model of this kind.
    """
    if not isinstance(settings, fresh_models.FreshModel):
        raise StudyError(f"a model of {type(settings).__name__} cannot be built")
    model = models.build(settings, seed=seed, vocab_size=data.vocab_size)
    experts.use(model)
    return model


def initialize(model: PreTrainedModel, init: initializations.Initialization, corpus: Corpus, seed: int) -> Changes:
    """Apply the stress of an initialization; the same seed stresses the same experts in every arm."""
    sample = torch.as_tensor(corpus.batch(seed, 0).tokens)
    return stresses.initialize(model, init, sample, torch.Generator().manual_seed(seed))


def train(bench: Bench, folder: store.CellFolder, report: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Train, or take the model that is already there; return steps, tokens, parameters and whether it diverged."""
    outcome_file = folder.model / "outcome.json"
    if outcome_file.exists():
        outcome: dict[str, Any] = disk.read_json(outcome_file)
        if not outcome["diverged"]:
            _load(bench, folder.model)
        return outcome
    _discard_unreadable(folder.checkpoint)
    if bench.training.processes == 1:
        return train_here(bench, folder, report)
    steps = bench.training.steps
    launch.train_together(folder.path, bench.training.processes, lambda step: report("train", step, steps))
    return train(bench, folder, report)


def train_here(bench: Bench, folder: store.CellFolder, report: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Train in this process, which may be one of several, and write the model; return what :func:`train` does."""
    ended = training.train(
        bench.model,
        bench.gates,
        lambda step: bench.corpus.batch(bench.seed, step),
        bench.training,
        folder.path,
        tracked=trackers.of_cell(store.RunFolder(folder.path.parent.parent), folder),
        on_step=lambda step: report("train", step, bench.training.steps),
    )
    outcome = {
        "steps": ended.steps,
        "tokens": ended.tokens,
        "diverged": ended.diverged,
        "parameters": models.count_parameters(bench.model),
    }
    _save(bench, folder.model, outcome)
    return outcome


def seconds_per_step(settings: model_settings.ModelSettings, data: CorpusSettings) -> float:
    """Time a training step of this model on random tokens; the second of two, because the first allocates."""
    model = build_model(settings, data, seed=0)
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
    weights = sharding.whole_state(bench.model)  # of which every process has a part to give
    if distributed.is_initialized() and distributed.get_rank():
        return
    temporary = folder.with_name("model.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    bench.model.save_pretrained(temporary, state_dict=weights)
    save_file(
        {name: tensor.contiguous() for name, tensor in bench.gates.state_dict().items()},
        temporary / "gates.safetensors",
    )
    (temporary / "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")
    temporary.replace(folder)


def _load(bench: Bench, folder: Path) -> None:
    # Through transformers, because what it saves has other names and shapes than what it computes with.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Initializing zero-element tensors")  # a model without shared experts
        saved = type(bench.model).from_pretrained(folder).state_dict()
    # Biases that gates added are unknown to transformers, and come back with the gates.
    own = bench.model.state_dict().keys() - bench.gates.added
    if missing := own - saved.keys():
        raise RunFolderError(f"{folder} lacks {min(missing)}", hint=f"delete {folder} to train this cell again")
    bench.model.load_state_dict({name: saved[name] for name in own}, strict=False)
    bench.gates.load_state_dict(load_file(folder / "gates.safetensors"))
