"""A problem that a stub passes, or whose reference fails, is left out of the sound score; what was found is kept."""

from __future__ import annotations

import pytest

from trimtab.codeeval import soundness
from trimtab.codeeval.problem import Benchmark, Problem
from trimtab.sandbox.broker import Sandbox


def problem(number, solution, *assertions):
    tests = "".join(f"    assert {text}\n" for text in assertions)
    return Problem(
        task_id=f"x/{number}", prompt="def f(x):\n", entry_point="f", canonical_solution=f"    return {solution}\n",
        test=f"def check(candidate):\n{tests}", benchmark="x",
    )  # fmt: skip


TASKS = (
    problem(0, "x + 2", "candidate(1) == 3", "candidate(2) == 4"),
    problem(1, "x", "candidate(1) == 1"),
    problem(2, "x - 1", "candidate(1) == 3"),
    problem(3, "[]", "candidate(1) == []"),
)
BENCHMARK = Benchmark(name="x", problems=TASKS, source="here", sha256="0" * 64)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_each_unsound_problem_has_its_reason_and_the_answer_is_kept(cache):
    with Sandbox() as box:
        found = soundness.unsound(BENCHMARK, box)
    assert found == {
        "x/1": "stubs: passed by: return True",
        "x/2": "reference: wrong",
        "x/3": "stubs: passed by: return []",
    }
    assert len(list(cache.rglob("unsound-x.json"))) == 1
    assert soundness.unsound(BENCHMARK, None) == found  # from the cache: no sandbox is asked


def test_what_ships_names_published_sets_and_their_tasks(published):
    for key, tasks in soundness._shipped().items():
        name, digest, *_ = key.split()
        benchmark = published(name)
        assert digest == benchmark.sha256[:16]
        assert tasks.keys() <= {p.task_id for p in benchmark.problems}


def test_what_ships_is_what_is_found(published, cache):
    benchmark = published("mbpp-full")
    some = {"Mbpp/1", "Mbpp/2", "Mbpp/3", *soundness._shipped()[soundness._of_published(benchmark)]}
    with Sandbox() as box:
        found = soundness.unsound(benchmark, box, only=some, shipped=False)
    assert found == soundness.unsound(benchmark, None, only=some)
    assert soundness.unsound(benchmark, None, only={"Mbpp/1"}) == {}
