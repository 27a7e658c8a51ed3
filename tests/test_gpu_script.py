"""benchmarks/gpu.py runs to its end where there is no GPU, and a section that fails does not take the others along."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.slow
def test_the_script_goes_through_all_sections_on_a_cpu(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--device", "cpu", "--tiny", "--out", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    (path,) = tmp_path.glob("gpu-*.json")
    found = json.loads(path.read_text(encoding="utf-8"))["found"]
    assert list(found) == ["reads", "attach", "experts", "capacity", "pilot"]
    assert all(isinstance(ratio, float) for ratio in found["attach"]["ratio"].values()), found["attach"]
    assert all(isinstance(share, float) for share in found["experts"]["share of GEMMs"].values()), found["experts"]
    assert found["capacity"]["0.75"]["dropped"] > found["capacity"]["2.0"]["dropped"]
    assert {arm["steps"] for arm in found["pilot"].values()} == {3}


def test_a_section_that_fails_is_written_down_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    location = importlib.util.spec_from_file_location("gpu", BENCHMARKS / "gpu.py")
    gpu = importlib.util.module_from_spec(location)
    location.loader.exec_module(gpu)

    def broken(_size, _left):
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(gpu.recording, "RESULTS", tmp_path)
    monkeypatch.setitem(gpu.SECTIONS, "attach", (0.1, broken))
    only = ["--only", "attach", "reads"]
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--tiny", "--out", str(tmp_path), *only])
    with pytest.raises(SystemExit, match="failed: attach"):
        gpu.main()
    (path,) = tmp_path.glob("gpu-*.json")
    found = json.loads(path.read_text(encoding="utf-8"))["found"]
    assert found["attach"]["failed"] == "RuntimeError: CUDA error: out of memory"
    assert "needs CUDA" in found["reads"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_script_says_how_to_try_it():
    command = [sys.executable, str(BENCHMARKS / "gpu.py")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 1
    assert "--device cpu --tiny" in ended.stderr
