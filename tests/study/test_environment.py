"""What a later worker is held against: versions, isolation, and the benchmarks that a result depends on."""

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
