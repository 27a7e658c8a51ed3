"""Statistics against theorems, brute force and simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from trimtab import stats
from trimtab.errors import ConfigurationError


def mean_metric(values):
    return stats.Ratio(np.asarray(values, dtype=float), np.ones(np.shape(values)))


# pass@k


@pytest.mark.parametrize(
    ("n", "c", "k"), [(n, c, k) for n in range(1, 7) for c in range(n + 1) for k in range(1, n + 1)]
)
def test_pass_at_k_is_the_share_of_subsets_with_a_pass(n, c, k):
    samples = [True] * c + [False] * (n - c)
    subsets = list(itertools.combinations(samples, k))
    assert stats.pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets), abs=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(0, 0, 1), (3, 4, 1), (3, -1, 1), (3, 1, 4), (3, 1, 0)])
def test_pass_at_k_refuses_impossible_counts(n, c, k):
    with pytest.raises(ConfigurationError, match=f"k={k}"):
        stats.pass_at_k(n, c, k)


# Wilson


@given(trials=st.integers(1, 300), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_wilson_is_scipys(trials, share, confidence):
    successes = round(share * trials)
    ours = stats.wilson(successes, trials, confidence)
    theirs = scipy_stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_wilson_refuses_more_successes_than_trials():
    with pytest.raises(ConfigurationError, match="5 of 4"):
        stats.wilson(5, 4)


# contrasts


def test_student_interval_and_p_are_scipys():
    values = np.array([0.3, 0.1, 0.4, 0.2, 0.35])
    found = stats.contrast([(1.0, mean_metric(values[:, None]))])
    theirs = scipy_stats.ttest_1samp(values, 0.0)
    expected = theirs.confidence_interval(0.95)
    assert found.student is not None
    assert (found.student.low, found.student.high) == pytest.approx((expected.low, expected.high))
    assert found.p_difference == pytest.approx(theirs.pvalue, rel=1e-6)


def test_a_contrast_pairs_seeds_and_units():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(4, 30))
    found = stats.contrast([(1.0, mean_metric(shared + 0.5)), (-1.0, mean_metric(shared))])
    assert found.value == pytest.approx(0.5)
    assert found.interval.width == pytest.approx(0, abs=1e-12)


def test_a_ratio_is_sum_over_sum_also_in_the_bootstrap():
    """Of two units and one kind of seed there are three resamples: both units, or either of them twice."""
    nats, tokens = np.array([[12.0, 1.0]] * 2), np.array([[10.0, 2.0]] * 2)
    ratio = stats.Ratio(nats, tokens)
    assert ratio.per_seed() == pytest.approx([13 / 12, 13 / 12])
    draws = stats._draws([(1.0, ratio)], 2000)
    values, counts = np.unique(draws.round(12), return_counts=True)
    assert values == pytest.approx([1 / 2, 13 / 12, 12 / 10])
    assert counts / 2000 == pytest.approx([1 / 4, 1 / 2, 1 / 4], abs=0.04)


def test_bootstrap_is_the_enumeration_of_all_resamples():
    """Two seeds and two units have 4 x 4 equally likely resamples; their quantiles are the oracle."""
    values = np.array([[0.0, 1.0], [3.0, 7.0]])
    exact = sorted(
        np.mean([values[s, u] for s in seeds for u in units])
        for seeds in itertools.product(range(2), repeat=2)
        for units in itertools.product(range(2), repeat=2)
    )
    draws = stats._draws([(1.0, mean_metric(values))], 20_000)
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        assert np.mean(draws <= np.quantile(exact, share, method="lower")) == pytest.approx(
            np.mean(np.array(exact) <= np.quantile(exact, share, method="lower")), abs=0.015
        )


def test_the_same_input_gives_the_same_answer():
    metric = mean_metric(np.random.default_rng(3).normal(size=(3, 20)))
    assert stats.contrast([(1.0, metric)]) == stats.contrast([(1.0, metric)])


def test_the_wider_interval_is_printed():
    rng = np.random.default_rng(1)
    units_matter = mean_metric(np.tile(rng.normal(size=50), (3, 1)) + 1e-6 * rng.normal(size=(3, 50)))
    seeds_matter = mean_metric(rng.normal(size=(3, 1)) + np.zeros((3, 50)))
    assert stats.contrast([(1.0, units_matter)]).method == "bootstrap"
    assert stats.contrast([(1.0, seeds_matter)]).method == "student"


def test_one_seed_has_an_estimate_and_no_interval():
    found = stats.contrast([(1.0, mean_metric([[1.0, 2.0]]))], margin=1.0)
    assert (found.value, found.interval, found.p_difference, found.p_equivalence) == (1.5, None, None, None)
    assert found.method == "none"


@pytest.mark.parametrize(
    "arguments",
    [
        (np.ones((2, 3)), np.ones((3, 2))),
        (np.ones(3), np.ones(3)),
        (np.ones((0, 3)), np.ones((0, 3))),
        (np.full((1, 1), np.inf), np.ones((1, 1))),
        (np.ones((1, 1)), np.zeros((1, 1))),
    ],
)
def test_impossible_ratios_are_refused(arguments):
    with pytest.raises(ConfigurationError, match="ratio"):
        stats.Ratio(*arguments)


def test_unpaired_metrics_are_refused():
    with pytest.raises(ConfigurationError, match=r"\(2, 3\)"):
        stats.contrast([(1.0, mean_metric(np.ones((2, 3)))), (-1.0, mean_metric(np.ones((3, 3))))])


@given(
    values=st.lists(st.floats(-5, 5), min_size=3, max_size=6),
    margin=st.floats(0.01, 5),
    alpha=st.sampled_from([0.01, 0.05, 0.1]),
)
def test_p_values_and_intervals_agree(values, margin, alpha):
    """TOST at alpha is the (1 - 2 alpha) interval inside the margin; p of 0 is the (1 - alpha) interval without 0."""
    metric = mean_metric(np.asarray(values)[:, None] * np.linspace(0.9, 1.1, 7))
    found = stats.contrast([(1.0, metric)], confidence=1 - alpha, margin=margin, resamples=999)
    if found.p_equivalence <= alpha:
        assert found.equivalence.inside(margin * (1 + 1e-9))
    if found.p_difference <= alpha:
        assert found.student.excludes(0)
        assert found.bootstrap.excludes(0)


# several tests, and words


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, alpha):
    rejected: set[int] = set()
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[index] * (len(p_values) - rank) > alpha:
            break
        rejected.add(index)
    assert {i for i, p in enumerate(stats.holm(p_values)) if p <= alpha} == rejected


@given(st.integers(0, 12), st.integers(0, 12))
def test_sign_test_is_scipys(positive, negative):
    total = positive + negative
    expected = scipy_stats.binomtest(positive, total).pvalue if total else 1.0
    assert stats.sign_test(positive, negative) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "seeds", "p_difference", "p_equivalence", "word"),
    [
        (0.1, 5, 0.01, 0.01, "equivalent"),
        (0.1, 5, 0.01, 0.20, "worse"),
        (-0.1, 5, 0.01, None, "better"),
        (0.1, 5, 0.20, 0.20, "undecided"),
        (0.1, 2, 0.001, 0.001, "undecided"),
        (0.1, 1, None, None, "undecided"),
    ],
)
def test_the_word_follows_the_rule(value, seeds, p_difference, p_equivalence, word):
    found = stats.verdict(value, seeds=seeds, alpha=0.05, p_difference=p_difference, p_equivalence=p_equivalence)
    assert found == word


# coverage


def simulated_coverage(seeds, *, studies, seed_sd, unit_sd, noise_sd, units=100):
    """Share of nominal 95 % intervals that hold the true contrast, 0: seeds and units are both random."""
    rng = np.random.default_rng([seeds, studies])
    covered = 0
    for _ in range(studies):
        values = seed_sd * rng.normal(size=(seeds, 1)) + unit_sd * rng.normal(size=units)
        values = values + noise_sd * rng.normal(size=(seeds, units))
        found = stats.contrast([(1.0, mean_metric(values))], resamples=799)
        covered += not found.interval.excludes(0.0)
    return covered / studies


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_nominal_95_percent_covers_at_least_93_when_seeds_dominate(seeds):
    coverage = simulated_coverage(seeds, studies=4000, seed_sd=1.0, unit_sd=1.0, noise_sd=1.0)
    assert coverage >= 0.93


def test_the_bootstrap_alone_would_not_cover():
    """The reason for Student's t: with five seeds the crossed percentile bootstrap falls short."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(600):
        values = rng.normal(size=(5, 1)) + rng.normal(size=(5, 50))
        found = stats.contrast([(1.0, mean_metric(values))], resamples=799)
        covered += not found.bootstrap.excludes(0.0)
    assert covered / 600 < 0.93


def test_student_alone_would_not_cover_when_units_dominate():
    rng = np.random.default_rng(0)
    student = printed = 0
    for _ in range(400):
        values = rng.normal(size=50) + 0.1 * rng.normal(size=(5, 50))
        found = stats.contrast([(1.0, mean_metric(values))], resamples=799)
        student += not found.student.excludes(0.0)
        printed += not found.interval.excludes(0.0)
    assert student / 400 < 0.5
    assert printed / 400 >= 0.92


def test_a_false_difference_or_equivalence_is_as_rare_as_alpha():
    """Type I errors of both words at their boundary: no difference, and a difference of exactly the margin."""
    rng = np.random.default_rng(5)
    words = {0.0: 0, 1.0: 0}
    for truth in words:
        for _ in range(800):
            values = truth + 0.4 * rng.normal(size=(5, 1)) + 0.1 * rng.normal(size=(5, 30))
            found = stats.contrast([(1.0, mean_metric(values))], margin=1.0, resamples=799)
            wrong = found.p_difference <= 0.05 if truth == 0 else found.p_equivalence <= 0.05
            words[truth] += bool(wrong)
    assert all(count / 800 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 800) for count in words.values())
    assert words[1.0] > 0


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_nan_is_refused_by_name_wherever_it_stands(place):
    values = [0.01, 0.5, 0.2]
    values[place] = float("nan")
    with pytest.raises(ConfigurationError, match=rf"mean_interval\(values\)\[{place}\] is NaN"):
        stats.mean_interval(values)
    with pytest.raises(ConfigurationError, match=rf"holm\(p_values\)\[{place}\] is NaN"):
        stats.holm(values)


@pytest.mark.parametrize("trials", [1, 2, 5, 164, 500, 974])
def test_the_interval_of_all_and_of_none_reaches_the_end(trials):
    assert stats.wilson(trials, trials).high == 1.0
    assert stats.wilson(0, trials).low == 0.0
    assert stats.mean_interval([1.0] * trials).high == 1.0


def test_many_seeds_are_resampled_as_few_are(monkeypatch):
    """Seeds averaged ratio by ratio give what seeds of whole contrasts give, and a tie is a tie in both."""
    rng = np.random.default_rng(5)
    ratios = [stats.Ratio(rng.integers(0, 9, (70, 12)).astype(float), np.full((70, 12), 9.0)) for _ in range(4)]
    terms = list(zip((1.0, -1.0, -1.0, 1.0), ratios, strict=True))
    many = stats.contrast(terms, margin=0.02, resamples=499)
    monkeypatch.setattr(stats, "_SEEDS_AT_ONCE", 100)
    whole = stats.contrast(terms, margin=0.02, resamples=499)
    assert many.bootstrap.low == pytest.approx(whole.bootstrap.low, abs=1e-12)
    assert many.bootstrap.high == pytest.approx(whole.bootstrap.high, abs=1e-12)
    assert many.p_difference == pytest.approx(whole.p_difference, abs=0.005)
    monkeypatch.undo()
    same = stats.contrast([(1.0, ratios[0]), (-1.0, stats.Ratio(ratios[0].numerator, ratios[0].denominator))])
    assert same.p_difference == 1.0
