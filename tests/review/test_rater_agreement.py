"""Krippendorff's α against its definition, against the published example, and on 500 papers' review scores."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trimtab.errors import EvidenceError
from trimtab.review.rater_agreement import alpha
from trimtab.review.rating_panel import mean_of

# Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), example C: four observers, twelve units.
OBSERVERS = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)
EXAMPLE = [[rating for rating in unit if rating] for unit in zip(*OBSERVERS, strict=True)]


def test_the_published_example():
    assert round(alpha(EXAMPLE).value, 3) == 0.849


def by_definition(units):
    """1 - D_o / D_e over ordered pairs, squared differences."""
    units = [unit for unit in units if len(unit) >= 2]
    ratings = [rating for unit in units for rating in unit]
    observed = sum(sum((a - b) ** 2 for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units) / len(
        ratings
    )
    expected = sum((a - b) ** 2 for a, b in permutations(ratings, 2)) / (len(ratings) * (len(ratings) - 1))
    return 1 - observed / expected if expected else None


UNITS = st.lists(st.lists(st.integers(1, 6), max_size=5), min_size=2, max_size=8)


@settings(max_examples=200, deadline=None)
@given(UNITS)
def test_it_is_its_definition(units):
    assume(any(len(unit) >= 2 for unit in units))
    expected, found = by_definition(units), alpha(units, draws=2).value
    assert found is None if expected is None else math.isclose(found, expected, abs_tol=1e-12)


@settings(max_examples=50, deadline=None)
@given(UNITS, st.integers(1, 5), st.integers(-9, 9))
def test_a_change_of_unit_changes_nothing(units, scale, shift):
    assume(any(len(unit) >= 2 for unit in units))
    moved = [[scale * rating + shift for rating in unit] for unit in units]
    one, other = alpha(units, draws=2).value, alpha(moved, draws=2).value
    assert (one is None and other is None) or math.isclose(one, other, abs_tol=1e-9)


def test_perfect_agreement_chance_and_nothing_to_measure():
    assert alpha([[1, 1, 1], [5, 5], [3, 3, 3]]).value == 1
    generator = np.random.default_rng(1)
    noise = alpha(generator.integers(1, 6, size=(2000, 3)).tolist(), draws=200)
    assert abs(noise.value) < 0.04
    assert noise.low < 0 < noise.high
    assert alpha([[2, 2], [2, 2]]).value is None
    with pytest.raises(EvidenceError, match="no unit has two ratings"):
        alpha([[1], [2], []])


def test_the_interval_covers_at_about_its_rate():
    """The bootstrap over units, on units drawn from a population whose α is known from a large draw."""
    generator = np.random.default_rng(7)

    def draw(units):
        quality = generator.normal(size=units)
        return np.rint(3 + quality[:, None] + generator.normal(size=(units, 4))).clip(1, 5).astype(int).tolist()

    true = alpha(draw(20_000), draws=2).value
    inside = 0
    for _ in range(200):
        found = alpha(draw(80), draws=200)
        inside += found.low <= true <= found.high
    assert 178 <= inside <= 199  # 95 % of 200, give or take what 200 draws and a bootstrap allow


def test_iclr_reviewers_agree_as_published_and_get_no_mean(evidence_data):
    lines = (evidence_data / "iclr_ratings.tsv").read_text().splitlines()[1:]
    units = [[int(float(score)) for score in line.split("\t")[1:8] if score] for line in lines]
    found = alpha(units)
    assert (found.units, found.ratings, round(found.value, 3)) == (500, 1968, 0.354)
    assert (found.low, found.high) == pytest.approx((0.298, 0.405), abs=0.002)
    assert found.low < found.value < found.high < 0.45
    mean, why = mean_of([score for unit in units for score in unit], found)
    assert mean is None
    assert "lower end is under 0.4" in why


def test_one_unit_has_no_interval():
    found = alpha([[1, 2, 4]], draws=50)
    assert (found.low, found.high, found.units) == (None, None, 1)
