"""Cells of two processes, replicated and sharded, beside one process; killed, resumed, and refused."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from trimtab import disk
from trimtab.errors import RunFolderError, StudyError
from trimtab.study import launch, spec, stages, store
from trimtab.study.run import as_record

pytestmark = pytest.mark.slow

TINY = (Path(__file__).parents[2] / "studies" / "tiny.toml").read_text()
SMALL = (
    TINY.replace("steps = 1200", "steps = 12\ncheckpoint_every = 4")
    .replace("warmup_steps = 20", "warmup_steps = 2")
    .replace(
        "row_length = 128",
        "row_length = 64\nvocab_size = 512\npython_bytes = 300000\nheldout_bytes = 40000\nmicro_samples = 400",
    )
    .replace("num_experts = 8", "num_experts = 4\nhidden_size = 32")
)


def asked(extra):
    return spec.parse(SMALL.replace("steps = 12\n", f"steps = 12\n{extra}\n"))


def folder_of(study, run):
    """Prepare the folder of the study's first cell, which is balanced by loss_free."""
    cell = next(iter(study.cells()))
    folder = store.RunFolder(run).cell(cell.id)
    folder.prepare(cell.id, as_record(study, cell))
    return folder


def train(folder):
    steps = []
    bench = stages.prepare(disk.read_json(folder.cell), store.RunFolder(folder.path.parent.parent).cache)
    outcome = stages.train(bench, folder, lambda _stage, step, _steps: steps.append(step))
    return bench, outcome, steps


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The cell trained in one process: its folder, log, weights and state of the gates."""
    folder = folder_of(asked(""), tmp_path_factory.mktemp("alone"))
    train(folder)
    return folder


def beside(alone, run, extra):
    """Prepare the folder of another cell in a run that shares the corpus of ``alone``."""
    (run / "cache").symlink_to(alone.path.parent.parent / "cache")
    return folder_of(asked(extra), run)


@pytest.fixture(scope="module", params=[False, True], ids=["replicated", "sharded"])
def together(request, alone, tmp_path_factory):
    """The cell trained by two processes: what makes it another, its folder, bench, outcome and steps."""
    extra = f"processes = 2\nsharded = {str(request.param).lower()}"
    folder = beside(alone, tmp_path_factory.mktemp("together"), extra)
    bench, outcome, steps = train(folder)
    return SimpleNamespace(extra=extra, folder=folder, bench=bench, outcome=outcome, steps=steps)


def lines(folder):
    return [json.loads(line) for line in folder.train_log.read_text().splitlines()]


def test_two_processes_train_what_one_does(alone, together):
    folder = together.folder
    assert together.steps == list(range(1, 13))
    assert together.outcome == disk.read_json(alone.model / "outcome.json")
    for line, due in zip(lines(folder), lines(alone), strict=True):
        assert line["loss"] == pytest.approx(due["loss"], rel=1e-5)
        assert line["grad_norm"] == pytest.approx(due["grad_norm"], rel=1e-4)
        # What is counted is counted over both, to the bit: maximal violation and spread of biases are made of counts.
        counted = [{key: layer[key] for key in ("max_violation", "bias_spread")} for layer in line["layers"]]
        assert counted == [{key: layer[key] for key in ("max_violation", "bias_spread")} for layer in due["layers"]]
    gates, due = (load_file(each.model / "gates.safetensors") for each in (folder, alone))
    assert gates.keys() == due.keys()
    assert all(torch.equal(gates[name], due[name]) for name in due)
    assert any("bias" in name and tensor.abs().max() > 0 for name, tensor in due.items())
    weights, due = (load_file(each.model / "model.safetensors") for each in (folder, alone))
    assert weights.keys() == due.keys()
    assert all(torch.allclose(weights[name], due[name], rtol=1e-3, atol=1e-4) for name in due)
    assert not next(iter(together.bench.model.parameters())).is_meta  # the parent has the model, to measure it


def test_processes_that_are_killed_go_on_to_the_same_bytes(alone, together, tmp_path):
    class KilledError(Exception):
        """Stands for a lease that was lost."""

    def killing(step):
        if step == 7:
            raise KilledError

    cut = beside(alone, tmp_path, together.extra)
    with pytest.raises(KilledError):
        launch.train_together(cut.path, 2, killing)
    assert [path.name for path in cut.checkpoint.glob("step-*.safetensors")] == ["step-0000004.safetensors"]
    train(cut)
    for name in ("train.jsonl", "model/model.safetensors", "model/gates.safetensors"):
        assert (cut.path / name).read_bytes() == (together.folder.path / name).read_bytes(), name


def test_a_process_that_fails_ends_the_others_and_says_why(alone, tmp_path):
    folder = beside(alone, tmp_path, "processes = 4")
    with pytest.raises(RunFolderError, match=r"process \d of 2 ended with exit code 1[\s\S]*asks for 4 processes"):
        launch.train_together(folder.path, 2, lambda _: None)


def test_torchrun_starts_them_too(alone, tmp_path):
    folder = beside(alone, tmp_path, "processes = 2")
    torchrun = [sys.executable, "-P", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, "-m", "trimtab.study.ranks", folder.path],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert disk.read_json(folder.model / "outcome.json") == disk.read_json(alone.model / "outcome.json")


def test_old_files_keep_their_cells_and_a_cell_of_several_processes_is_another():
    one, same, two = asked(""), asked("processes = 1"), asked("processes = 2")
    ids = [[cell.id for cell in study.cells()] for study in (one, same, two)]
    assert ids[0] == ids[1]
    assert not set(ids[0]) & set(ids[2])
    assert two.training.cores == 2


@pytest.mark.parametrize(("extra", "message"), [
    ("processes = 3", "8 rows cannot be shared evenly by 3 processes in 1 micro-batches"),
    ("processes = 4\naccumulation = 4", "by 4 processes in 4 micro-batches"),
    ("processes = 0", "processes"),
])  # fmt: skip
def test_processes_that_have_no_even_share_are_refused(extra, message):
    with pytest.raises(StudyError, match=message):
        asked(extra)
