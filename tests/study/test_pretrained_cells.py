"""A cell on a pretrained model, from plain values to its result: a tiny Llama in a folder stands for the real one."""

import json
import math

import pytest

from trimtab import disk
from trimtab.errors import ConfigurationError, StudyError
from trimtab.study import pretrained_cells, spec, store
from trimtab.study.run import as_record, run_cell
from trimtab.study.table import StudyTable

TEXT = """
name = "small"
[factors]
model = ["dense"]
balancer = ["loss_free", "aux"]
expert_init = ["copies", "skewed"]
capacity = ["dropless", "tight"]
seed = [0]
[reference]
expert_init = "copies"
capacity = "dropless"
[contrast]
treatment = "loss_free"
control = "aux"
[endpoints]
primary = "prequential_loss"
secondary = ["late_loss", "python_loss", "humaneval_nll"]
[margins]
prequential_loss = 0.02
[balancers.loss_free]
rule = "loss_free"
bias_update_rate = 0.1
[balancers.aux]
rule = "switch"
coef = 0.01
[expert_inits.copies]
[expert_inits.skewed]
kind = "skewed_router"
share = 0.25
[capacities.dropless]
[capacities.tight]
factor = 1.0
[models.dense]
preset = "upcycled"
source = "@SOURCE@"
num_experts = 4
[data]
train_tokens = 640
heldout_tokens = 64
row_length = 32
rows = 2
[training]
steps = 6
learning_rate = 1e-3
router_scale = 3.0
warmup_steps = 0
checkpoint_every = 2
[evaluation]
benchmarks = ["humaneval"]
problems = 4
capacities = [1.0]
orders = ["shuffled", "by_domain"]
capacity_problems = 2
mutants = 1
"""


class StoppedError(Exception):
    """Stands for a kill between two steps."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def prepared(tiny_dense, cache, tmp_path, monkeypatch):
    """The folders of all cells of the study, by balancer, initialization and capacity."""
    monkeypatch.setenv("TRIMTAB_CACHE", str(cache))
    monkeypatch.setenv("TRIMTAB_DATA", "")
    study = spec.parse(TEXT.replace("@SOURCE@", str(tiny_dense)))
    run = store.RunFolder(tmp_path / "run")
    run.claim(study.text)
    folders = {}
    for cell in study.cells():
        run.cell(cell.id).prepare(cell.id, as_record(study, cell))
        folders[tuple(cell.factors[name] for name in ("balancer", "expert_init", "capacity"))] = run.cell(cell.id)
    return study, run, folders


def test_a_cell_measures_what_it_says(prepared):
    study, run, folders = prepared
    folder = folders["loss_free", "skewed", "tight"]
    run_cell(folder.path)
    result = store.CellResult.read(folder.result)
    losses = result.losses
    assert list(losses["prequential"]["dropless"]) == [f"step {step:04d}" for step in range(1, 7)]
    assert list(losses["prequential late"]["dropless"]) == [f"step {step:04d}" for step in (4, 5, 6)]
    assert len(losses["humaneval"]["dropless"]) == 4
    assert set(losses["humaneval"]) == {"dropless", "1.0", "1.0 by_domain"}
    assert len(losses["humaneval"]["1.0"]) == 2
    logged = [line["loss"] for line in disk.read_lines(folder.train_log)]
    assert [nats / tokens for nats, tokens, _ in losses["prequential"]["dropless"].values()] == pytest.approx(logged)
    assert all(0 <= wins <= pairs == 1 for wins, pairs in result.ranking["humaneval"].values())
    tail = next(line for line in result.routing if line["phase"] == "train_tail")
    assert tail["tokens"] == 62
    assert {"drop_floor", "max_violation_floor", "recovery_step"} <= tail.keys()
    (mixture,) = result.mixtures
    assert mixture["layer"] == 2
    assert mixture["departure"] < 1e-5  # a router's skew leaves copies what they were
    for share in ("gradient_share", "output_share"):
        assert math.fsum(mixture[share]) == pytest.approx(1, abs=1e-4)
    assert mixture["norm"] != mixture["start_norm"]
    assert not folder.model.exists()
    assert not folder.checkpoint.exists()
    table = StudyTable.load(run.path, study)
    assert {row.endpoint for row in table.rows} >= {"prequential_loss", "late_loss", "python_loss", "humaneval_nll"}
    assert {row.words for row in table.answers} == {"not yet run (0 of 1 seeds)"}


def test_a_cell_that_is_stopped_ends_byte_for_byte_as_one_that_is_not(prepared, tmp_path):
    _, _, folders = prepared
    straight, broken = folders["loss_free", "copies", "tight"], store.CellFolder(tmp_path / "again" / "cells")
    run_cell(straight.path)
    folder = store.CellFolder(broken.path / straight.path.name)
    folder.prepare(straight.path.name, json.loads(straight.cell.read_text()))

    def stop(at):
        def report(stage, step, _steps):
            if (stage, step) == at:
                raise StoppedError

        return report

    for at in (("train", 3), ("train", 5), ("evaluate", 1)):
        with pytest.raises(StoppedError):
            run_cell(folder.path, stop(at))
    run_cell(folder.path)
    assert folder.result.read_bytes() == straight.result.read_bytes()
    assert folder.train_log.read_bytes() == straight.train_log.read_bytes()


def test_arms_of_a_seed_start_alike(prepared):
    _, _, folders = prepared
    first = {}
    for (balancer, init, capacity), folder in folders.items():
        if init == "copies":
            bench = pretrained_cells.prepare(json.loads(folder.cell.read_text()), folder.path)
            batch = bench.pool.batch(bench.seed, 1)
            router = bench.model.mixtures["2"].gate.weight.detach().clone()
            first[balancer, capacity] = (batch.tokens.tolist(), router.tolist())
    assert len({str(value) for value in first.values()}) == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_experts = 4", "num_experts = 4\nlayers = [3]", r"layers \[3\]: the model has no layer 3"),
        ("@SOURCE@", "/nowhere", "there is no checkpoint '/nowhere'"),
    ],
)
def test_what_the_checkpoint_cannot_be_is_named(tiny_dense, monkeypatch, tmp_path, old, new, message):
    monkeypatch.delenv("TRIMTAB_CACHE", raising=False)
    study = spec.parse(TEXT.replace(old, new).replace("@SOURCE@", str(tiny_dense)))
    with pytest.raises(ConfigurationError, match=message):
        pretrained_cells.prepare(as_record(study, next(study.cells())), tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('benchmarks = ["humaneval"]', 'benchmarks = ["mbpp-sanitized"]', "'humaneval_nll' is measured on 'humaneval'"),
        ('"late_loss"', '"micro_pass1"', "'micro_pass1' is not measured on pretrained models"),
        ("seed = [0]", "seed = [0, 0]", "names a level twice"),
        ("num_experts = 4", "num_experts = 4\nlayers = [2, 2]", "names a layer twice"),
        ("num_experts = 4", "num_experts = 4\ngranularity = 3", "3 does not divide num_experts = 4"),
        ('kind = "skewed_router"\nshare = 0.25', 'kind = "virtual_groups"', "virtual groups of a pretrained model"),
        ("train_tokens = 640", "train_tokens = 32", "less than a batch"),
    ],
)
def test_what_cannot_be_run_is_named_before_anything_is(old, new, message):
    with pytest.raises(StudyError, match=message):
        spec.parse(TEXT.replace(old, new))


def test_a_damaged_gguf_is_named(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF\x03\x00\x00\x00" + bytes(40))
    study = spec.parse(TEXT.replace("@SOURCE@", str(tmp_path / "model.gguf")))
    with pytest.raises(ConfigurationError, match=r"model\.gguf"):
        pretrained_cells.prepare(as_record(study, next(study.cells())), tmp_path)
