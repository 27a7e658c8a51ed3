"""Estimates, intervals and verdicts of a study; NumPy and SciPy only.

Decisions, explained in ``docs/concepts/statistics.md``:

- Every metric is a ratio of sums over units (problems, files, windows): passes over problems, nats over tokens, bits
  over bytes. A resample re-weights units and divides again; it never averages ratios of single units.
- A contrast is a signed sum of such ratios, taken seed by seed. Its interval is the wider of Student's t over the seeds
  and a percentile bootstrap in which seeds and units are resampled independently (crossed). The first is exact when
  seeds dominate, the second sees the sampling of units, which all seeds share and the first therefore misses.
- A p-value is the larger of the two methods' p-values, so a verdict never contradicts the wider interval.
- Equivalence is TOST at level alpha: the (1 - 2 alpha) interval lies inside the margin. Holm adjusts differences and
  equivalences as two families: no row can be both, and one family of both kinds would not control the error rate.
- A status is never NaN: what could not be computed is None.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import bdtr, ndtri, stdtr, stdtrit

from trimtab.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

RESAMPLES: Final = 3999
"""One less than a round number: (B + 1) times a usual tail area is then whole."""

_SEEDS_AT_ONCE: Final = 64  # with more, each ratio of a bootstrap is averaged over resampled seeds by itself

MIN_SEEDS: Final = 3
"""Below this the spread over seeds is not known well enough for any verdict."""


class VerdictWord(StrEnum):
    """What a row of the answer says; "better" and "worse" are the treatment's, relative to the control."""

    EQUIVALENT = "equivalent"
    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A two-sided interval and the confidence it was made for."""

    low: float
    high: float
    confidence: float

    @property
    def width(self) -> float:
        """High minus low."""
        return self.high - self.low

    def inside(self, margin: float) -> bool:
        """Whether it lies strictly within (-margin, margin)."""
        return -margin < self.low and self.high < margin

    def excludes(self, value: float) -> bool:
        """Whether ``value`` is not in it."""
        return not self.low <= value <= self.high


@dataclass(frozen=True, slots=True, eq=False)
class Ratio:
    """A metric as counts: ``numerator`` and ``denominator``, both [seeds, units].

    Raises:
        ConfigurationError: The shapes differ, there is nothing in them, or a seed has nothing to divide by.
    """

    numerator: FloatArray
    denominator: FloatArray
    _replicates: dict[int, FloatArray] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.numerator.ndim != 2 or self.numerator.shape != self.denominator.shape or not self.numerator.size:
            raise ConfigurationError(
                f"a ratio needs two arrays [seeds, units] of one shape, got {self.numerator.shape}"
                f" and {self.denominator.shape}"
            )
        if not (np.isfinite(self.numerator).all() and (self.denominator > 0).all()):
            raise ConfigurationError("a ratio needs finite numerators and positive denominators")

    def per_seed(self) -> FloatArray:
        """Return sum over sum, [seeds]."""
        return np.asarray(self.numerator.sum(axis=1) / self.denominator.sum(axis=1))

    def replicates(self, resamples: int) -> FloatArray:
        """Return the mean over resampled seeds of sum over sum of resampled units, [resamples]; kept.

        The same resamples for every ratio of a shape, so a signed sum of replicates is one of a contrast.
        """
        if resamples not in self._replicates:
            seeds, units = self.numerator.shape
            by_unit, by_seed = _weights(units, resamples, 1), _weights(seeds, resamples, 2)
            total = np.zeros(resamples)
            for start in range(0, seeds, _SEEDS_AT_ONCE):
                part = slice(start, start + _SEEDS_AT_ONCE)
                metrics = by_unit @ self.numerator[part].T
                metrics /= by_unit @ self.denominator[part].T
                total += np.einsum("bs,bs->b", by_seed[:, part], metrics)
            self._replicates[resamples] = total / seeds
        return self._replicates[resamples]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A contrast with everything known about its uncertainty.

    Attributes:
        value: Mean over seeds.
        per_seed: The paired contrast of each seed.
        units: Problems, files or windows each seed was measured on.
        interval: The wider of ``student`` and ``bootstrap``; None with one seed.
        equivalence: The same at confidence 1 - 2 alpha: TOST at alpha asks whether it lies inside the margin.
        student: Student's t over seeds.
        bootstrap: Percentiles over crossed resamples of seeds and units.
        p_difference: Two-sided, of the value 0; None with one seed.
        p_equivalence: TOST's, of a value outside the margin; None without a margin or with one seed.
    """

    value: float
    per_seed: tuple[float, ...]
    units: int
    interval: Interval | None = None
    equivalence: Interval | None = None
    student: Interval | None = None
    bootstrap: Interval | None = None
    p_difference: float | None = None
    p_equivalence: float | None = None

    @property
    def method(self) -> str:
        """Which of the two intervals is the printed one: "student", "bootstrap" or "none"."""
        if self.interval is None:
            return "none"
        return "student" if self.interval == self.student else "bootstrap"


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the unbiased pass@k of one problem: 1 - C(n-c, k) / C(n, k) (arXiv 2107.03374, Eq. 1).

    Args:
        n: Samples drawn.
        c: Samples that passed.
        k: Samples a user would draw.

    Raises:
        ConfigurationError: Not 0 <= c <= n, or not 1 <= k <= n.

    >>> pass_at_k(n=4, c=1, k=2)
    0.5
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ConfigurationError(
            f"pass@k needs 0 <= c <= n and 1 <= k <= n, got n={n}, c={c}, k={k}", hint="draw at least k samples"
        )
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def wilson(successes: float, trials: float, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval of a proportion (J. Am. Stat. Assoc. 22, 1927).

    Raises:
        ConfigurationError: Not 0 <= successes <= trials, or no trial.
    """
    if not 0 <= successes <= trials or trials <= 0:
        raise ConfigurationError(f"a proportion needs 0 <= successes <= trials, got {successes} of {trials}")
    z = float(ndtri(0.5 + confidence / 2))
    share, shrink = successes / trials, 1 + z * z / trials
    center = (share + z * z / (2 * trials)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # At the ends the formula gives exactly 0 and 1, and rounding would leave them just outside.
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == trials else min(1.0, center + half)
    return Interval(low=low, high=high, confidence=confidence)


def mean_interval(values: Sequence[float], *, low: float = 0.0, confidence: float = 0.95) -> Interval:
    """Return an interval of a mean over units, for values that lie within [``low``, 1].

    Wilson's where every value is 0 or 1; else the percentile bootstrap over units, widened to Wilson's score interval
    of the same mean where all values agree, because resampling equal values says nothing.

    Raises:
        ConfigurationError: There is no value, or one is outside or no number; the message names the first of those.
    """
    data = np.asarray(values, dtype=np.float64)
    refuse_nan(data, "mean_interval(values)")
    if not data.size or data.min() < low or data.max() > 1:
        raise ConfigurationError(f"an interval of a mean needs values within [{low:g}, 1], got {list(values)[:5]}")
    scaled = (data - low) / (1 - low)
    if (low == 0 and bool(np.isin(data, (0.0, 1.0)).all())) or data.min() == data.max():
        found = wilson(float(scaled.sum()), float(data.size), confidence)
        return Interval(low=low + found.low * (1 - low), high=low + found.high * (1 - low), confidence=confidence)
    draws = np.sort(_weights(data.size, RESAMPLES, 1) @ data / data.size)
    return percentile_interval(draws, confidence)


def refuse_nan(values: FloatArray, name: str) -> None:
    """Refuse values that are no numbers: a NaN passes every comparison, and is sorted anywhere.

    Raises:
        ConfigurationError: Names the first.
    """
    bad = np.flatnonzero(np.isnan(values))
    if bad.size:
        raise ConfigurationError(f"{name}[{bad[0]}] is NaN, which is no number", hint="a value was not measured")


def contrast(
    terms: Sequence[tuple[float, Ratio]],
    *,
    confidence: float = 0.95,
    margin: float | None = None,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Estimate a signed sum of metrics, paired by seed and by unit.

    A paired difference is ``[(1, a), (-1, b)]``; a difference in differences has four terms.

    Args:
        terms: Sign and metric; row s of every metric is the same seed, column u the same unit.
        confidence: Of the printed interval; alpha is what is left.
        margin: Largest absolute contrast that would not matter, in the metric's unit; None for no equivalence test.
        resamples: Of the bootstrap; fixed random numbers, so the same input gives the same answer.

    Raises:
        ConfigurationError: The metrics do not have one shape.
    """
    shapes = {ratio.numerator.shape for _, ratio in terms}
    if len(shapes) != 1:
        raise ConfigurationError(f"a contrast pairs metrics of one shape [seeds, units], got {sorted(shapes)}")
    seeds, units = shapes.pop()
    per_seed = np.asarray(sum(sign * ratio.per_seed() for sign, ratio in terms))
    value, values = float(per_seed.mean()), tuple(map(float, per_seed))
    if seeds < 2:
        return Estimate(value=value, per_seed=values, units=units)
    draws = _draws(terms, resamples)
    tost = 1 - 2 * (1 - confidence)
    student, bootstrap = student_interval(per_seed, confidence), percentile_interval(draws, confidence)
    return Estimate(
        value=value,
        per_seed=values,
        units=units,
        interval=wider(student, bootstrap),
        equivalence=wider(student_interval(per_seed, tost), percentile_interval(draws, tost)),
        student=student,
        bootstrap=bootstrap,
        p_difference=min(1.0, 2 * max(min(_student_tails(per_seed, 0.0)), min(_draw_tails(draws, 0.0)))),
        p_equivalence=None if margin is None else _p_equivalence(per_seed, draws, margin),
    )


def wider(first: Interval, second: Interval) -> Interval:
    """Return the wider of two intervals, the first if they tie."""
    return second if second.width > first.width else first


def student_interval(per_seed: FloatArray, confidence: float) -> Interval:
    """Return Student's t interval of the mean of ``per_seed`` [at least 2]."""
    n = len(per_seed)
    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * float(per_seed.std(ddof=1)) / math.sqrt(n)
    mean = float(per_seed.mean())
    return Interval(low=mean - half, high=mean + half, confidence=confidence)


def percentile_interval(draws: FloatArray, confidence: float) -> Interval:
    """Return the percentile interval of sorted ``draws``; it excludes 0 exactly when the bootstrap's p says so."""
    tail = max(1, math.floor((len(draws) + 1) * (1 - confidence) / 2 + 1e-9))
    return Interval(low=float(draws[tail - 1]), high=float(draws[-tail]), confidence=confidence)


def _draws(terms: Sequence[tuple[float, Ratio]], resamples: int) -> FloatArray:
    """Return sorted bootstrap replicates, seeds and units resampled independently, [resamples]."""
    seeds, units = terms[0][1].numerator.shape
    if seeds > _SEEDS_AT_ONCE:
        sums = np.asarray(sum(sign * ratio.replicates(resamples) for sign, ratio in terms))
        # What is 0 but for rounding is 0: a tie counts on either side.
        scale = max(float(np.abs(ratio.replicates(resamples)).max()) for _, ratio in terms) or 1.0
        return np.sort(np.round(sums / scale, 13) * scale)
    # One product for all terms: the weights are the large matrix, and reading them is what costs.
    columns = [column for _, ratio in terms for column in (ratio.numerator, ratio.denominator)]
    products = _weights(units, resamples, 1) @ np.concatenate(columns).T
    metrics = products.reshape(resamples, len(terms), 2, seeds)
    signs = np.array([sign for sign, _ in terms])
    values = np.einsum("t,bts->bs", signs, metrics[:, :, 0] / metrics[:, :, 1])
    return np.sort((_weights(seeds, resamples, 2) * values).sum(axis=1) / seeds)


@lru_cache(maxsize=16)
def _weights(size: int, resamples: int, stream: int) -> FloatArray:
    """Return how often each of ``size`` things is drawn, [resamples, size]; the same numbers at every call."""
    rng = np.random.default_rng([stream, size, resamples])
    return rng.multinomial(size, np.full(size, 1 / size), size=resamples).astype(np.float64)


def _student_tails(per_seed: FloatArray, value: float) -> tuple[float, float]:
    """Return P(true mean <= value) and P(true mean >= value) as one-sided p-values."""
    n, distance = len(per_seed), float(per_seed.mean()) - value
    error = float(per_seed.std(ddof=1)) / math.sqrt(n)
    if error == 0:
        return float(distance <= 0), float(distance >= 0)
    below = float(stdtr(n - 1, -distance / error))
    return below, 1 - below


def _draw_tails(draws: FloatArray, value: float) -> tuple[float, float]:
    """Return the same from sorted draws, counting the observed sample as one of them."""
    size = len(draws)
    at_most = int(np.searchsorted(draws, value, side="right"))
    at_least = size - int(np.searchsorted(draws, value, side="left"))
    return min(1.0, (at_most + 1) / (size + 1)), min(1.0, (at_least + 1) / (size + 1))


def _p_equivalence(per_seed: FloatArray, draws: FloatArray, margin: float) -> float:
    """Return TOST's p: the larger of the two one-sided tests against the margins, and of the two methods."""
    return max(
        _student_tails(per_seed, -margin)[0],
        _student_tails(per_seed, margin)[1],
        _draw_tails(draws, -margin)[0],
        _draw_tails(draws, margin)[1],
    )


def sign_test(positive: int, negative: int) -> float:
    """Return the exact two-sided p of as uneven a split of signs; ties are left out by the caller.

    The ranking used where a training diverged: its value is worse than any, and by how much is not known.

    >>> sign_test(6, 0)
    0.03125
    """
    total = positive + negative
    if total == 0:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(positive, negative), total, 0.5)))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return Holm's adjusted p-values in the order given (Scand. J. Stat. 6, 1979).

    Comparing one with alpha is comparing the raw one with alpha / (m - rank + 1), rank by rank until the first failure:
    the interval behind the i-th smallest p has confidence 1 - alpha / (m - i + 1).

    Raises:
        ConfigurationError: A value is no probability; the message names the first.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    refuse_nan(np.asarray(p_values, dtype=np.float64), "holm(p_values)")
    for index, p in enumerate(p_values):
        if not 0 <= p <= 1:
            raise ConfigurationError(f"holm(p_values)[{index}] is {p}, which is no probability")
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)


def verdict(
    value: float,
    *,
    seeds: int,
    alpha: float,
    p_difference: float | None,
    p_equivalence: float | None,
) -> VerdictWord:
    """Return the word for a contrast in which positive means that the treatment loses more than the control.

    Args:
        value: The contrast; only its sign is read.
        seeds: Paired seeds behind it.
        alpha: Level of each test.
        p_difference: Holm-adjusted p of no difference; None if there is none.
        p_equivalence: Holm-adjusted p of a difference outside the margin; None if there is no margin.
    """
    if seeds < MIN_SEEDS:
        return VerdictWord.UNDECIDED
    if p_equivalence is not None and p_equivalence <= alpha:
        return VerdictWord.EQUIVALENT
    if p_difference is not None and p_difference <= alpha and value != 0:
        return VerdictWord.WORSE if value > 0 else VerdictWord.BETTER
    return VerdictWord.UNDECIDED
