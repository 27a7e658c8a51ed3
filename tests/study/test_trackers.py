"""Trackers are chosen once a run folder, and change no cell."""

import importlib.util
from pathlib import Path

import pytest

from trimtab import disk
from trimtab.errors import TrimtabError
from trimtab.study import spec, store, trackers
from trimtab.study.run import as_record

TINY = Path(__file__).parents[2] / "studies" / "tiny.toml"


@pytest.fixture
def place(tmp_path):
    study, folder = spec.load(TINY), store.RunFolder(tmp_path / "run")
    cell = next(iter(study.cells()))
    folder.cell(cell.id).prepare(cell.id, as_record(study, cell))
    return folder, folder.cell(cell.id)


def test_none_follows_unless_chosen(place):
    folder, cell = place
    assert trackers.of_cell(folder, cell) is None


def test_what_is_chosen_follows_each_cell_under_its_name_with_its_settings(place, monkeypatch):
    folder, cell = place
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    trackers.choose(folder, ["wandb", "tensorboard", "wandb"])
    followed = trackers.of_cell(folder, cell)
    assert followed.names == ["tensorboard", "wandb"]
    assert (followed.project, followed.run) == ("tiny", cell.path.name)
    assert followed.config["training.steps"] == 1200
    assert followed.config["balancer.rule"] == "loss_free"
    assert followed.config["evaluation.capacities"] == "[1.0]"
    assert followed.folder.parent == folder.path
    trackers.choose(folder, [])
    assert trackers.of_cell(folder, cell) is None


def test_a_machine_that_lacks_the_tracker_of_the_folder_refuses_its_cells(place, monkeypatch):
    folder, cell = place
    disk.write_json(folder.trackers, ["wandb"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(TrimtabError, match="'wandb' is not installed"):
        trackers.of_cell(folder, cell)
