"""Two processes count, move and penalize as one process with twice the batch."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("distributed_worker.py")


@pytest.fixture(scope="module")
def worker():
    location = importlib.util.spec_from_file_location("distributed_worker", WORKER)
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    rendezvous = tmp_path_factory.mktemp("gloo") / "rendezvous"
    started = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(rank), str(rendezvous)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]
    found = []
    for process in started:
        out, err = process.communicate(timeout=180)
        assert process.returncode == 0, err
        found.append(json.loads(out.splitlines()[-1]))
    return found


CASES = (
    "loss_free_careless",
    "loss_free_no_sync",
    "loss_free_own_buffers",
    "switch_careless",
    "switch_no_sync",
    "quantile",
    "stack",
    "fsdp2_native_bias",
    "fsdp2_added_bias",
)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_equal_one_with_twice_the_batch(worker, results, case):
    """With and without no_sync, with and without broadcast_buffers (Megatron 5047, torchtitan 4154)."""
    assert set(worker.CASES) == set(CASES)
    first, second = (result[case] for result in results)
    assert first == second
    alone = worker.run(case, worker.text().split(4), parallel=False)
    assert first["biases"] == alone["biases"]
    assert first["metrics"] == alone["metrics"]
    # Of the global loss too: f is everybody's, and the mean over processes of P is P of the whole batch.
    assert first["gradient"] == pytest.approx(alone["gradient"], rel=1e-3, abs=1e-4)


@pytest.mark.slow
def test_a_gradient_that_is_broken_in_one_process_is_broken_in_both(results):
    assert [result["finite"] for result in results] == [[True, False], [True, False]]
