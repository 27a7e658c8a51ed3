"""Controls: what was declared is measured from counts, and passed only when felt."""

import dataclasses
from pathlib import Path

import pytest

from trimtab import disk
from trimtab.errors import StudyError
from trimtab.study import controls, sensitivity, spec, store
from trimtab.study.table import StudyTable

TEXT = """
name = "demo"
confidence = 0.95
[factors]
balancer = ["loss_free", "again"]
expert_init = ["random"]
capacity = ["dropless", "tight"]
seed = [0, 1, 2]
[[select]]
balancer = ["loss_free"]
[[select]]
capacity = ["dropless"]
[[control]]
name = "tight capacity"
kind = "positive"
factor = "capacity"
endpoint = "micro_pass1"
threshold = 0.1
stress = { capacity = "tight" }
reference = {}
[[control]]
name = "another name"
kind = "negative"
factor = "balancer"
endpoint = "python_loss"
threshold = 0.02
stress = { balancer = "again" }
reference = {}
[reference]
expert_init = "random"
capacity = "dropless"
[contrast]
treatment = "loss_free"
control = "again"
[endpoints]
primary = "python_loss"
[margins]
python_loss = 0.02
[balancers.loss_free]
rule = "loss_free"
bias_update_rate = 0.01
[balancers.again]
rule = "loss_free"
bias_update_rate = 0.01
seed_offset = 1000
[capacities.dropless]
[capacities.tight]
factor = 1.0
"""


def table(tmp_path, *, tight_passes, again_loss=4.0):
    """Write results by hand: 10 problems, 1 token of text."""
    study = spec.parse(TEXT)
    run = store.RunFolder(tmp_path)
    for cell in study.cells():
        tight, again = cell.factors["capacity"] == "tight", cell.factors["balancer"] == "again"
        passed = tight_passes[cell.factors["seed"]] if tight else 6
        folder = run.cell(cell.id)
        folder.prepare(cell.id, {"study": "demo", "factors": dict(cell.factors), "settings": dict(cell.settings)})
        store.CellResult(
            cell_id=cell.id,
            factors=cell.factors,
            outcome="completed",
            training={},
            passes={"micro": {"dropless": {f"micro/{i}": [1, int(i < passed)] for i in range(10)}}},
            losses={"python": {"dropless": {"a": [again_loss if again else 4.0, 1, 3]}}},
        ).write(folder.result)
    return StudyTable.load(tmp_path, study)


def test_select_leaves_out_what_no_table_admits():
    chosen = {(c.factors["balancer"], c.factors["capacity"]) for c in spec.parse(TEXT).cells()}
    assert chosen == {("loss_free", "dropless"), ("loss_free", "tight"), ("again", "dropless")}


def test_a_stress_that_is_felt_passes_and_the_file_can_be_read_back(tmp_path):
    found = controls.measure(table(tmp_path, tight_passes=[4, 3, 4]))
    positive, negative = found["controls"]
    assert positive["measured"] == pytest.approx((0.2 + 0.3 + 0.2) / 3, abs=1e-4)
    assert positive["passed"] is True
    assert len(positive["cells"]) == 6
    assert (negative["measured"], negative["passed"]) == (0, True)
    disk.write_json(tmp_path / "controls.json", found)
    assert [c.passed for c in sensitivity.load(tmp_path / "controls.json")] == [True, True]


def test_a_stress_that_is_large_only_on_average_does_not_pass(tmp_path):
    positive, _ = controls.measure(table(tmp_path, tight_passes=[0, 6, 6]))["controls"]
    assert positive["measured"] == pytest.approx(0.2)
    assert positive["passed"] is False


def test_a_change_of_name_that_is_felt_fails(tmp_path):
    _, negative = controls.measure(table(tmp_path, tight_passes=[4, 4, 4], again_loss=4.1))["controls"]
    assert negative["passed"] is False


def test_cells_that_are_not_done_are_asked_for(tmp_path):
    with pytest.raises(StudyError, match="no seed has both cells done"):
        controls.measure(StudyTable.load(tmp_path, spec.parse(TEXT)))


@pytest.mark.parametrize(("name", "model"), [("tiny", "tiny"), ("quick", "smollm2")])
def test_a_study_its_controls_and_its_tuning_train_the_same_models(name, model):
    folder = Path(__file__).parents[2] / "studies"
    study, own, tuning = (spec.load(folder / f"{name}{part}.toml") for part in ("", "-controls", "-tuning"))
    assert own.data == study.data
    assert own.models[model] == study.models[model] == tuning.models[model]
    assert own.capacities["dropless"] == study.capacities["dropless"] == tuning.capacities["dropless"]
    assert own.balancers["loss_free"] == study.balancers["loss_free"]
    every = dataclasses.replace(tuning.training, checkpoint_every=study.training.checkpoint_every)
    assert own.training == study.training == every
    assert not {*study.factors["seed"]} & {*tuning.factors["seed"]}


def test_what_the_study_leaves_out_is_no_row(tmp_path):
    measured = table(tmp_path, tight_passes=[4, 4, 4])
    assert measured.answers == ()
    assert {(found.method, found.stressor.label) for found in measured.degradations} == {
        ("loss_free", "capacity=tight")
    }
