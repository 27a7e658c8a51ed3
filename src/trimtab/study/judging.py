"""The word of each row of a family: adjusted together, withheld where cells are still to be run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from trimtab import stats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.study.answers import Answer


def judged(rows: list[Answer], alpha: float) -> Iterator[Answer]:
    """Adjust one family and give each row its word; a row without a p-value, or not wholly run, was not rejected."""
    p_difference = stats.holm([_p(row, row.p_difference) for row in rows])
    p_equivalence = stats.holm([_p(row, row.p_equivalence) for row in rows])
    for row, different, same in zip(rows, p_difference, p_equivalence, strict=True):
        adjusted = dataclasses.replace(
            row,
            tests=len(rows),
            p_difference=None if row.p_difference is None else different,
            p_equivalence=None if row.p_equivalence is None else same,
        )
        word = None if row.waiting else _word(adjusted, alpha)
        yield dataclasses.replace(adjusted, verdict=word, reason=_remark(row, adjusted, alpha))


def _p(row: Answer, value: float | None) -> float:
    return 1.0 if value is None or row.waiting else value


def _word(row: Answer, alpha: float) -> stats.VerdictWord:
    value = row.difference.value if row.difference else 0.0
    return stats.verdict(
        row.ranks[0] - row.ranks[1] if row.ranks else value,
        seeds=len(row.seeds),
        alpha=alpha,
        p_difference=row.p_difference,
        p_equivalence=row.p_equivalence,
    )


def _absence(row: Answer) -> str:
    """Return why nothing is said."""
    if row.waiting:
        return "its seeds are not all run, so nothing is said"
    return f"no seed has all its cells ({row.missing[0]})" if row.missing else "no cells"


def _remark(raw: Answer, row: Answer, alpha: float) -> str:
    """Return what a reader of the word should know; ``raw`` has the p-values before adjustment."""
    if row.waiting or not row.seeds:
        return _absence(row)
    if row.ranks:
        return (
            f"{len(row.diverged)} diverged or failed, ranking worst: {row.method} loses more in {row.ranks[0]},"
            f" less in {row.ranks[1]} of {len(row.seeds)} seeds"
        )
    if row.difference is None:
        return "the cells were not measured on the same units"
    if len(row.seeds) < stats.MIN_SEEDS:
        return f"under {stats.MIN_SEEDS} seeds the spread over seeds is unknown"
    hints = (
        (row.p_equivalence, raw.p_equivalence, "the TOST interval lies inside the margin"),
        (row.p_difference, raw.p_difference, "the interval excludes 0"),
    )
    for adjusted, nominal, claim in hints:
        if adjusted is not None and nominal is not None and nominal <= alpha:
            return "" if adjusted <= alpha else f"{claim}, but not after Holm over {row.tests} tests"
    return "" if row.margin else "no margin is set, so it cannot be called equivalent"
