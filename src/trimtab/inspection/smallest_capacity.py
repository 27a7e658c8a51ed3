"""How a setting differs from no limit, text by text, and the smallest capacity whose difference would not matter.

Texts are resampled, the same ones for every setting, so that what is hard about a text cancels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def differences(
    bits: NDArray[np.float64], size: NDArray[np.float64], domains: NDArray[Any], seed: int, resamples: int
) -> dict[str, Any]:
    """Return the rise in bits a byte, over all texts and by domain, with 95 % percentile intervals.

    Args:
        bits: [N] rise of each text, in bits.
        size: [N] bytes that are scored of each text.
        domains: [N] domain of each text.
        seed: Of resampling: the same texts are drawn for every setting.
        resamples: How many draws.
    """
    generator = np.random.default_rng([20_260_030, seed])
    weights = generator.multinomial(len(bits), np.full(len(bits), 1 / len(bits)), size=resamples)
    draws = (weights @ bits) / np.maximum(weights @ size, 1e-9)
    by_domain = {}
    for name in dict.fromkeys(domains.tolist()):
        inside = domains == name
        drawn = (weights[:, inside] @ bits[inside]) / np.maximum(weights[:, inside] @ size[inside], 1e-9)
        by_domain[str(name)] = {"rise": float(bits[inside].sum() / size[inside].sum()), "interval": _interval(drawn)}
    return {"rise": float(bits.sum() / size.sum()), "interval": _interval(draws), "domains": by_domain, "draws": draws}


def _interval(draws: NDArray[np.float64]) -> list[float]:
    return [float(value) for value in np.quantile(draws, (0.025, 0.975))]


def smallest(rows: Sequence[dict[str, Any]], margin: float) -> list[dict[str, Any]]:
    """Return for each kind of setting the smallest factor from which on the rise stays within the margin.

    The interval holds that factor in 95 % of the resamples; None stands for "no factor tried was enough". Only factors
    that were tried can be named, so the true one may lie between two of them.

    Args:
        rows: Settings with what :func:`differences` gives.
        margin: The largest rise in bits a byte that would not matter.
    """
    kinds: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("phase", "composition", "drop_policy", "duplicates"))
        kinds.setdefault(key, []).append(row)
    records = []
    for (phase, composition, policy, duplicates), members in kinds.items():
        ordered = sorted(members, key=lambda row: math.inf if row["factor"] is None else row["factor"])
        factors = np.array([math.inf if row["factor"] is None else row["factor"] for row in ordered])
        inside = np.stack([row["draws"] for row in ordered]) <= margin
        point = _first(np.array([[row["rise"] <= margin] for row in ordered]), factors)[0]
        low, high = np.quantile(_first(inside, factors), (0.025, 0.975), method="closest_observation")
        records.append(
            {
                "phase": phase,
                "composition": composition,
                "drop_policy": policy,
                "duplicates": duplicates,
                "factor": _finite(point),
                "interval": [_finite(low), _finite(high)],
            }
        )
    return records


def _first(inside: NDArray[np.bool_], factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [R] the smallest of ``factors`` [F] from which on ``inside`` [F, R] holds; infinity where none does."""
    holds_on = np.logical_and.accumulate(inside[::-1])[::-1]
    first: NDArray[np.float64] = np.where(holds_on.any(0), factors[holds_on.argmax(0)], math.inf)
    return first


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
