"""The whole path on a study small enough for a test: real training, generation, sandboxed execution, table and report.

The command line is run as a user runs it, in processes of its own.
"""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trimtab import disk
from trimtab.study import remote_folder, spec, store
from trimtab.study.run import as_record

STUDY = """
name = "small"

[factors]
balancer = ["loss_free", "aux_global"]
expert_init = ["random", "skewed"]
capacity = ["dropless"]
seed = [0]

[reference]
expert_init = "random"
capacity = "dropless"

[contrast]
treatment = "loss_free"
control = "aux_global"

[endpoints]
primary = "python_loss"
secondary = ["humaneval_nll", "micro_pass1"]

[margins]
python_loss = 0.02

[balancers.loss_free]
rule = "loss_free"
bias_update_rate = 0.01

[balancers.aux_global]
rule = "switch"
coef = 0.01

[expert_inits.random]

[expert_inits.skewed]
kind = "skewed_router"

[capacities.dropless]

[models.tiny]
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2
intermediate_size = 48
moe_intermediate_size = 16
num_experts = 4

[data]
vocab_size = 512
rows = 4
row_length = 64
python_bytes = 300000
heldout_bytes = 40000
micro_samples = 400

[training]
steps = 40
warmup_steps = 4
checkpoint_every = 5

[evaluation]
capacities = [1.0]
micro_problems = 12
micro_pro_problems = 6
python_windows = 20
generation_batch = 12
max_new_tokens = 24
"""

pytestmark = pytest.mark.slow


def trimtab(*arguments, check=True, program=(sys.executable, "-m", "trimtab.cli"), **options):
    """Run the command line; return the finished process."""
    command = [*program, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "TRIMTAB_DATA": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, **options)
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def decoys():
    location = importlib.util.spec_from_file_location("decoys", Path(__file__).with_name("decoys.py"))
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def finished(tmp_path_factory, decoys):
    """A finished run: its folder, its study file and what the run printed. It ran in a folder of decoys."""
    folder = tmp_path_factory.mktemp("study")
    decoys.plant(folder, folder / "markers")
    (folder / "small.toml").write_text(STUDY)
    program = Path(sys.executable).with_name("trimtab")
    done = trimtab("run", folder / "small.toml", "-o", folder / "run", program=[program], cwd=folder)
    return folder / "run", folder / "small.toml", done


def test_neither_the_run_nor_its_report_ran_a_decoy(finished, decoys):
    folder, study, _ = finished
    program = Path(sys.executable).with_name("trimtab")
    trimtab("report", study, "-o", folder, program=[program], cwd=study.parent)
    assert decoys.run_by(study.parent / "markers") == []


def cells(folder):
    return sorted((folder / "cells").iterdir())


def test_every_cell_has_a_result_and_the_answer_is_printed(finished):
    folder, _, done = finished
    assert len(cells(folder)) == 4
    for cell in cells(folder):
        found = {path.name for path in cell.iterdir()}
        assert {"cell.json", "train.jsonl", "samples.jsonl", "verdicts.jsonl", "timing.json", "result.json"} <= found
        assert "checkpoint" not in found
        assert "error.txt" not in found
    assert "undecided (1 seed)" in done.stdout
    assert str(folder / "report" / "report.html") in done.stdout.replace("\n", "")


def test_the_report_holds_everything_it_shows(finished):
    folder, _, _ = finished
    page = (folder / "report" / "report.html").read_text()
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    for cell in cells(folder):
        assert cell.name in page
    assert (folder / "report" / "report.md").exists()


def test_a_result_is_counts_that_can_be_recomputed_from_the_lines(finished):
    for cell in cells(finished[0]):
        result = store.CellResult.read(cell / "result.json")
        verdicts = disk.read_lines(cell / "verdicts.jsonl")
        assert len(verdicts) == len(disk.read_lines(cell / "samples.jsonl")) == 12 * 2 + 6
        for benchmark, conditions in result.passes.items():
            for capacity, tasks in conditions.items():
                chosen = [v for v in verdicts if (v["benchmark"], v["eval_capacity"]) == (benchmark, capacity)]
                assert sum(n for n, _ in tasks.values()) == len(chosen)
                assert sum(c for _, c in tasks.values()) == sum(v["outcome"] == "passed" for v in chosen)
        assert set(result.losses["python"]) == {"dropless", "1.0"}
        assert len(result.losses["humaneval"]["dropless"]) == 164
        assert "mbpp-sanitized" in result.absent
        assert {line["phase"] for line in result.routing} == {
            "train_tail",
            "eval:python",
            "eval:micro",
            "eval:micro-pro",
        }


def test_training_learned_something_and_capacity_dropped_something(finished):
    for cell in cells(finished[0]):
        losses = [line["loss"] for line in disk.read_lines(cell / "train.jsonl")]
        assert sum(losses[-5:]) < sum(losses[:5])
        routing = store.CellResult.read(cell / "result.json").routing
        assert all(line["drop_rate"] > 0 for line in routing if line["eval_capacity"] == "1.0")
        assert all(line["drop_rate"] == 0 for line in routing if line["eval_capacity"] == "dropless")


def test_the_same_seed_starts_from_the_same_weights_in_every_arm(finished):
    first = {}
    for cell in cells(finished[0]):
        record = disk.read_json(cell / "cell.json")
        line = disk.read_lines(cell / "train.jsonl")[0]
        first.setdefault(record["factors"]["expert_init"], set()).add(line["loss"])
    assert {name: len(losses) for name, losses in first.items()} == {"random": 1, "skewed": 1}


def test_a_second_run_does_nothing(finished):
    folder, study, _ = finished
    before = {path: path.stat().st_mtime_ns for path in (folder / "cells").rglob("*") if path.is_file()}
    done = trimtab("run", study, "-o", folder)
    assert "all 4 cells are done" in done.stderr
    assert before == {path: path.stat().st_mtime_ns for path in (folder / "cells").rglob("*") if path.is_file()}


def test_a_changed_study_is_refused_with_what_differs(finished, tmp_path):
    folder, _, _ = finished
    changed = tmp_path / "small.toml"
    changed.write_text(STUDY.replace("coef = 0.01", "coef = 0.02"))
    done = trimtab("run", changed, "-o", folder, check=False)
    assert done.returncode == 2
    assert "-coef = 0.01" in done.stderr
    assert "+coef = 0.02" in done.stderr


def test_a_mistake_in_the_study_is_one_message_and_no_folder(tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text(STUDY.replace('rule = "switch"', 'rule = "swich"'))
    done = trimtab("run", bad, "-o", tmp_path / "run", check=False)
    assert done.returncode == 2
    assert "unknown balancer 'swich'" in done.stderr
    assert "did you mean 'switch'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_status_table_and_plan_speak_json(finished):
    folder, study, _ = finished
    status = json.loads(trimtab("status", study, "-o", folder, "--json").stdout)
    assert set(status.values()) == {"done"}
    plan = json.loads(trimtab("plan", study, "-o", folder, "--json").stdout)
    assert plan["minutes"] == 0
    assert json.loads(trimtab("table", study, "-o", folder, "--json").stdout)


def one_cell(folder, seed=0):
    """Prepare one cell for `python -m trimtab.study.run`, sharing the corpus of the finished run."""
    study = spec.parse(STUDY.replace("seed = [0]", f"seed = [{seed}]"))
    cell = next(iter(study.cells()))
    run = store.RunFolder(folder)
    run.cell(cell.id).prepare(cell.id, as_record(study, cell))
    return run.cell(cell.id)


def start(cell):
    return subprocess.Popen(
        [sys.executable, "-m", "trimtab.study.run", cell.path],
        env={**os.environ, "OMP_NUM_THREADS": "1", "TRIMTAB_DATA": ""},
        stderr=subprocess.PIPE,
    )


def test_kill_9_in_training_and_again_in_evaluation_ends_in_the_same_bytes(finished, tmp_path):
    folder, _, _ = finished
    (tmp_path / "cache").symlink_to(folder / "cache")
    cell = one_cell(tmp_path)
    for there in (lambda: len(disk.read_lines(cell.train_log)) >= 12, cell.model.exists):
        process = start(cell)
        deadline = time.monotonic() + 120
        while not there() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
        assert there()
        assert not cell.result.exists()
    again = start(cell)
    _, errors = again.communicate()
    assert again.returncode == 0, errors.decode()
    whole = folder / "cells" / cell.path.name
    for name in ("result.json", "train.jsonl", "samples.jsonl"):
        assert (cell.path / name).read_bytes() == (whole / name).read_bytes(), name


def test_each_cell_says_what_its_initialization_changed(finished):
    folder, _, _ = finished
    for cell in folder.glob("cells/*"):
        record = json.loads((cell / "initialization.json").read_text())
        stressed = "skewed" in cell.name
        assert bool(record["written"]) == stressed
        assert all(entry["changed"] == entry["size"] // 4 for entry in record["written"])  # one row of four


def test_a_failed_cell_keeps_its_traceback_and_the_exit_code_says_so(finished, tmp_path):
    folder, _, _ = finished
    # A stress no model can carry, which is found out only when it is applied.
    study = tmp_path / "failing.toml"
    study.write_text(
        STUDY.replace('kind = "skewed_router"', 'kind = "skewed_router"\nshift = 1e300').replace(
            "steps = 40", "steps = 5"
        )
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "cache").symlink_to(folder / "cache")
    done = trimtab("run", study, "-o", tmp_path / "run", "--workers", "1", check=False)
    assert done.returncode == 1
    states = json.loads(trimtab("status", study, "-o", tmp_path / "run", "--json").stdout)
    assert sorted(states.values()) == ["done", "done", "failed", "failed"]
    errors = list(Path(tmp_path / "run").glob("cells/*/error.txt"))
    assert len(errors) == 2
    assert "SkewedRouter" in errors[0].read_text()


def start_worker(study, folder):
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "trimtab", "work", study, "-o", folder, "--lease", "6"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "TRIMTAB_DATA": ""},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_workers_share_a_study_and_one_that_is_killed_costs_nothing(finished, tmp_path):
    whole, study, _ = finished
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "cache").symlink_to(whole / "cache")
    killed = start_worker(study, folder)
    deadline = time.monotonic() + 120
    while not list(folder.glob("cells/*/train.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.01)
    others = [start_worker(study, folder), start_worker(study, folder)]
    refused = trimtab("run", study, "-o", folder, check=False)
    assert refused.returncode == 2
    assert "another run is working in" in refused.stderr
    killed.kill()
    killed.wait()
    killed.stderr.close()
    said = [worker.communicate()[1] for worker in others]
    assert [worker.returncode for worker in others] == [0, 0], said
    assert sorted(re.findall(r"^done: (\S+)", "".join(said), re.MULTILINE)) == [cell.name for cell in cells(whole)]
    for cell in cells(whole):
        for name in ("result.json", "train.jsonl", "samples.jsonl"):
            assert (folder / "cells" / cell.name / name).read_bytes() == (cell / name).read_bytes(), name
    numbers = [len(list(path.iterdir())) for path in (folder / "leases").iterdir()]
    assert sorted(numbers) == [1, 1, 1, 2]  # the cell of the killed worker was taken over once


def test_a_worker_with_other_versions_is_refused_before_it_takes_a_cell(finished, tmp_path):
    whole, study, _ = finished
    folder = tmp_path / "shared"
    folder.mkdir()
    record = disk.read_json(whole / "environment.json")
    record["packages"]["torch"] = "1.0"
    disk.write_json(folder / "environment.json", record)
    done = trimtab("work", study, "-o", folder, check=False)
    assert done.returncode == 2
    assert "torch" in done.stderr
    assert "there 1.0" in done.stderr
    assert not (folder / "cells").exists()


def test_a_worker_without_isolation_does_not_join_a_study_begun_with_it(finished, tmp_path):
    whole, study, _ = finished
    folder = tmp_path / "shared"
    folder.mkdir()
    disk.write_json(folder / "environment.json", disk.read_json(whole / "environment.json"))
    done = trimtab("work", study, "-o", folder, "--allow-unsandboxed", check=False)
    assert done.returncode == 2
    assert "was begun without --allow-unsandboxed" in done.stderr
    assert not (folder / "cells").exists()


def test_a_study_is_read_anywhere_and_redoes_a_corrupt_cell_only_with_the_benchmarks_it_was_begun_with(
    finished, tmp_path
):
    whole, study, _ = finished
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    record = disk.read_json(folder / "environment.json")
    there = record | {"benchmarks": sorted([*record["benchmarks"], "mbpp-sanitized"])}
    disk.write_json(folder / "environment.json", there)
    for verb in ("run", "report", "table", "status", "plan"):
        trimtab(verb, study, "-o", folder)
    corrupt, *others = cells(folder)
    good = (corrupt / "result.json").read_bytes()
    (corrupt / "result.json").write_bytes(good[: len(good) // 2])
    for verb in ("run", "work"):
        refused = trimtab(verb, study, "-o", folder, check=False)
        assert refused.returncode == 2
        assert "it has humaneval (there humaneval, mbpp-sanitized)" in refused.stderr
        assert "TRIMTAB_DATA" in refused.stderr
    alone = trimtab(corrupt, program=(sys.executable, "-P", "-m", "trimtab.study.run"), check=False)
    assert alone.returncode == 1
    assert "(there humaneval, mbpp-sanitized)" in alone.stderr
    assert disk.read_json(folder / "environment.json") == there
    assert (corrupt / "result.json").read_bytes() == good[: len(good) // 2]
    disk.write_json(folder / "environment.json", record)
    before = {path: path.stat().st_mtime_ns for cell in others for path in cell.rglob("*")}
    done = trimtab("run", study, "-o", folder, "--no-report")
    assert f"{corrupt} held a corrupt file" in done.stderr.replace("\n", " ")
    assert (corrupt / "result.json").read_bytes() == good
    assert good == (whole / "cells" / corrupt.name / "result.json").read_bytes()
    assert before == {path: path.stat().st_mtime_ns for cell in others for path in cell.rglob("*")}


def test_a_study_at_a_url_goes_on_from_what_is_there(finished, tmp_path, monkeypatch):
    whole, study, _ = finished
    url = f"file://{tmp_path}/store/run"
    there = remote_folder.RemoteFolder(url)
    there.put_finished(store.RunFolder(whole))
    lost = cells(whole)[1].name
    shutil.rmtree(tmp_path / "store" / "run" / "cells" / lost)
    monkeypatch.setenv("TRIMTAB_STAGE", str(tmp_path / "stage"))
    done = trimtab("run", study, "-o", url)
    assert f"done {lost}" in done.stderr
    assert "(4/4" in done.stderr
    again = remote_folder.RemoteFolder(url)
    again.fetch(store.RunFolder(tmp_path / "elsewhere"))
    for cell in cells(whole):
        for name in ("result.json", "train.jsonl", "samples.jsonl"):
            assert (tmp_path / "elsewhere" / "cells" / cell.name / name).read_bytes() == (cell / name).read_bytes()
    assert (tmp_path / "store" / "run" / "report" / "report.html").stat().st_size


@pytest.fixture
def two_ray_nodes():
    """A cluster of two nodes of one core each on this machine, and a process that kills one at a line."""
    script = Path(__file__).parents[1] / "benchmarks" / "two_ray_nodes.py"
    with subprocess.Popen(
        [sys.executable, script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TRIMTAB_DATA": ""},  # what nodes read is theirs, not the driver's
    ) as nodes:
        yield nodes
        nodes.stdin.close()


def test_a_ray_node_that_is_killed_costs_nothing_and_the_bytes_are_those_of_a_local_run(
    finished, two_ray_nodes, tmp_path
):
    whole, study, _ = finished
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "cache").symlink_to(whole / "cache")
    address, node = two_ray_nodes.stdout.readline().split()
    driver = subprocess.Popen(
        [sys.executable, "-P", "-m", "trimtab", "run", study, "-o", folder, "--no-report", "--ray", address],
        env={**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "TRIMTAB_DATA": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    taken = None
    deadline = time.monotonic() + 120
    while taken is None and time.monotonic() < deadline and driver.poll() is None:
        time.sleep(0.02)
        for lease in folder.glob("leases/*/1.json"):
            log = folder / "cells" / lease.parent.name / "train.jsonl"
            if f'"tag": "{node}"' in lease.read_text() and log.exists() and log.stat().st_size:
                taken = lease.parent.name
    assert taken, driver.communicate()
    two_ray_nodes.stdin.write("kill\n")
    two_ray_nodes.stdin.flush()
    _, errors = driver.communicate(timeout=300)
    assert driver.returncode == 0, errors
    for cell in cells(whole):
        for name in ("result.json", "train.jsonl", "samples.jsonl"):
            assert (folder / "cells" / cell.name / name).read_bytes() == (cell / name).read_bytes(), name
    numbers = {path.name: len(list(path.iterdir())) for path in (folder / "leases").iterdir()}
    assert numbers == {cell.name: 1 + (cell.name == taken) for cell in cells(whole)}
    assert f": {taken}" in re.findall("taken over from.*", errors)[0]
