"""A cell on a pretrained model, from plain values to its result: a tiny Llama in a folder stands for the real one."""

import json
import math
from pathlib import Path

import pytest
import torch

from trimtab import disk
from trimtab.errors import ConfigurationError, StudyError
from trimtab.lm import python_text
from trimtab.study import pretrained_cells, spec, store
from trimtab.study.endpoints import ENDPOINTS
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


def log_of(prepared, table, factors=("loss_free", "copies", "tight")):
    """Run a cell of the study with other settings, given by section; return its training log."""
    folder = prepared[2][factors]
    record = json.loads(folder.cell.read_text())
    for name, settings in table.items():
        record["settings"][name] = {**record["settings"][name], **settings} if name != "balancer" else settings
    folder.cell.write_text(json.dumps(record))
    folder.train_log.unlink(missing_ok=True)
    run_cell(folder.path)
    assert store.CellResult.read(folder.result).outcome == "completed"
    return disk.read_lines(folder.train_log)


SIGN = {"rule": "loss_free", "bias_update_rate": 0.1}


@pytest.mark.parametrize("rate", ["constant", "inv_sqrt", "inv"])
def test_the_sign_rule_steps_as_its_schedule_says(prepared, rate):
    log = log_of(prepared, {"balancer": {**SIGN, "schedule": rate}})
    power = {"constant": 0, "inv_sqrt": 0.5, "inv": 1}[rate]
    reached = {0.0}  # all that a bias can be after each step
    for step, line in enumerate(log, start=1):
        reached = {bias + sign * 0.1 / step**power for bias in reached for sign in (-1, 0, 1)}
        spreads = {high - low for high in reached for low in reached}
        assert min(abs(line["layers"][0]["bias_spread"] - spread) for spread in spreads) < 1e-6
        if step == 3:
            break
    assert log[0]["layers"][0]["bias_spread"] == pytest.approx(0.2)  # one expert up, one down
    assert log[1]["layers"][0]["bias_spread"] != log[0]["layers"][0]["bias_spread"]


@pytest.mark.parametrize("scope", ["sequence", "micro", "global"])
def test_each_scope_of_the_auxiliary_loss_is_that_of_the_batch(prepared, scope):
    table = {"balancer": {"rule": "switch", "scope": scope, "coef": 1.0}, "training": {"accumulation": 2}}
    folder = prepared[2]["loss_free", "copies", "dropless"]
    (first, *_) = log_of(prepared, table, ("loss_free", "copies", "dropless"))
    bench = pretrained_cells.prepare(json.loads(folder.cell.read_text()), folder.path.parent.parent / "cache")
    places = torch.as_tensor(bench.pool.batch(bench.seed, 1).tokens)[:, :-1]
    mixture = bench.model.mixtures["2"]
    with torch.no_grad():
        logits = bench.model.norm_before(bench.model.states[places].float()) @ mixture.gate.weight.t()
    scores = logits.sigmoid() / logits.sigmoid().sum(-1, keepdim=True)
    chosen = torch.nn.functional.one_hot(logits.topk(2).indices, 4).sum(2).double()  # [rows, tokens, experts]
    # Two micro-batches of one row each: a row is both its sequence and its micro-batch.
    shares = [row.mean(0) / 2 for row in chosen]
    if scope == "global":  # what has been counted of the step so far
        shares[1] = (shares[0] + shares[1]) / 2
    expected = sum(4 * float(share @ row.mean(0).double()) for share, row in zip(shares, scores, strict=True)) / 2
    assert first["penalty"] == pytest.approx(expected, rel=1e-5)


def test_a_sequence_is_a_row_of_the_batch(prepared):
    logs = [
        log_of(prepared, {"balancer": {"rule": "switch", "scope": scope, "coef": 1.0}})[0]["penalty"]
        for scope in ("sequence", "micro")
    ]
    assert logs[0] > logs[1] > 1  # each row is less balanced than all of them together


def test_the_hybrid_moves_its_bias_and_adds_its_loss(prepared):
    hybrid = {"rule": "stack", "bias": SIGN, "losses": [{"rule": "switch", "scope": "sequence", "coef": 1.0}]}
    both, alone = log_of(prepared, {"balancer": hybrid}), log_of(prepared, {"balancer": SIGN})
    assert both[0]["layers"][0]["bias_spread"] == alone[0]["layers"][0]["bias_spread"] == pytest.approx(0.2)
    assert both[0]["loss"] == alone[0]["loss"]
    assert both[0]["penalty"] > alone[0]["penalty"] == 0
    assert both[2]["loss"] != alone[2]["loss"]  # the loss has moved the router


def test_what_finds_no_room_depends_on_the_policy(prepared):
    capacity = {"factor": 0.5}
    policies = [{"drop_policy": name} for name in ("probs", "position", "random", "batch_priority")]
    logs = [log_of(prepared, {"capacity": {**capacity, **policy}}) for policy in (*policies, {"reroute": True})]
    assert [log[0]["layers"][0]["drop_rate"] for log in logs[:4]] == pytest.approx([0.5] * 4, abs=0.05)
    assert len({log[0]["loss"] for log in logs}) == 5
    rerouted = log_of(prepared, {"capacity": {"factor": 1.0, "reroute": True}})
    assert rerouted[0]["layers"][0]["drop_rate"] < 0.05


def test_every_mixture_of_several_layers_is_balanced(prepared):
    table = {"model": {"layers": [-3, -2, -1]}, "balancer": SIGN}
    log = log_of(prepared, table)
    assert [layer["layer"] for layer in log[0]["layers"]] == [0, 1, 2]
    assert [layer["bias_spread"] for layer in log[0]["layers"]] == pytest.approx([0.2] * 3)
    assert all(layer["max_violation"] > 0 for layer in log[0]["layers"])
    result = store.CellResult.read(prepared[2]["loss_free", "copies", "tight"].result)
    assert [record["layer"] for record in result.mixtures] == [0, 1, 2]
    evaluated = [line for line in result.routing if line["phase"] == "eval:shuffled"]
    assert {line["layer"] for line in evaluated} == {0, 1, 2}
    assert len({line["tokens"] for line in evaluated if line["eval_capacity"] == "dropless"}) == 1


@pytest.mark.parametrize(
    "shape",
    [{"score_function": "softmax"}, {"num_experts": 32, "num_experts_per_tok": 4}, {"granularity": 2}],
    ids=str,
)
def test_other_routers_and_more_experts_are_balanced_too(prepared, shape):
    log = log_of(prepared, {"model": shape, "balancer": SIGN})
    assert log[0]["layers"][0]["bias_spread"] == pytest.approx(0.2)
    (mixture,) = store.CellResult.read(prepared[2]["loss_free", "copies", "tight"].result).mixtures
    assert len(mixture["norm"]) == shape.get("num_experts", 4)


def test_solutions_of_all_four_benchmarks_are_scored_and_the_drop_from_base_to_pro(prepared, monkeypatch):
    data = Path(__file__).parents[3] / "shared" / "data"
    if not (data / "codeeval" / "mbpp_pro.json").exists():
        pytest.skip(f"no self-invoking benchmarks in {data}")
    monkeypatch.setenv("TRIMTAB_DATA", str(data))
    every = ["humaneval", "mbpp-sanitized", "humaneval-pro", "mbpp-pro"]
    log_of(prepared, {"evaluation": {"benchmarks": every, "ranked": every, "capacities": []}, "training": {"steps": 1}})
    result = store.CellResult.read(prepared[2]["loss_free", "copies", "tight"].result)
    assert set(result.ranking) == set(every)
    assert all(len(result.losses[name]["dropless"]) == 4 for name in every)
    drops = result.losses["humaneval-pro drop"]["dropless"]
    assert drops
    for unit, (nats, tokens, size) in drops.items():
        hard = result.losses["humaneval-pro"]["dropless"][unit]
        easy = result.losses["humaneval"]["dropless"][unit.replace("Pro", "")]
        assert nats == pytest.approx(hard[0] / hard[2] - easy[0] / easy[2])
        assert (tokens, size) == (1, 1)
    drop = ENDPOINTS["humaneval_pro_drop"].counts(result)
    assert drop == {unit: (pytest.approx(entry[0] / math.log(2)), 1) for unit, entry in drops.items()}


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
        ('"late_loss", ', '"mbpp_nll", ', "'mbpp_nll' is measured on 'mbpp-sanitized', which is not among"),
        ('"late_loss"', '"micro_pass1"', "'micro_pass1' is not measured on pretrained models"),
        ("seed = [0]", "seed = [0, 0]", "names a level twice"),
        ("num_experts = 4", "num_experts = 4\nlayers = [2, 2]", "names a layer twice"),
        ("num_experts = 4", "num_experts = 4\ngranularity = 3", "3 does not divide num_experts = 4"),
        ('kind = "skewed_router"\nshare = 0.25', 'kind = "virtual_groups"', "virtual groups of a pretrained model"),
        (
            'kind = "skewed_router"\nshare = 0.25',
            'kind = "depth_scaled"',
            "'depth_scaled' changes layers that",
        ),
        ('kind = "skewed_router"\nshare = 0.25', 'kind = "collapsed_inputs"', "changes layers that are frozen"),
        ('kind = "skewed_router"\nshare = 0.25', 'kind = "identical_experts"', "identical as they are made"),
        ('"late_loss", ', '"late_loss", "late_loss", ', "names an endpoint twice"),
        ('"late_loss", ', '"prequential_loss", ', "names an endpoint twice"),
        ("prequential_loss = 0.02", "prequential_loss = nan", "a margin must be positive and finite, got nan"),
        ("prequential_loss = 0.02", "prequential_loss = inf", "a margin must be positive and finite, got inf"),
        ("seed = [0]", "seed = [9223372036854775808]", "9223372036854775808 is larger than a random generator takes"),
        ("[reference]", "[[select]]\nbalancer = []\n[reference]", "no cell is in any of the tables"),
        ("checkpoint_every = 2", "checkpoint_every = 2\naccumulation = 3", "3 micro-batches cannot be made of 2 rows"),
        ('["humaneval"]', '["humaneval", "humaneval"]', "benchmarks: .* names one twice"),
        ("capacities = [1.0]", "capacities = [1.0, 1.0]", "capacities: .* names one twice"),
        ('["shuffled", "by_domain"]', "[]", "orders: under capacities documents come in some order"),
        ("mutants = 1", 'mutants = 1\nranked = ["mbpp-pro"]', "ranked: 'mbpp-pro' is not among benchmarks"),
        ("train_tokens = 640", "train_tokens = 32", "less than a batch"),
    ],
)
def test_what_cannot_be_run_is_named_before_anything_is(old, new, message):
    with pytest.raises(StudyError, match=message):
        spec.parse(TEXT.replace(old, new))


def test_text_that_is_not_installed_is_named(tiny_dense, monkeypatch, tmp_path):
    monkeypatch.delenv("TRIMTAB_CACHE", raising=False)
    few = sorted(python_text.files(), key=lambda file: file.size)[:200]
    monkeypatch.setattr(python_text, "files", lambda: few)
    study = spec.parse(
        TEXT.replace("train_tokens = 640", "train_tokens = 900_000").replace("@SOURCE@", str(tiny_dense))
    )
    with pytest.raises(StudyError, match=r"900000 tokens of Python are asked for, and \d+ are installed here"):
        pretrained_cells.prepare(as_record(study, next(study.cells())), tmp_path)


def test_a_damaged_gguf_is_named(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF\x03\x00\x00\x00" + bytes(40))
    study = spec.parse(TEXT.replace("@SOURCE@", str(tmp_path / "model.gguf")))
    with pytest.raises(ConfigurationError, match=r"model\.gguf"):
        pretrained_cells.prepare(as_record(study, next(study.cells())), tmp_path)
