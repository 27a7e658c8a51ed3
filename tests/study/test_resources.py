"""What a cell is given: by its study, by what finished cells needed; and how many this machine holds."""

import importlib
import os
from pathlib import Path

import pytest

from trimtab import disk
from trimtab.errors import StudyError
from trimtab.study import planning, resources, slurm, spec, store
from trimtab.study.pool import Pool

TINY = (Path(__file__).parents[2] / "studies" / "tiny.toml").read_text()


def asked(resources="", training=""):
    text = TINY.replace("steps = 1200", f"steps = 1200\n{training}")
    return spec.parse(f"{text}\n[resources]\n{resources}\n")


def test_what_a_cell_is_given_is_no_part_of_it():
    assert [cell.id for cell in asked("memory_mib = 9000").cells()] == [cell.id for cell in spec.parse(TINY).cells()]


def test_a_cell_is_given_what_its_study_says_else_a_quarter_more_than_the_finished_ones_needed(tmp_path):
    study, folder = asked(), store.RunFolder(tmp_path)
    assert resources.memory_mib(study, folder) == 1024
    name = next(study.cells()).id
    folder.cell(name).path.mkdir(parents=True)
    disk.write_json(folder.cell(name).timing, {"peak_rss_mib": 800.0})
    assert resources.memory_mib(study, folder) == 1000
    assert resources.memory_mib(asked("memory_mib = 700"), folder) == 700


def test_a_run_folder_takes_other_resources_and_nothing_else(tmp_path):
    folder = store.RunFolder(tmp_path / "run")
    folder.claim(asked("memory_mib = 700").text)
    folder.claim(asked("memory_mib = 900").text)
    assert "memory_mib = 900" in folder.study.read_text()
    folder.claim(TINY)
    with pytest.raises(store.RunFolderError, match="holds another study"):
        folder.claim(asked("memory_mib = 900", "checkpoint_every = 7").text)
    assert folder.study.read_text() == TINY


@pytest.mark.parametrize(
    ("visible", "gpus", "workers"), [("0", 1, 1), ("0,3,5", 1, 3), ("GPU-a, GPU-b", 1, 2), ("0,1", 2, 1)]
)
def test_as_many_cells_run_as_there_are_gpus_for(monkeypatch, visible, gpus, workers):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert resources.workers_here(asked(f"gpus = {gpus}", f"processes = {gpus}")) == workers


def test_a_cell_that_asks_for_more_gpus_than_there_are_is_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    with pytest.raises(StudyError, match=r"asks for 1 GPUs .*and 0 can be seen here"):
        resources.workers_here(asked("gpus = 1"))


def test_memory_limits_how_many_cells_run_side_by_side(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    assert resources.workers_here(asked()) == 8
    assert resources.workers_here(asked(f"memory_mib = {whole // 3}")) == 3
    assert resources.workers_here(asked(f"memory_mib = {whole * 2}")) == 1


def test_gpus_that_do_not_fit_the_processes_are_refused():
    with pytest.raises(
        StudyError, match=r"resources.gpus: a cell of 2 processes computes on 2 GPUs or on none, not on 1"
    ):
        asked("gpus = 1", "processes = 2")


def test_the_plan_and_the_slurm_script_say_what_a_cell_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    study, folder = asked("gpus = 2\nmemory_mib = 6000", "processes = 2"), store.RunFolder(tmp_path)
    monkeypatch.setattr(planning, "_calibrate", lambda _: (1.0, "a test"))
    assert planning.estimate(study, folder).sentence().endswith("each is given 2 CPU, 6000 MiB, GPUs: 2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert planning.estimate(study, folder).sentence().endswith("GPUs: 2, of which this machine has 0")
    script = slurm.write(study, folder, slurm.Array(workers=2, limit="1:00"), tmp_path / "x.toml").read_text()
    for line in ("--mem=6000M", "--gres=gpu:2", "--cpus-per-task=2"):
        assert f"#SBATCH {line}\n" in script
    script = slurm.write(
        study, folder, slurm.Array(workers=2, limit="1:00", memory="9G"), tmp_path / "x.toml"
    ).read_text()
    assert "#SBATCH --mem=9G\n" in script


WORK = """
import os, time

def work(folder, _report):
    folder.with_suffix(".begun").touch()
    while len(list(folder.parent.glob("*.begun"))) < 2:  # both workers take a part
        time.sleep(0.1)
    folder.with_suffix(".seen").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "unset"))
"""


def test_each_worker_sees_gpus_of_its_own(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "gpu_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    work = importlib.import_module("gpu_work").work
    folders = [tmp_path / name for name in "abcd"]
    pool = Pool(work=work, count=2, threads=1, gpus=[("0", "1"), ("2", "3")])
    assert {event.kind for event in pool.run(folders) if event} == {"done"}
    assert {folder.with_suffix(".seen").read_text() for folder in folders} == {"0,1", "2,3"}
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
