import csv
import io
import json

import pytest

from trimtab.study.store import RunFolder
from trimtab.study.table import StudyTable


@pytest.fixture
def made(synthetic, tmp_path):
    source = synthetic.Synthetic(seeds=3)
    return source, source.write(tmp_path / "run"), RunFolder(tmp_path / "run")


def test_a_complete_study_has_every_cell_and_nothing_missing(made):
    _, study, folder = made
    table = StudyTable.load(folder.path, study)
    assert len(table.results) == len(table.cells) == 24
    assert table.missing == {}
    assert table.absent() == {"mbpp-sanitized": "no file under TRIMTAB_DATA"}


def test_every_row_of_the_csv_can_be_recomputed_from_its_folder(made):
    _, study, folder = made
    path = StudyTable.load(folder.path, study).write_csv()
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert len(rows) == 24 * (4 * 3 + 1)
    for row in rows:
        result = json.loads((folder.path / row["folder"] / "result.json").read_text(encoding="utf-8"))
        assert float(row["value"]) == pytest.approx(float(row["numerator"]) / float(row["denominator"]))
        if row["endpoint"] == "python_loss":
            units = result["losses"]["python"][row["eval_capacity"]].values()
            assert float(row["value"]) == pytest.approx(sum(u[0] for u in units) / sum(u[1] for u in units))
        if row["endpoint"] == "micro_pass1":
            units = result["passes"]["micro"][row["eval_capacity"]].values()
            assert float(row["value"]) == pytest.approx(sum(c / n for n, c in units) / len(units))


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '{"schema": 1}'])
def test_a_torn_result_is_named_and_only_its_cell_is_missing(made, text):
    source, study, folder = made
    name = source.cell_id("loss_free", "random", "dropless", 1)
    folder.cell(name).result.write_text(text, encoding="utf-8")
    table = StudyTable.load(folder.path, study)
    assert list(table.missing) == [name]
    assert "result.json" in table.missing[name]


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["losses"]["python"]["dropless"].update({"unit/0": [1.0, 0, 3]}),
        lambda record: record["passes"].update({"micro": [1]}),
        lambda record: record["passes"]["micro"].update({"wide": {}, "dropless": {}}),
        lambda record: record.update({"losses": None}),
        lambda record: record.update({"cell_id": "another_cell"}),
        lambda record: record.update({"outcome": "great"}),
    ],
)
def test_a_result_that_makes_no_sense_never_enters_a_number(synthetic, made, change):
    source, study, folder = made
    name = source.cell_id("aux_global", "skewed", "tight", 0)
    synthetic.rewrite(folder.cell(name).result, change)
    table = StudyTable.load(folder.path, study)
    assert list(table.missing) == [name]
    assert len(table.rows) == 23 * 13


def test_a_failed_cell_is_listed_with_the_end_of_its_traceback(synthetic, tmp_path):
    source = synthetic.Synthetic(seeds=1, unwritten=(("loss_free", "random", "dropless", 0),))
    study, folder = source.write(tmp_path), RunFolder(tmp_path)
    name = source.cell_id("loss_free", "random", "dropless", 0)
    folder.cell(name).path.mkdir(parents=True)
    assert StudyTable.load(tmp_path, study).missing[name] == "not finished"
    folder.cell(name).error.write_text("Traceback\n  ...\nMemoryError: no room\n", encoding="utf-8")
    assert StudyTable.load(tmp_path, study).missing[name] == "failed: MemoryError: no room"


def test_a_diverged_cell_has_a_row_without_a_value(synthetic, tmp_path):
    lost = ("loss_free", "skewed", "tight", 0)
    source = synthetic.Synthetic(seeds=1, diverged=(lost,))
    table = StudyTable.load(tmp_path, source.write(tmp_path))
    (row,) = (row for row in table.rows if row.cell_id == source.cell_id(*lost))
    assert (row.outcome, row.value, row.units) == ("diverged", None, 0)


def test_an_empty_run_folder_is_a_table_of_missing_cells(synthetic, tmp_path):
    table = StudyTable.load(tmp_path, synthetic.Synthetic(seeds=1).study())
    assert len(table.missing) == 8
    assert {row.words for row in table.answers} == {"not yet run (0 of 1 seeds)"}
    assert json.loads(json.dumps(table.record()))["sandbox"] == "not recorded"


def test_the_record_is_json_and_holds_every_answer(made):
    _, study, folder = made
    record = json.loads(json.dumps(StudyTable.load(folder.path, study).record(), allow_nan=False))
    assert len(record["answers"]) == 12
    assert record["answers"][0]["stressor"] == "expert_init=skewed"


def test_running_without_a_sandbox_marks_every_row(synthetic, made):
    _, study, folder = made
    synthetic.rewrite(folder.environment, lambda record: record["sandbox"].update({"tier": "D", "enforced": False}))
    table = StudyTable.load(folder.path, study)
    assert table.sandbox == "no sandbox"
    assert {row.sandbox for row in table.rows} == {"no sandbox"}


def test_cells_made_with_and_without_a_benchmark_are_named_as_mixed(synthetic, made):
    source, study, folder = made
    assert StudyTable.load(folder.path, study).mixed() == {}
    result = folder.cell(source.cell_id("loss_free", "random", "dropless", 0)).result
    synthetic.rewrite(result, lambda record: record.update({"absent": {}}))
    table = StudyTable.load(folder.path, study)
    assert table.mixed() == {"mbpp-sanitized": (1, len(table.results) - 1)}
    assert table.record()["mixed"] == {"mbpp-sanitized": [1, len(table.results) - 1]}
