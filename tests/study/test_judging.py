"""The word of a row among the rows of its family."""

import pytest

from trimtab import stats
from trimtab.study.answers import Answer, Stressor
from trimtab.study.judging import judged

STRESS = Stressor(expert_init="skewed", capacity="tight", factors=("expert_init", "capacity"))


def row(p_difference=0.5, p_equivalence=0.5, *, value=0.1, seeds=5, waiting=()):
    estimate = stats.Estimate(
        value=value, per_seed=(value,) * seeds, units=1, p_difference=p_difference, p_equivalence=p_equivalence
    )
    return Answer(
        model="m",
        method="a",
        control="b",
        stressor=STRESS,
        endpoint="python_loss",
        role="primary",
        seeds=tuple(range(seeds)),
        treated=None,
        controlled=None,
        difference=estimate,
        margin=0.02,
        p_difference=p_difference,
        p_equivalence=p_equivalence,
        waiting=waiting,
    )


def words(*rows):
    return [each.words for each in judged([*rows], 0.05)]


@pytest.mark.parametrize(
    ("alone", "word"),
    [
        (row(0.01), "worse"),
        (row(0.01, value=-0.1), "better"),
        (row(0.5, 0.01), "equivalent"),
        (row(0.01, 0.01), "equivalent"),
        (row(), "undecided"),
        (row(0.01, seeds=2), "undecided (2 seeds)"),
        (row(0.01, waiting=(5,)), "not yet run (5 of 6 seeds)"),
    ],
)
def test_a_row_alone_has_the_word_of_its_tests(alone, word):
    assert words(alone) == [word]


def test_a_row_that_waits_counts_as_a_test_that_failed():
    assert words(row(0.02), row(0.02)) == ["worse", "worse"]
    assert words(row(0.02), row(0.03)) == ["worse", "worse"]  # 0.04, and then 0.03 by itself
    assert words(row(0.03), row(0.001, waiting=(7,)))[0] == "undecided"  # 0.06: what waits has not been rejected
    first, _ = judged([row(0.03), row(0.5)], 0.05)
    assert (first.tests, first.p_difference) == (2, pytest.approx(0.06))
    assert first.reason == "the interval excludes 0, but not after Holm over 2 tests"


def test_differences_and_equivalences_are_adjusted_apart():
    assert words(row(0.02, 0.9), row(0.9, 0.02)) == ["worse", "equivalent"]
    assert words(row(0.03, 0.9), row(0.9, 0.03)) == ["undecided", "undecided"]


def test_a_stress_is_named_by_the_levels_that_depart_from_the_reference():
    assert STRESS.label == "expert_init=skewed + capacity=tight"
    assert STRESS.short == "skewed + tight"
    alone = Stressor(expert_init="skewed", capacity="dropless", factors=("expert_init",))
    assert (alone.label, alone.short) == ("expert_init=skewed", "skewed")
