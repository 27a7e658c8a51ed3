"""Weights and benchmarks that are not here are named before anything is computed, and no cell has failed for it."""

import shutil
import subprocess

import pytest
from click.testing import CliRunner

from trimtab.cli.main import main
from trimtab.errors import ConfigurationError, RunFolderError, StudyError
from trimtab.study import requirements, run, spec, store

TEXT = """
name = "needs"
[factors]
model = ["dense"]
balancer = ["loss_free", "aux"]
expert_init = ["copies"]
capacity = ["dropless"]
seed = [0]
[reference]
expert_init = "copies"
capacity = "dropless"
[contrast]
treatment = "loss_free"
control = "aux"
[endpoints]
primary = "prequential_loss"
secondary = ["python_loss"]
[margins]
prequential_loss = 0.02
[balancers.loss_free]
rule = "loss_free"
bias_update_rate = 0.1
[balancers.aux]
rule = "switch"
coef = 0.01
[expert_inits.copies]
[capacities.dropless]
[models.dense]
preset = "upcycled"
source = "@SOURCE@"
num_experts = 4
[data]
train_tokens = 64
heldout_tokens = 32
row_length = 32
rows = 2
[training]
steps = 1
[evaluation]
benchmarks = ["mbpp-sanitized"]
problems = 2
"""


@pytest.fixture
def copy(tiny_dense, tmp_path):
    return shutil.copytree(tiny_dense, tmp_path / "copy")


def test_an_endpoint_without_its_benchmark_is_named_and_one_that_is_only_measured_is_not(
    tiny_dense, tmp_path, monkeypatch
):
    monkeypatch.setenv("TRIMTAB_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    study = spec.parse(TEXT.replace("@SOURCE@", str(tiny_dense)))
    requirements.require(study, tmp_path)
    wanted = spec.parse(TEXT.replace("@SOURCE@", str(tiny_dense)).replace('"python_loss"', '"mbpp_nll"'))
    with pytest.raises(StudyError, match=r"endpoint 'mbpp_nll' cannot be measured: .*sanitized-mbpp\.json") as caught:
        run.run(wanted, store.RunFolder(tmp_path / "run"))
    assert "TRIMTAB_DATA" in caught.value.hint
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), r"holds no \*\.safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"short"), "has no header that can be read"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(
                (folder / "model.safetensors").read_bytes()[:-100]
            ),
            r"has \d+ bytes where its header says \d+",
        ),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text(
                '{"weight_map": {"a": "model-2.safetensors"}}'
            ),
            r"lacks model-2\.safetensors",
        ),
    ],
    ids=["none", "torn", "cut", "shard"],
)
def test_damaged_weights_are_named_before_any_cell(copy, tmp_path, damage, message):
    study = spec.parse(TEXT.replace("@SOURCE@", str(copy)))
    damage(copy)
    with pytest.raises(ConfigurationError, match=message):
        run.run(study, store.RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_weights_that_are_lost_on_the_way_stop_the_run_and_fail_no_cell(copy, tmp_path, monkeypatch):
    monkeypatch.delenv("TRIMTAB_CACHE", raising=False)
    study = spec.parse(TEXT.replace("@SOURCE@", str(copy)))
    folder = store.RunFolder(tmp_path / "run")

    def lose(event):
        if event is not None and event.kind == "progress":
            shutil.rmtree(copy, ignore_errors=True)

    with pytest.raises(ConfigurationError, match="there is no checkpoint"):
        run.run(study, folder, workers=1, on_event=lose)
    assert not [*folder.path.glob("cells/*/error.txt")]
    assert len(run.unfinished(study, folder)) >= 1


@pytest.fixture
def disk(tmp_path):
    """Return a function that mounts a memory disk of some MiB, read-only if asked for."""
    place = tmp_path / "disk"

    def mounted(options):
        place.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=False).returncode:
            pytest.skip("nothing may be mounted here")
        return place

    yield mounted
    subprocess.run(["umount", place], check=False, capture_output=True)


def test_a_read_only_folder_is_one_error_before_any_work(disk, tmp_path):
    place = disk("ro,size=1m")
    with pytest.raises(RunFolderError, match=r"/disk/run cannot be written: .*/disk is read-only"):
        requirements.require_disk(place / "run")
    folder = place / "simulated"
    refused = CliRunner().invoke(main, ["simulate", "-s", "iid", "-o", str(folder)])
    assert refused.exit_code == 2
    assert f"error: {folder} cannot be written: Read-only file system" in refused.stderr


def test_a_file_where_a_folder_is_to_be_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match=r"/file/run/x cannot be written: .*/file is a file"):
        requirements.require_disk(tmp_path / "file" / "run" / "x")


def test_a_full_disk_is_one_error_before_any_work(disk):
    place = disk("size=1m")
    with pytest.raises(RunFolderError, match=r"only [01] MiB are free on the disk of .*/disk/run"):
        requirements.require_disk(place / "run")
    (place / "filled").write_bytes(b"0" * (2**20 - 2**12))
    (place / "simulated").mkdir()
    stopped = CliRunner().invoke(
        main, ["simulate", "-s", "iid", "--shape", "16", "4", "1", "--steps", "400", "-o", str(place / "simulated")]
    )
    assert stopped.exit_code == 2
    assert "cannot be written: No space left on device" in stopped.stderr
    assert "goes on from here" in stopped.stderr
    assert not list((place / "simulated").iterdir())  # nothing half written
