"""What a table needs of a finished cell: sums of every endpoint, and the counts per unit that intervals are made from.

A cell's result has some thousand small lists. A table of ten thousand cells holds these arrays instead: one sum an
endpoint and evaluation capacity, and the units of the headline evaluation. Counts are read in bulk; where an array is
not what it should be, :meth:`~trimtab.study.endpoints.Endpoint.counts` reads them again, unit by unit, and says what is
wrong. So both ways accept the same files and give the same numbers, to the last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trimtab.study.endpoints import DESCRIPTIVE, ENDPOINTS, HEADLINE, Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trimtab.study.store import CellResult

MEASURED: Final = (*ENDPOINTS.values(), *DESCRIPTIVE)
"""Every endpoint a table has rows of, in their order."""


@dataclass(frozen=True, slots=True, eq=False)
class UnitCounts:
    """Counts of one endpoint, dropless: ``pairs`` [U, 2] of numerator and denominator, and the name of each unit."""

    names: tuple[str, ...]
    pairs: NDArray[np.float64]


NOTHING: Final = UnitCounts(names=(), pairs=np.empty((0, 2)))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CellCounts:
    """What a table knows of one finished cell.

    Attributes:
        outcome: "completed" or "diverged".
        absent: Benchmark → why it was not measured.
        sums: Endpoint and evaluation capacity → numerator, denominator and units, in the order of a table's rows.
        units: Endpoint → counts per unit, dropless; absent where it was not measured.
    """

    outcome: str
    absent: Mapping[str, str]
    sums: Mapping[tuple[str, str], tuple[float, float, int]]
    units: Mapping[str, UnitCounts]

    @classmethod
    def of(cls, result: CellResult, names: dict[tuple[str, ...], tuple[str, ...]] | None = None) -> CellCounts:
        """Count a result.

        Args:
            result: Of the cell.
            names: Names of units that other cells have, to be shared; None for none.

        Raises:
            RunFolderError: A count is not one; the message says which.
            AttributeError, TypeError, ValueError: A part of the result has another shape.
        """
        shared = {} if names is None else names
        sums, units = {}, {}
        for endpoint in MEASURED:
            for capacity in endpoint.capacities(result):
                found = _read(endpoint, result, capacity)
                # Added one after the other, as counts that were read unit by unit are.
                numerator, denominator = (sum(column) for column in found.pairs.T.tolist()) if found.names else (0, 0)
                sums[endpoint.name, capacity] = (numerator, denominator, len(found.names))
                if capacity == HEADLINE and found.names:
                    units[endpoint.name] = UnitCounts(shared.setdefault(found.names, found.names), found.pairs)
        return cls(outcome=result.outcome, absent=result.absent, sums=sums, units=units)


def _read(endpoint: Endpoint, result: CellResult, capacity: str) -> UnitCounts:
    table = endpoint.units(result, capacity)
    pairs = _in_bulk(endpoint.unit, table)
    if pairs is None:
        counts = endpoint.counts(result, capacity)
        pairs = np.array(list(counts.values()), dtype=np.float64).reshape(-1, 2)
    return UnitCounts(tuple(table), pairs)


def _in_bulk(unit: str, table: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """Return the counts [U, 2] of units that are all in order; None where one may not be."""
    try:
        records = np.array(list(table.values()))
    except ValueError:  # of different lengths
        return None
    columns = 3 if unit in {"nats/token", "bits/byte"} else 2
    kinds = "i" if unit == "pass@1" else "if"
    if records.ndim != 2 or records.shape[1] != columns or records.dtype.kind not in kinds:
        return None
    first, second = records[:, 0], records[:, 1]
    if unit == "pass@1":
        sound = (second >= 0) & (second <= first) & (first >= 1) & (first < 2**53)
        pairs = np.stack([1.0 - (first - second) / np.maximum(first, 1), np.ones(len(first))], axis=1)
    elif unit == "share":
        sound = (first >= 0) & (first <= second)
        pairs = records.astype(np.float64)
    else:
        sound = np.ones(len(first), dtype=bool)
        pairs = np.stack([first, second] if unit == "nats/token" else [first / math.log(2), records[:, 2]], axis=1)
        pairs = pairs.astype(np.float64)
    in_order = bool(sound.all() and np.isfinite(pairs).all() and (pairs[:, 1] > 0).all())
    return pairs if in_order else None
