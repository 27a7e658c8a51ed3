"""A cell on a pretrained model with experts in its last layers: from plain values to a trained and measured model.

Seeds are paired across arms: the same seed gives the same router rows, the same stress and the same order of data. The
texts, the dense model and the states in front of the experts are the same for all cells, and lie in the cache.
"""

from __future__ import annotations

import math
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors.torch import load_file, save_file

from trimtab import disk
from trimtab.codeeval import mutant_ranking
from trimtab.errors import RunFolderError, StudyError
from trimtab.lm import checkpoint, dense, expert_health, place_score, trunk
from trimtab.lm import train as training
from trimtab.lm.text_pool import PoolText, TextPool
from trimtab.lm.upcycled import UpcycledModel, Vocabulary, resolve_layers
from trimtab.moe import stresses
from trimtab.moe.attach import attach
from trimtab.moe.discovery import find_routers
from trimtab.settings import initializations
from trimtab.settings.capacities import Capacity
from trimtab.settings.pools import PlaceEvaluation, PoolSettings
from trimtab.settings.reading import read
from trimtab.settings.rules import NoBalancer
from trimtab.settings.runs import Schedule
from trimtab.settings.upcycled_models import UpcycledSettings
from trimtab.study import arms, generation, store, trackers
from trimtab.study.cell_inputs import DEDUPLICATED_AGAINST, load_benchmarks, shared_cache, without_none
from trimtab.study.measured import DROPLESS, CellMeasurements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from trimtab.codeeval.problems import Benchmark
    from trimtab.lm.text_pool import PoolDocument
    from trimtab.moe.gates import Gates
    from trimtab.moe.stressed import Changes

_RANKED: Final = "mutants of "


@dataclass(slots=True, kw_only=True)
class PretrainedBench:
    """A cell ready to be trained or measured."""

    seed: int
    model: UpcycledModel
    vocabulary: Vocabulary
    gates: Gates
    pool: TextPool
    absent: Mapping[str, str]
    training: Schedule
    evaluation: PlaceEvaluation
    departure: float | None
    changes: Changes
    start_norms: Mapping[int, list[float]]
    benchmarks: Mapping[str, Benchmark]
    source: str
    cache: Path

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the training text comes from."""
        return self.pool.provenance

    @property
    def tokens_of_step(self) -> int:
        """Routed tokens of an optimizer step."""
        return self.pool.settings.rows * (self.pool.settings.row_length - 1)


def prepare(
    record: Mapping[str, Any], cache: Path, report: Callable[[str, int, int], None] = lambda *_: None
) -> PretrainedBench:
    """Build what ``cell.json`` describes; texts and states are computed once and kept in ``cache``.

    Raises:
        StudyError: The cell's settings do not decode.
        ConfigurationError: The checkpoint, the balancer or the initialization cannot work.
    """
    settings = record["settings"]
    arm = arms.from_table(without_none(settings["balancer"]), "cell.balancer")
    seed = int(record["factors"]["seed"]) + arm.seed_offset
    schedule = read(Schedule, settings["training"], "cell.training")
    torch.set_num_threads(schedule.threads)
    level = read(UpcycledSettings, settings["model"], "cell.model")
    evaluation = read(PlaceEvaluation, settings["evaluation"], "cell.evaluation")
    cache = shared_cache(cache)
    model = dense.load(level.source, cache)
    first = resolve_layers(level.layers, len(model.model.model.layers))[0]
    benchmarks, absent = load_benchmarks(tuple(dict.fromkeys((*DEDUPLICATED_AGAINST, *evaluation.benchmarks))))
    pool = _pool(read(PoolSettings, settings["data"], "cell.data"), evaluation, benchmarks, model, cache)
    if pool.rows < pool.settings.train_tokens // pool.settings.row_length:
        raise StudyError(
            f"cell.data.train_tokens: {pool.settings.train_tokens} tokens of Python are asked for, and"
            f" {pool.rows * pool.settings.row_length} are installed here",
            hint="ask for fewer: the text is that of the standard library and of a few packages",
        )
    kept = trunk.TrunkCache(identity=model.identity, layer=first, precision=level.precision, folder=cache)
    states = kept.collect(pool.sequences(), lambda: model.model, lambda done, total: report("setup", done, total))
    tokens = torch.from_numpy(pool.tokens).long()
    upcycled = UpcycledModel(model.model, level, torch.Generator().manual_seed(seed))
    upcycled.read(states, tokens)
    trained = tokens[: pool.rows * pool.settings.row_length]
    vocabulary = Vocabulary(upcycled.head, trained, tokens)
    departure, changes = _initialize(upcycled, settings["expert_init"], pool, seed)
    capacity = read(Capacity, without_none(settings["capacity"]), "cell.capacity")
    return PretrainedBench(
        seed=seed,
        model=upcycled,
        vocabulary=vocabulary,
        gates=_attach(upcycled, level, arm, capacity, schedule),
        pool=pool,
        absent=absent,
        training=schedule,
        evaluation=evaluation,
        departure=departure,
        changes=changes,
        start_norms=expert_health.norms(upcycled),
        benchmarks=benchmarks,
        source=level.source,
        cache=cache,
    )


def _pool(
    data: PoolSettings,
    evaluation: PlaceEvaluation,
    benchmarks: Mapping[str, Benchmark],
    model: dense.DenseModel,
    cache: Path,
) -> TextPool:
    texts: dict[str, list[PoolText]] = {
        name: list(_texts(benchmarks[name], evaluation)) for name in evaluation.benchmarks if name in benchmarks
    }
    if evaluation.mutants:
        for name in evaluation.ranked:
            if name in texts:
                texts[f"{_RANKED}{name}"] = list(_mutants(benchmarks[name], evaluation))
    exclude = [p.prompt + p.canonical_solution for benchmark in benchmarks.values() for p in benchmark.problems]
    return TextPool.build(cache, data, model.tokenizer, model.identity, texts, exclude)


def _problems(benchmark: Benchmark, evaluation: PlaceEvaluation) -> Sequence[Any]:
    """Return the problems that are scored: all, or every n-th."""
    count = evaluation.problems or len(benchmark.problems)
    step = max(1, len(benchmark.problems) // count)
    return benchmark.problems[::step][:count]


def _texts(benchmark: Benchmark, evaluation: PlaceEvaluation) -> Iterator[PoolText]:
    for problem in _problems(benchmark, evaluation):
        choice = mutant_ranking.choice(problem, 1)
        yield PoolText(unit_id=problem.task_id, context=choice.context, continuation=choice.right)


def _mutants(benchmark: Benchmark, evaluation: PlaceEvaluation) -> Iterator[PoolText]:
    for problem in _problems(benchmark, evaluation):
        choice = mutant_ranking.choice(problem, evaluation.mutants)
        for number, wrong in enumerate(choice.wrong):
            yield PoolText(unit_id=f"{problem.task_id}#{number}", context=choice.context, continuation=wrong)


def _initialize(
    model: UpcycledModel, table: Mapping[str, Any], pool: TextPool, seed: int
) -> tuple[float | None, Changes]:
    """Apply the stress; return how far it took the first mixture from the dense block, and what it changed."""
    init = initializations.read_initialization(table, "cell.expert_init")
    if isinstance(init, initializations.VirtualGroups):
        raise StudyError("cell.expert_init: the experts of a pretrained model are cut by [models.NAME] granularity")
    sample = torch.as_tensor(pool.batch(seed, 1).tokens)
    changes = stresses.initialize(model, init, sample, torch.Generator().manual_seed(seed))
    return model.departure(sample) if find_routers(model) else None, changes


def _attach(
    model: UpcycledModel, level: UpcycledSettings, arm: arms.Arm, capacity: Capacity, schedule: Schedule
) -> Gates:
    """Attach; a control without feed-forward blocks has nothing to balance."""
    if level.feed_forward == "none":
        return attach(model, balancer=NoBalancer())
    rule = arm.balancer.for_run(schedule.steps)
    return attach(model, balancer=rule, capacity=capacity, accumulation=schedule.accumulation)


def train(bench: PretrainedBench, folder: store.CellFolder, report: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Train, or take the experts that are already there; return steps, tokens, parameters and whether it diverged."""
    outcome_file = folder.model / "outcome.json"
    if outcome_file.exists():
        outcome: dict[str, Any] = disk.read_json(outcome_file)
        if not outcome["diverged"]:
            _load(bench, folder.model)
        return outcome
    try:
        checkpoint.latest(folder.checkpoint)
    except RunFolderError as error:
        print(f"{error.message}; this cell is trained from its start", file=sys.stderr)  # noqa: T201 - a worker's log
        shutil.rmtree(folder.checkpoint)
    ended = training.train(
        bench.model,
        bench.gates,
        lambda step: bench.pool.batch(bench.seed, step),
        bench.training,
        folder.path,
        loss_of=bench.vocabulary.place_loss,
        tracked=trackers.of_cell(store.RunFolder(folder.path.parent.parent), folder),
        on_step=lambda step: report("train", step, bench.training.steps),
    )
    outcome = {
        "steps": ended.steps,
        "tokens": ended.tokens,
        "diverged": ended.diverged,
        "parameters": sum(p.numel() for p in bench.model.parameters() if p.requires_grad),
    }
    _save(bench, folder.model, outcome)
    return outcome


def _save(bench: PretrainedBench, folder: Path, outcome: Mapping[str, Any]) -> None:
    """Write what was learned; the folder appears whole or not at all."""
    temporary = folder.with_name("model.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    learned = {name: tensor.detach() for name, tensor in bench.model.named_parameters() if tensor.requires_grad}
    learned |= {f"gates.{name}": tensor.contiguous() for name, tensor in bench.gates.state_dict().items()}
    save_file(learned, temporary / "learned.safetensors")
    disk.write_json(temporary / "outcome.json", outcome)
    temporary.replace(folder)


def _load(bench: PretrainedBench, folder: Path) -> None:
    learned = load_file(folder / "learned.safetensors")
    with torch.no_grad():
        for name, parameter in bench.model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(learned[name])
    state = {name.removeprefix("gates."): tensor for name, tensor in learned.items() if name.startswith("gates.")}
    bench.gates.load_state_dict(state)


def measure(
    bench: PretrainedBench,
    folder: store.CellFolder,
    report: Callable[[str, int, int], None],
    *,
    allow_unsandboxed: bool = False,
) -> CellMeasurements:
    """Measure a trained cell on held-out Python and reference solutions, dropless and under each capacity.

    Programs that ``[evaluation] generated`` asks for are written last, as the model is taken apart for it.

    Raises:
        SandboxUnavailable: Programs are asked for, no tier of isolation holds here and ``allow_unsandboxed`` is False.
    """
    found = CellMeasurements(absent=dict(bench.absent))
    found.losses["prequential"] = {DROPLESS: _prequential(bench, folder)}
    half = bench.training.steps // 2
    late = {step: entry for step, entry in found.losses["prequential"][DROPLESS].items() if int(step.split()[1]) > half}
    found.losses["prequential late"] = {DROPLESS: late}
    conditions: list[tuple[float | None, place_score.Order]] = [(None, "shuffled")]
    conditions += [(factor, order) for factor in bench.evaluation.capacities for order in bench.evaluation.orders]
    for index, (factor, order) in enumerate(conditions):
        report("evaluate", index, len(conditions))
        label = DROPLESS if factor is None else (f"{factor}" if order == "shuffled" else f"{factor} {order}")
        documents = bench.pool.documents if factor is None else _under_capacity(bench)
        groups = place_score.batches(documents, order=order, batch_tokens=bench.evaluation.batch_tokens)
        with bench.gates.eval_capacity(factor), bench.gates.measure() as routing:
            scores = place_score.place_nats(bench.model, bench.vocabulary, groups)
        found.routing += [{**line, "phase": f"eval:{order}", "eval_capacity": label} for line in routing]
        _count(bench, found, label, documents, scores)
    _drops(bench, found)
    found.mixtures = _mixtures(bench)
    if bench.evaluation.generated:
        completer = dense.load(bench.source, bench.cache).completer
        bench.model.put_into(completer.model)
        bench.gates = generation.move_gates(bench.gates, completer.model)
        generation.measure(
            completer,
            bench.gates,
            bench.evaluation,
            bench.benchmarks,
            found,
            folder,
            allow_unsandboxed=allow_unsandboxed,
        )
    return found


def _drops(bench: PretrainedBench, found: CellMeasurements) -> None:
    """Note by how much the second solution of a self-invoking problem is less likely than that of its base problem.

    The difference of their nats a byte, problem by problem, each counted once, as one "byte".
    """
    for pro, base in (("humaneval-pro", "humaneval"), ("mbpp-pro", "mbpp-sanitized")):
        problems = bench.benchmarks[pro].problems if pro in bench.benchmarks else ()
        base_of = {problem.task_id: problem.pro.base_task_id for problem in problems if problem.pro is not None}
        for label, units in found.losses.get(pro, {}).items():
            others = found.losses.get(base, {}).get(label, {})
            pairs = {unit: (entry, others[base_of[unit]]) for unit, entry in units.items() if base_of[unit] in others}
            if pairs:
                found.losses.setdefault(f"{pro} drop", {})[label] = {
                    unit: [hard[0] / hard[2] - easy[0] / easy[2], 1, 1] for unit, (hard, easy) in pairs.items()
                }
            elif label == DROPLESS and base in bench.benchmarks:
                found.absent[f"{pro} drop"] = (
                    f"none of the problems of {pro} and {base} that were scored belong together"
                )


def _mixtures(bench: PretrainedBench) -> list[dict[str, Any]]:
    """Return by layer what became of the experts; the batch that shows it comes after those of the training."""
    ended = expert_health.norms(bench.model)
    shares = expert_health.examine(
        bench.model, bench.vocabulary, bench.pool.batch(bench.seed, bench.training.steps + 1)
    )
    return [
        {
            "layer": layer,
            "departure": bench.departure,
            "start_norm": bench.start_norms[layer],
            "norm": ended[layer],
            **shares[layer],
        }
        for layer in ended
    ]


def _under_capacity(bench: PretrainedBench) -> list[PoolDocument]:
    """Return the documents that are scored under a capacity: no mutants, and not more than asked for."""
    limit = bench.evaluation.capacity_problems
    kept: dict[str, int] = {}
    chosen = []
    for document in bench.pool.documents:
        kept[document.domain] = kept.get(document.domain, 0) + 1
        if not document.domain.startswith(_RANKED) and (not limit or kept[document.domain] <= limit):
            chosen.append(document)
    return chosen


def _count(
    bench: PretrainedBench,
    found: CellMeasurements,
    label: str,
    documents: Sequence[PoolDocument],
    scores: Mapping[tuple[str, str], tuple[float, int]],
) -> None:
    vocab_size = len(bench.model.head)
    for document in documents:
        if document.domain.startswith(_RANKED):
            continue
        nats, tokens = scores[document.domain, document.unit_id]
        entry = [nats, tokens, document.num_bytes]
        found.losses.setdefault(document.domain, {}).setdefault(label, {})[document.unit_id] = entry
        if label == DROPLESS:
            units = found.unigram.setdefault(document.domain, {})
            units[document.unit_id] = bench.pool.unigram_nats(document, vocab_size)
    for (domain, unit_id), (nats, _) in scores.items():
        if domain.startswith(_RANKED):
            name, (task_id, _, _) = domain.removeprefix(_RANKED), unit_id.rpartition("#")
            wins = found.ranking.setdefault(name, {}).setdefault(task_id, [0, 0])
            wins[0] += scores[name, task_id][0] < nats
            wins[1] += 1


def _prequential(bench: PretrainedBench, folder: store.CellFolder) -> dict[str, list[float]]:
    """Return the loss of each training batch before it was learned from: step → [nats, tokens, bytes]."""
    predicted = bench.tokens_of_step
    lines = disk.read_lines(folder.train_log)
    return {
        f"step {line['step']:04d}": [line["loss"] * predicted, predicted, predicted]
        for line in lines
        if math.isfinite(line["loss"])
    }
