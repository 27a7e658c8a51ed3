"""What a study concludes from: how each endpoint is read out of a cell's counts, its unit and which way is worse.

An endpoint is a ratio of sums over units, so it is read as a numerator and a denominator per unit and never as a score.
"Dropless" is the headline evaluation; the other evaluation capacities stand beside it, never mixed with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from trimtab.errors import RunFolderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trimtab.study.store import CellResult

HEADLINE: Final = "dropless"

Counts = dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One quantity a cell is measured by.

    Attributes:
        name: As in a study file.
        title: As in a report.
        benchmark: Its key in a cell's result.
        unit: Of its value.
        lower_is_better: Direction; a degradation is positive when a stress makes it worse.
        source: The part of the result it is counted in.
    """

    name: str
    title: str
    benchmark: str
    unit: str
    lower_is_better: bool
    source: Literal["losses", "passes", "ranking"]

    @property
    def harm(self) -> float:
        """Return the sign that turns an increase into harm."""
        return 1.0 if self.lower_is_better else -1.0

    def capacities(self, result: CellResult) -> tuple[str, ...]:
        """Return the evaluation capacities it was measured at, the headline first."""
        if self.source == "ranking":
            return (HEADLINE,) if result.ranking.get(self.benchmark) else ()
        found = _part(result, self.source).get(self.benchmark, {})
        return tuple(sorted(found, key=_looseness))

    def counts(self, result: CellResult, capacity: str = HEADLINE) -> Counts:
        """Return unit → (numerator, denominator); empty if it was not measured.

        Raises:
            RunFolderError: A count is not one; the message says which.
        """
        read = _READERS[self.unit]
        counts: Counts = {}
        for unit, record in self.units(result, capacity).items():
            try:
                counts[unit] = read(record)
            except (TypeError, ValueError, ArithmeticError) as error:
                raise RunFolderError(
                    f"{result.cell_id}: {self.source}.{self.benchmark}.{capacity}[{unit!r}] is {record!r},"
                    " which is not a count",
                    hint="delete this cell's result.json and run the study again: one cell is redone",
                ) from error
        return counts

    def units(self, result: CellResult, capacity: str = HEADLINE) -> Mapping[str, Any]:
        """Return unit → what was recorded of it, unread; empty if it was not measured."""
        table = _part(result, self.source).get(self.benchmark, {})
        recorded: Mapping[str, Any] = table if self.source == "ranking" else table.get(capacity, {})
        return recorded


def unigram(endpoint: Endpoint, result: CellResult) -> float | None:
    """Return what the unigram distribution of the training text scores on the same text; None where there is none.

    Raises:
        RunFolderError: A count is not one.
    """
    nats, counts = result.unigram.get(endpoint.benchmark, {}), endpoint.counts(result)
    shared = nats.keys() & counts.keys()
    if endpoint.source != "losses" or not shared:
        return None
    total = sum(nats[unit] for unit in sorted(shared)) / sum(counts[unit][1] for unit in sorted(shared))
    return total / math.log(2) if endpoint.unit == "bits/byte" else total


def _part(result: CellResult, source: str) -> Mapping[str, Any]:
    part: Mapping[str, Any] = getattr(result, source)
    return part


def _looseness(capacity: str) -> tuple[float, str]:
    """Sort dropless first, then from wide to tight; behind the factor may stand how batches were made."""
    return (-math.inf if capacity == HEADLINE else -float(capacity.split(maxsplit=1)[0])), capacity


def _per_token(record: list[float]) -> tuple[float, float]:
    nats, tokens, _ = record
    return _positive(nats, tokens)


def _per_byte(record: list[float]) -> tuple[float, float]:
    nats, _, size = record
    return _positive(nats / math.log(2), size)


def _passes(record: list[int]) -> tuple[float, float]:
    from trimtab.stats import pass_at_k  # noqa: PLC0415 - SciPy, which nothing else here needs

    n, c = record
    return pass_at_k(n, c, 1), 1.0


def _wins(record: list[int]) -> tuple[float, float]:
    wins, pairs = record
    if not 0 <= wins <= pairs:
        raise ValueError
    return _positive(wins, pairs)


def _positive(numerator: float, denominator: float) -> tuple[float, float]:
    if not (math.isfinite(numerator) and 0 < denominator < math.inf):
        raise ValueError
    return float(numerator), float(denominator)


_READERS: Final[dict[str, Callable[[Any], tuple[float, float]]]] = {
    "nats/token": _per_token,
    "bits/byte": _per_byte,
    "pass@1": _passes,
    "share": _wins,
}

ENDPOINTS: Final = {
    endpoint.name: endpoint
    for endpoint in (
        Endpoint(
            name="python_loss",
            title="held-out Python loss",
            benchmark="python",
            unit="nats/token",
            lower_is_better=True,
            source="losses",
        ),
        Endpoint(
            name="humaneval_nll",
            title="HumanEval solutions, NLL",
            benchmark="humaneval",
            unit="bits/byte",
            lower_is_better=True,
            source="losses",
        ),
        Endpoint(
            name="mbpp_nll",
            title="MBPP solutions, NLL",
            benchmark="mbpp-sanitized",
            unit="bits/byte",
            lower_is_better=True,
            source="losses",
        ),
        Endpoint(
            name="prequential_loss",
            title="Python loss before learning",
            benchmark="prequential",
            unit="nats/token",
            lower_is_better=True,
            source="losses",
        ),
        Endpoint(
            name="late_loss",
            title="Python loss before learning, last half",
            benchmark="prequential late",
            unit="nats/token",
            lower_is_better=True,
            source="losses",
        ),
        Endpoint(
            name="humaneval_pro_nll",
            title="HumanEval Pro second solutions, NLL",
            benchmark="humaneval-pro",
            unit="bits/byte",
            lower_is_better=True,
            source="losses",
        ),
        Endpoint(
            name="mbpp_pro_nll",
            title="MBPP Pro second solutions, NLL",
            benchmark="mbpp-pro",
            unit="bits/byte",
            lower_is_better=True,
            source="losses",
        ),
        Endpoint(
            name="humaneval_pro_drop",
            title="HumanEval Pro over HumanEval, NLL",
            benchmark="humaneval-pro drop",
            unit="bits/byte",
            lower_is_better=True,
            source="losses",
        ),
        Endpoint(
            name="mbpp_pro_drop",
            title="MBPP Pro over MBPP, NLL",
            benchmark="mbpp-pro drop",
            unit="bits/byte",
            lower_is_better=True,
            source="losses",
        ),
        Endpoint(
            name="humaneval_pass1",
            title="HumanEval pass@1 on chosen problems",
            benchmark="humaneval",
            unit="pass@1",
            lower_is_better=False,
            source="passes",
        ),
        Endpoint(
            name="mbpp_pass1",
            title="MBPP pass@1 on chosen problems",
            benchmark="mbpp-sanitized",
            unit="pass@1",
            lower_is_better=False,
            source="passes",
        ),
        Endpoint(
            name="micro_pass1",
            title="micro-benchmark pass@1",
            benchmark="micro",
            unit="pass@1",
            lower_is_better=False,
            source="passes",
        ),
        Endpoint(
            name="micro_pro_pass1",
            title="self-invoking micro pass@1",
            benchmark="micro-pro",
            unit="pass@1",
            lower_is_better=False,
            source="passes",
        ),
    )
}
"""Those a study file may name."""

_RANKED: Final = (
    ("humaneval", "HumanEval", "humaneval"),
    ("mbpp", "MBPP", "mbpp-sanitized"),
    ("humaneval_pro", "HumanEval Pro", "humaneval-pro"),
    ("mbpp_pro", "MBPP Pro", "mbpp-pro"),
)
DESCRIPTIVE: Final = tuple(
    Endpoint(
        name=f"{name}_ranking",
        title=f"{title} solution over mutants",
        benchmark=benchmark,
        unit="share",
        lower_is_better=False,
        source="ranking",
    )
    for name, title, benchmark in _RANKED
)
"""Measured and tabulated, never concluded from."""
