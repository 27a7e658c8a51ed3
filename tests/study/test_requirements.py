"""Weights and benchmarks that are not here are named before anything is computed, and no cell has failed for it."""

import shutil

import pytest

from trimtab.errors import ConfigurationError, StudyError
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
