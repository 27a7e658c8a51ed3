"""What judge and eval are asked for and cannot do costs one clear line, and leaves nothing behind."""

import json

import pytest
from click.testing import CliRunner

from trimtab.cli.main import main


@pytest.fixture
def samples(tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps({"task_id": "HumanEval/2", "completion": "    return number % 1.0"}) + "\n")
    return path


@pytest.mark.parametrize(("place", "why"), [("taken", "a file is there"), ("taken/within", "a file is above it")])
def test_a_file_where_the_folder_goes_is_named(tmp_path, samples, place, why):
    (tmp_path / "taken").write_text("mine")
    answer = CliRunner().invoke(main, ["judge", str(samples), "-b", "humaneval", "-o", str(tmp_path / place)])
    assert answer.exit_code == 2
    assert f"{tmp_path / place} cannot be written: {why}" in answer.output
    assert "name another place" in answer.output
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("verb", ["judge", "eval"])
def test_no_benchmark_is_no_judgement(tmp_path, samples, verb):
    answer = CliRunner().invoke(main, [verb, str(samples), "-b", " ,", "-o", str(tmp_path / "new")])
    assert answer.exit_code == 2
    assert "-b ' ,' names no benchmark" in answer.output
    assert not (tmp_path / "new").exists()
