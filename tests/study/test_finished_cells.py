import json
import os
import shutil

import pytest

from trimtab.errors import RunFolderError
from trimtab.study import finished_cells, store
from trimtab.study.cell_counts import CellCounts
from trimtab.study.table import StudyTable


@pytest.fixture
def made(synthetic, tmp_path, monkeypatch):
    """A study whose counts are kept however small it is."""
    monkeypatch.setattr(finished_cells, "WORTH_KEEPING", 1)
    source = synthetic.Synthetic(seeds=2, units=5, diverged=(("loss_free", "skewed", "tight", 1),))
    return source, source.write(tmp_path / "run"), store.RunFolder(tmp_path / "run")


@pytest.fixture
def counted(monkeypatch):
    """The cells that were counted, and not taken from the cache."""
    names = []
    of = CellCounts.of

    def noted(result, *others):
        names.append(result.cell_id)
        return of(result, *others)

    monkeypatch.setattr(CellCounts, "of", noted)
    return names


def answer(folder, study):
    table = StudyTable.load(folder.path, study)
    return json.dumps(table.record()), table.csv()


def test_counts_are_kept_and_give_the_same_table(made, counted):
    _, study, folder = made
    before = answer(folder, study)
    assert len(counted) == 16
    assert folder.counts.exists()
    counted.clear()
    assert answer(folder, study) == before
    assert counted == []


def test_a_result_changed_in_its_size_and_time_unseen_is_counted_anew(made, counted):
    source, study, folder = made
    before = answer(folder, study)
    name = source.cell_id("aux_global", "random", "dropless", 0)
    path = folder.cell(name).result
    stat, text = path.stat(), path.read_text(encoding="utf-8")
    changed = text.replace('"unit/0": [10, 6]', '"unit/0": [10, 7]')
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    counted.clear()
    after = answer(folder, study)
    assert counted == [name]
    folder.counts.unlink()
    assert answer(folder, study) == after != before


def test_a_result_that_is_damaged_after_it_was_counted_is_missing(made):
    source, study, folder = made
    answer(folder, study)
    name = source.cell_id("aux_global", "random", "dropless", 0)
    path = folder.cell(name).result
    path.write_bytes(path.read_bytes()[:-9])
    assert list(StudyTable.load(folder.path, study).missing) == [name]
    path.unlink()
    assert StudyTable.load(folder.path, study).missing == {name: "not finished"}


def test_a_result_in_the_folder_of_another_cell_is_not_taken_for_its_own(made):
    source, study, folder = made
    answer(folder, study)
    mine, other = (source.cell_id("aux_global", "random", "dropless", seed) for seed in (0, 1))
    shutil.copy(folder.cell(other).result, folder.cell(mine).result)
    assert "belongs to another cell" in StudyTable.load(folder.path, study).missing[mine]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:0],
        lambda data: data[:100],
        lambda data: data[:-1],
        lambda data: data[:900] + bytes([data[900] ^ 1]) + data[901:],
        lambda data: b"\0" * len(data),
    ],
)
def test_a_damaged_cache_is_not_read(made, counted, damage):
    _, study, folder = made
    before = answer(folder, study)
    folder.counts.write_bytes(damage(folder.counts.read_bytes()))
    counted.clear()
    assert answer(folder, study) == before
    assert len(counted) == 16
    counted.clear()
    assert answer(folder, study) == before
    assert counted == []  # it was written anew


def test_counts_of_another_layout_or_study_are_not_read(made, counted, monkeypatch):
    _, study, folder = made
    answer(folder, study)
    counted.clear()
    monkeypatch.setattr(finished_cells, "LAYOUT", finished_cells.LAYOUT + 1)
    answer(folder, study)
    assert len(counted) == 16


def test_a_cache_that_cannot_be_written_is_left_out(made, monkeypatch):
    _, study, folder = made

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(finished_cells.disk, "write_atomic_bytes", full)
    assert len(StudyTable.load(folder.path, study).results) == 16
    assert not folder.counts.exists()


def test_few_cells_leave_no_file_behind(synthetic, tmp_path):
    study = synthetic.Synthetic(seeds=1, units=2).write(tmp_path)
    StudyTable.load(tmp_path, study)
    assert not store.RunFolder(tmp_path).counts.exists()


def test_whole_results_are_read_again_when_they_are_wanted(made, monkeypatch):
    _, study, folder = made
    monkeypatch.setattr(finished_cells, "_HELD", 3)
    results = StudyTable.load(folder.path, study).results
    for _ in range(2):
        assert {name: result.cell_id for name, result in results.items()} == {name: name for name in results}
    assert len(results._held) == 3
    assert "nobody" not in results
    with pytest.raises(KeyError):
        results["nobody"]


@pytest.mark.parametrize("change", [lambda path: path.write_text("{}"), lambda path: path.unlink()])
def test_a_result_that_changes_under_a_table_is_an_error(made, monkeypatch, change):
    _, study, folder = made
    monkeypatch.setattr(finished_cells, "_HELD", 0)
    table = StudyTable.load(folder.path, study)
    name = next(iter(table.results))
    change(folder.cell(name).result)
    with pytest.raises(RunFolderError, match=r"has changed|cannot be read any more"):
        table.results[name]
