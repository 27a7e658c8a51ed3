"""The example of a GitHub Action: its own steps, run here on a file of samples."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from trimtab.codeeval import problems

WORKFLOW = Path(__file__).parent.parent / "examples" / "github-action" / "judge-samples.yml"


@pytest.mark.parametrize(("floor", "status"), [("0.60", 0), ("0.70", 1)])
def test_the_steps_judge_a_file_and_fail_below_the_floor(tmp_path, floor, status):
    job = yaml.safe_load(WORKFLOW.read_text())
    tasks = problems.load("humaneval").problems[:3]
    samples = [
        {"task_id": task.task_id, "completion": task.canonical_solution if number else "    return None\n"}
        for number, task in enumerate(tasks)
    ]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    here = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, **job["env"], "PATH": here, "FLOOR": floor}
    steps = {step["name"]: step["run"] for step in job["jobs"]["judge"]["steps"] if "run" in step}
    assert list(steps) == ["Install", "Judge", "Compare with the floor"]
    runs = [
        subprocess.run(
            ["bash", "-e", "-c", steps[name]],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for name in list(steps)[1:]
    ]
    assert runs[0].returncode == 0, runs[0].stderr
    assert (runs[1].returncode, runs[1].stdout) == (status, f"pass@1 0.667 on 3 problems, floor {floor}\n")
