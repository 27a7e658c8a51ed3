"""Two processes under DeepSpeed's ZeRO-2 and ZeRO-3 count, move and learn as one with twice the batch.

DeepSpeed is no part of the environment here: where it is not installed, this is skipped. Tried with 0.19.8.
"""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("deepspeed_worker.py")
CASES = ("zero2_native_bias", "zero2_added_bias", "zero3_native_bias", "zero3_added_bias")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("deepspeed") is None,
        reason="deepspeed is not installed (DS_BUILD_OPS=0 pip install --no-build-isolation deepspeed)",
    ),
]


@pytest.fixture(scope="module")
def worker():
    location = importlib.util.spec_from_file_location("deepspeed_worker", WORKER)
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def results():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    started = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(rank), port],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]
    lines = []
    for process in started:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        lines.append(json.loads(out.splitlines()[-1]))
    return lines


@pytest.mark.parametrize("case", CASES)
def test_two_shards_equal_one_process_with_twice_the_batch(worker, results, case):
    assert set(worker.CASES) == set(CASES)
    first, second = (result[case] for result in results)
    assert first == second
    alone = json.loads(json.dumps(worker.alone(case)))
    assert first["biases"] == alone["biases"]
    assert first["metrics"] == alone["metrics"]
    assert first["weights"] == pytest.approx(alone["weights"], rel=1e-4, abs=1e-4)
