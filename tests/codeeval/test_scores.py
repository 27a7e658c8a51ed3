"""Scores against counts done by hand."""

from __future__ import annotations

import pytest

from trimtab.codeeval import scores, summary
from trimtab.codeeval.problem import Benchmark, Problem, SelfInvoking
from trimtab.codeeval.verdicts import Judged


def problem(task_id, base=""):
    halves = base and SelfInvoking(
        base_task_id=base, raw_problem="", raw_solution="", new_problem="", new_solution="", test_code=""
    )
    return Problem(
        task_id=task_id, prompt="", entry_point="f", canonical_solution="", test="", benchmark="", pro=halves or None
    )


def benchmark(name, *problems):
    return Benchmark(name=name, problems=problems, source="", sha256="")


BASE = benchmark("base", *(problem(f"B/{n}") for n in range(4)))
PRO = benchmark("pro", *(problem(f"P/{n}", f"B/{n}") for n in range(4)))


def verdicts(name, table):
    for task_id, outcomes in table.items():
        for number, outcome in enumerate(outcomes):
            yield {
                "benchmark": name, "task_id": task_id, "sample_index": number, "outcome": outcome,
                "raw": "syntax" if number else outcome, "detail": "KeyError: 1", "steps": ["fence"],
                "calls_base": outcome == "passed" if name == "pro" else None,
            }  # fmt: skip


BASE_TALLY = scores.tally(BASE, verdicts("base", {f"B/{n}": ["passed", "passed"] for n in range(4)}), {})
PRO_TALLY = scores.tally(
    PRO,
    verdicts("pro", {"P/0": ["passed", "wrong"], "P/1": ["error", "error"], "P/2": ["passed"] * 2, "P/3": ["oom"] * 2}),
    {"P/3": "named"},
)


def test_pass_at_k_of_all_and_of_sound_problems_raw_and_extracted():
    assert PRO_TALLY.score(1).value == 3 / 8
    assert PRO_TALLY.score(2).value == 2 / 4
    assert PRO_TALLY.score(1, sound=True).value == 3 / 6
    assert PRO_TALLY.score(1, raw=True).value == 2 / 8
    assert PRO_TALLY.score(10) is None
    interval = PRO_TALLY.score(1).interval
    assert 0 <= interval.low < 3 / 8 < interval.high <= 1


def test_failures_have_their_kinds():
    assert PRO_TALLY.failures == {"AssertionError": 1, "other error": 2, "memory": 2}
    assert PRO_TALLY.base_not_called == (0, 5)
    assert PRO_TALLY.steps == {"fence": 3}
    assert scores.kind("error", "IndexError: list index out of range") == "IndexError"
    assert BASE_TALLY.base_not_called is None


def test_the_drop_is_paired():
    drop = scores.drop(BASE_TALLY, PRO_TALLY, scores.pairs(BASE, PRO))
    assert (drop.value, drop.pairs) == (5 / 8, 4)
    assert drop.interval.low < drop.value < drop.interval.high
    assert scores.drop(BASE_TALLY, PRO_TALLY, scores.pairs(BASE, PRO), sound=True).value == pytest.approx(0.5)
    assert [d.pro for d in summary.drops([BASE, PRO], [BASE_TALLY, PRO_TALLY])] == ["pro"]


def judged_at(tiers):
    return Judged(verdicts=[{"box": tier} for tier in tiers], attestations={tier: {"tier": tier} for tier in tiers})


def test_a_summary_says_everything_twice():
    record = summary.record([PRO_TALLY], [], [], judged_at("A"))
    text = "\n".join(summary.lines(record))
    for expected in ("pro pass@1", "37.5 %", "of 4", "50.0 %", "of 3", "as it stands", "memory 2", "other error 2"):
        assert expected in text
    assert "judged in the sandbox, tier A" in text


def test_a_summary_of_verdicts_without_isolation_says_so():
    record = summary.record([PRO_TALLY], [], [], judged_at("AD"))
    assert "WITHOUT ISOLATION" in "\n".join(summary.lines(record))
    assert record["attestations"]["D"] == {"tier": "D"}
