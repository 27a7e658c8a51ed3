"""Two runs are compared problem by problem, against counts made by hand and likelihoods maximized by brute force."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from trimtab.codeeval import paired_runs
from trimtab.errors import BenchmarkError, ConfigurationError

BOX = {"box": "b", "attestation": {"tier": "A"}}


def folder(path, solved, *, benchmark="humaneval", samples=1, problems=40, **settings):
    """Write a judged run: problem → how many of its samples pass, or a set of problems whose samples all pass."""
    counts = solved if isinstance(solved, dict) else dict.fromkeys(solved, samples)
    path.mkdir()
    asked = {"data": {benchmark: "f" * 64}, "extraction": "e" * 12, **settings}
    (path / "eval.json").write_text(json.dumps(asked))
    records = [
        {
            "benchmark": benchmark,
            "task_id": f"HumanEval/{task}",
            "sample_index": at,
            "outcome": "passed" if at < counts.get(task, 0) else "wrong",
            "box": "b",
        }
        for task in range(problems)
        for at in range(samples)
    ]
    (path / "verdicts.jsonl").write_text("".join(json.dumps(record) + "\n" for record in [BOX, *records]))
    return paired_runs.read(path)


def both(tmp_path, first, second, *, margin=None, **settings):
    runs = folder(tmp_path / "a", first, **settings), folder(tmp_path / "b", second, **settings)
    return paired_runs.compare(*runs, margin=margin)[0]


def test_mcnemar_s_exact_test_by_hand(tmp_path):
    found = both(tmp_path, set(range(25)), {*range(16), 30, 31, 32})
    assert (len(found.better_on), len(found.worse_on)) == (9, 3)
    assert found.p == pytest.approx(2 * sum(math.comb(12, k) for k in range(4)) / 2**12)
    assert found.value == pytest.approx(6 / 40)
    assert found.worse_on == ("HumanEval/30", "HumanEval/31", "HumanEval/32")
    assert found.test == "exact McNemar"


def test_two_runs_that_agree_everywhere_are_not_different(tmp_path):
    found = both(tmp_path, set(range(20)), set(range(20)), margin=0.1)
    assert found.p == 1
    assert found.value == 0
    assert found.low == pytest.approx(-found.high)
    assert found.equivalent


def test_equivalence_asks_for_enough_problems(tmp_path):
    assert both(tmp_path, set(range(20)), set(range(20)), margin=0.02).equivalent is False
    (tmp_path / "many").mkdir()
    found = both(tmp_path / "many", set(range(200)), set(range(200)), margin=0.02, problems=400)
    assert found.equivalent is True
    assert -0.02 < found.equivalent_low < found.equivalent_high < 0.02


def score_by_brute_force(b, c, n, difference):
    """Return the score statistic with the share of the second run alone found by maximizing the likelihood."""

    def loss(share):
        parts = ((b, share + difference), (c, share), (n - b - c, 1 - 2 * share - difference))
        return -sum(count * math.log(max(p, 1e-300)) for count, p in parts if count)

    low, high = max(0.0, -difference), (1 - difference) / 2
    share = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
    return (b - c - n * difference) / math.sqrt(n * (2 * share + difference * (1 - difference)))


@pytest.mark.parametrize(
    ("b", "c", "n"), [(9, 3, 40), (15, 8, 164), (1, 0, 44), (0, 7, 30), (30, 2, 378), (20, 20, 40)]
)
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_tango_s_interval_ends_where_the_score_is_z(b, c, n, confidence):
    found = paired_runs.tango(b, c, n, confidence)
    z = norm.ppf(0.5 + confidence / 2)
    assert score_by_brute_force(b, c, n, found.low) == pytest.approx(z, abs=1e-3)
    assert score_by_brute_force(b, c, n, found.high) == pytest.approx(-z, abs=1e-3)
    turned = paired_runs.tango(c, b, n, confidence)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_tango_s_interval_without_and_with_nothing_but_disagreement():
    z2 = norm.ppf(0.975) ** 2
    assert paired_runs.tango(0, 0, 164).high == pytest.approx(z2 / (164 + z2))
    found = paired_runs.tango(10, 0, 10)
    assert found.high == 1
    assert 0 < found.low < 1
    with pytest.raises(ConfigurationError, match="3 and 2 of 4"):
        paired_runs.tango(3, 2, 4)


def test_tango_s_interval_covers_what_it_should():
    rng = np.random.default_rng(0)
    shares = (0.12, 0.06)
    drawn = rng.multinomial(164, [*shares, 1 - sum(shares)], size=300)
    intervals = [paired_runs.tango(int(b), int(c), 164) for b, c, _ in drawn]
    covered = np.mean([found.low <= shares[0] - shares[1] <= found.high for found in intervals])
    assert 0.92 < covered < 0.98


def test_with_more_samples_the_problem_stays_the_unit(tmp_path):
    first, second = {0: 4, 1: 4, 2: 2, 3: 4}, {0: 1, 1: 4, 2: 1, 4: 1}
    found = both(tmp_path, first, second, samples=4, problems=20)
    assert found.samples == 80
    assert found.better_on == ("HumanEval/0", "HumanEval/2", "HumanEval/3")
    assert found.worse_on == ("HumanEval/4",)
    assert found.p == pytest.approx(2 * (1 + 4) / 16)
    assert found.value == pytest.approx((0.75 + 0.25 + 1 - 0.25) / 20)
    assert found.low < found.value < found.high
    assert "sign test" in found.test


REFUSED = {
    "other bytes": ({"data": {"humaneval": "0" * 64}}, "other bytes"),
    "another extraction": ({"extraction": "x"}, "in different ways: .* by extraction eeeeeeeeeeee, .* by x"),
    "no extraction recorded": ({"extraction": ""}, "one that was not recorded"),
    "more samples": ({"samples": 2}, "HumanEval/0 has 1 samples in .* and 2 in"),
    "fewer problems": ({"problems": 39}, "1 problems have samples in one run alone, HumanEval/39"),
    "another benchmark": ({"benchmark": "mbpp-378"}, "no benchmark in common: humaneval and mbpp-378"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_runs_that_cannot_be_compared_are_refused_with_the_reason(tmp_path, name):
    settings, said = REFUSED[name]
    first, second = folder(tmp_path / "a", {1}), folder(tmp_path / "b", {1}, **settings)
    with pytest.raises(BenchmarkError, match=said):
        paired_runs.compare(first, second)


def test_two_old_runs_are_refused_too(tmp_path):
    runs = [folder(tmp_path / name, {1}, extraction="") for name in "ab"]
    with pytest.raises(BenchmarkError, match="not recorded"):
        paired_runs.compare(*runs)


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(BenchmarkError, match=r"is no folder of a judged run: it needs eval\.json"):
        paired_runs.read(tmp_path)


@pytest.mark.parametrize("margin", [0, -0.1, 1, 2.0])
def test_an_impossible_margin_is_refused(tmp_path, margin):
    with pytest.raises(ConfigurationError, match="margin"):
        both(tmp_path, {1}, {2}, margin=margin)


def test_problems_that_a_run_found_unsound_can_be_left_out(tmp_path):
    runs = folder(tmp_path / "a", {0, 1}), folder(tmp_path / "b", {1})
    scores = {"benchmarks": {"humaneval": {"unsound": {"HumanEval/0": "stubs"}}}}
    (tmp_path / "b" / "result.json").write_text(json.dumps(scores))
    again = runs[0], paired_runs.read(tmp_path / "b")
    assert paired_runs.compare(*again)[0].better_on == ("HumanEval/0",)
    assert paired_runs.compare(*again, sound=True)[0].better_on == ()


def test_what_is_printed_names_the_problems_that_changed_sides_and_what_else_differs(tmp_path):
    first = folder(tmp_path / "a", {0, 1})
    second = folder(tmp_path / "b", {1}, isolation={"time_limit": 3.0})
    found = paired_runs.compare(first, second, margin=0.02)[0]
    text = "\n".join(paired_runs.lines(found, ("a", "b")))
    assert "a 5.0 %, b 2.5 %; difference +2.5 points" in text
    assert "a ahead on: HumanEval/0" in text
    assert "equivalence not shown" in text
    assert paired_runs.remarks(first, second) == [f"time_limit: as usual in {first.path}, 3.0 in {second.path}"]
