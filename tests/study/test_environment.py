"""What a later worker or run is held against: versions, isolation, benchmarks, texts and weights."""

import shutil
from pathlib import Path

import pytest

from trimtab import disk
from trimtab.errors import RunFolderError
from trimtab.study import environment, spec
from trimtab.study.store import RunFolder

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture
def begun(tmp_path):
    for name in ("tiny.toml", "tiny-controls.json"):
        shutil.copy(STUDIES / name, tmp_path)
    study, folder = spec.load(tmp_path / "tiny.toml"), RunFolder(tmp_path / "run")
    folder.path.mkdir()
    environment.record(study, folder, tmp_path / "tiny.toml", allow_unsandboxed=True)
    return study, folder, tmp_path / "tiny.toml"


def test_a_worker_with_the_same_benchmarks_joins(begun):
    environment.join(*begun, allow_unsandboxed=True)


def test_a_worker_with_other_benchmarks_is_refused_with_both_lists(begun):
    study, folder, file = begun
    record = disk.read_json(folder.environment)
    disk.write_json(folder.environment, record | {"benchmarks": [*record["benchmarks"], "zebra"]})
    with pytest.raises(RunFolderError, match=r"\(there .*zebra\)") as refusal:
        environment.join(study, folder, file, allow_unsandboxed=True)
    assert "TRIMTAB_DATA" in str(refusal.value)


def test_a_folder_of_an_earlier_version_that_names_no_benchmarks_is_joined(begun):
    study, folder, file = begun
    record = disk.read_json(folder.environment)
    del record["benchmarks"]
    disk.write_json(folder.environment, record)
    environment.join(study, folder, file, allow_unsandboxed=True)


def begin_a_cell(study, folder):
    cell = folder.cell(next(study.cells()).id)
    cell.path.mkdir(parents=True)
    disk.write_json(cell.initialization, {})
    return cell


def test_the_same_machine_with_other_benchmarks_does_not_go_on_and_its_record_stays(begun):
    study, folder, file = begun
    record = disk.read_json(folder.environment)
    there = record | {"benchmarks": [*record["benchmarks"], "zebra"]}
    disk.write_json(folder.environment, there)
    begin_a_cell(study, folder)
    with pytest.raises(RunFolderError, match=r"was begun: .*humaneval.*\(there .*zebra\)") as refusal:
        environment.record(study, folder, file, allow_unsandboxed=True)
    assert "TRIMTAB_DATA" in str(refusal.value)
    assert "-o" in str(refusal.value)
    assert disk.read_json(folder.environment) == there


def test_a_folder_in_which_nothing_was_computed_takes_this_machine_as_it_is(begun):
    study, folder, file = begun
    record = disk.read_json(folder.environment)
    disk.write_json(folder.environment, record | {"benchmarks": ["zebra"]})
    environment.record(study, folder, file, allow_unsandboxed=True)
    assert disk.read_json(folder.environment) == record


@pytest.mark.parametrize(
    ("part", "there", "named"),
    [
        ("packages", {"torch": "1.0"}, r"torch [\d.]+\S* \(there 1.0\)"),
        ("text sources", {"stdlib": "3.2.1"}, r"text to train on is of stdlib [\d.]+ \(there 3.2.1\)"),
        ("weights", {"smollm2-135m": "ab12"}, r"weights are smollm2-135m missing \(there ab12\)"),
    ],
)
def test_each_thing_that_results_depend_on_is_held_against_the_first_run(begun, part, there, named):
    study, folder, file = begun
    record = disk.read_json(folder.environment)
    disk.write_json(folder.environment, record | {part: record[part] | there})
    begin_a_cell(study, folder)
    with pytest.raises(RunFolderError, match=named):
        environment.record(study, folder, file, allow_unsandboxed=True)
    with pytest.raises(RunFolderError, match=named):
        environment.join(study, folder, file, allow_unsandboxed=True)


def test_weights_are_recorded_by_their_hash(tmp_path):
    source = tmp_path / "dense"
    source.mkdir()
    (source / "model.safetensors").write_bytes(b"one")
    (source / "config.json").write_text("{}")
    text = (STUDIES / "robustness.toml").read_text()
    study = spec.parse(text.replace('"smollm2-135m"', f'"{source}"'))
    first = environment.ingredients(study)["weights"]
    (source / "model.safetensors").write_bytes(b"two")
    second = environment.ingredients(study)["weights"]
    assert list(first) == list(second) == [str(source)]
    assert first != second


def test_a_cell_run_by_itself_is_held_against_its_folder_too(begun):
    _, folder, _ = begun
    environment.refuse_other_benchmarks(folder, disk.read_json(folder.environment)["benchmarks"])
    with pytest.raises(RunFolderError, match="no-such-benchmark"):
        environment.refuse_other_benchmarks(folder, ["no-such-benchmark"])
    environment.refuse_other_benchmarks(RunFolder(folder.path / "elsewhere"), [])  # nothing recorded, nothing to hold
