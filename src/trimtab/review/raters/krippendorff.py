"""Krippendorff's α: how far reviewers agree beyond chance, for any number of them, with missing ratings.

α = 1 − D_o / D_e (Krippendorff, "Computing Krippendorff's alpha-reliability", 2011): observed and expected disagreement
over pairs of ratings of one unit. Its interval is a bootstrap over units, which are what a panel is a sample of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from trimtab.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Metric = Literal["interval", "ordinal", "nominal"]

DRAWS: Final = 2000
CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Alpha:
    """An agreement.

    Attributes:
        value: α; 1 is perfect, 0 what chance gives; None where all ratings are equal, which shows nothing.
        low: Lower end of the 95 % bootstrap interval; None where it cannot be had.
        high: Upper end.
        units: Units with at least two ratings.
        ratings: Their ratings.
        metric: How far apart two ratings are.
    """

    value: float | None
    low: float | None
    high: float | None
    units: int
    ratings: int
    metric: Metric


def alpha(units: Sequence[Sequence[float]], metric: Metric = "interval", *, seed: int = 0, draws: int = DRAWS) -> Alpha:
    """Return the agreement of ratings.

    Args:
        units: The ratings of each unit, in any order, without missing ones; one with fewer than two is left out.
        metric: "interval" takes squared differences, "ordinal" squared differences of ranks, "nominal" equality.
        seed: Of the bootstrap.
        draws: Of the bootstrap.

    Raises:
        EvidenceError: No unit has two ratings.
    """
    rated = [np.asarray(unit, dtype=float) for unit in units if len(unit) >= 2]
    if not rated:
        raise EvidenceError("there is no agreement to measure: no unit has two ratings")
    values = np.unique(np.concatenate(rated))
    coincidences = np.stack([_coincidences(unit, values) for unit in rated])
    whole = _alpha(coincidences.sum(axis=0)[None], values, metric)[0]
    low, high = _interval(coincidences, values, metric, seed, draws)
    return Alpha(
        value=None if np.isnan(whole) else float(whole),
        low=low,
        high=high,
        units=len(rated),
        ratings=sum(map(len, rated)),
        metric=metric,
    )


def _coincidences(unit: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how often each pair of values meets in a unit, pairs of one rating with itself left out: [V, V]."""
    counts = np.array([(unit == value).sum() for value in values], dtype=float)
    pairs = np.outer(counts, counts) - np.diag(counts)
    return pairs / (len(unit) - 1)


def _alpha(tables: NDArray[np.float64], values: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
    """Return α of each table of coincidences, [D, V, V] → [D]; NaN where nothing varies."""
    totals = tables.sum(axis=2)
    number = totals.sum(axis=1)
    distances = _distances(totals, values, metric)
    observed = (tables * distances).sum(axis=(1, 2))
    chance = totals[:, :, None] * totals[:, None, :] * distances
    expected = chance.sum(axis=(1, 2)) / np.maximum(number - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: NDArray[np.float64] = np.where(expected > 0, 1 - observed / expected, np.nan)
    return found


def _distances(totals: NDArray[np.float64], values: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
    """Return squared distances of values: [D, V, V], or [1, V, V] where they do not depend on the totals."""
    if metric == "nominal":
        unequal: NDArray[np.float64] = (values[:, None] != values[None, :]).astype(np.float64)[None]
        return unequal
    if metric == "interval":
        squared: NDArray[np.float64] = ((values[:, None] - values[None, :]) ** 2)[None]
        return squared
    # A rank is the number of ratings below, and half of those that are equal.
    ranks = np.cumsum(totals, axis=1) - totals / 2
    apart: NDArray[np.float64] = (ranks[:, :, None] - ranks[:, None, :]) ** 2
    return apart


def _interval(
    coincidences: NDArray[np.float64], values: NDArray[np.float64], metric: Metric, seed: int, draws: int
) -> tuple[float | None, float | None]:
    units, size = coincidences.shape[0], coincidences.shape[1]
    if units < 2:
        return None, None
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(units, np.full(units, 1 / units), size=draws).astype(float)
    tables = (weights @ coincidences.reshape(units, -1)).reshape(draws, size, size)
    drawn = _alpha(tables, values, metric)
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) < draws / 2:
        return None, None
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
