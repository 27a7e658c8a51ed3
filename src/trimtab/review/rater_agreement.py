"""Krippendorff's α: how far reviewers agree beyond chance, for any number of them, with missing ratings.

α = 1 − D_o / D_e (Krippendorff, "Computing Krippendorff's alpha-reliability", 2011): observed and expected disagreement
over pairs of ratings of one unit, here as squared differences. Both come from four sums of each unit: the number of its
ratings m, their sum s, the sum of their squares q, and 2(mq − s²) / (m − 1), its own disagreement. The interval is a
bootstrap over units, which are what a panel is a sample of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from trimtab.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DRAWS: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Alpha:
    """An agreement.

    Attributes:
        value: α; 1 is perfect, 0 what chance gives; None where all ratings are equal, which shows nothing.
        low: Lower end of the 95 % bootstrap interval; None where it cannot be had.
        high: Upper end.
        units: Units with at least two ratings.
        ratings: Their ratings.
    """

    value: float | None
    low: float | None
    high: float | None
    units: int
    ratings: int


def alpha(units: Sequence[Sequence[int]], *, seed: int = 0, draws: int = DRAWS) -> Alpha:
    """Return the agreement of ratings.

    Args:
        units: The ratings of each unit, in any order, without missing ones; one with fewer than two is left out.
        seed: Of the bootstrap.
        draws: Of the bootstrap.

    Raises:
        EvidenceError: No unit has two ratings.
    """
    rated = [np.asarray(unit, dtype=float) for unit in units if len(unit) >= 2]
    if not rated:
        raise EvidenceError("there is no agreement to measure: no unit has two ratings")
    sums = np.array([(len(x), x.sum(), x @ x, 2 * (len(x) * (x @ x) - x.sum() ** 2) / (len(x) - 1)) for x in rated])
    whole = _of_sums(sums.sum(axis=0, keepdims=True))[0]
    low, high = None, None
    if len(rated) > 1:
        weights = np.random.default_rng(seed).multinomial(len(rated), np.full(len(rated), 1 / len(rated)), size=draws)
        drawn = _of_sums(weights @ sums)
        drawn = drawn[~np.isnan(drawn)]
        if len(drawn) >= draws / 2:
            low, high = map(float, np.quantile(drawn, (0.025, 0.975)))
    return Alpha(
        value=None if np.isnan(whole) else float(whole),
        low=low,
        high=high,
        units=len(rated),
        ratings=sum(map(len, rated)),
    )


def _of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return α of sets of units, [D, 4] → [D]; NaN where no rating differs from another."""
    number, total, squares, observed = sums.T
    expected = 2 * (number * squares - total**2) / np.maximum(number - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        alphas: NDArray[np.float64] = np.where(expected > 0, 1 - observed / expected, np.nan)
    return alphas
