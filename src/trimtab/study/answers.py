"""The rows of an answer: what a stress costs a method, and how much more than it costs the control."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from trimtab import stats
from trimtab.errors import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Stressor:
    """A departure from the reference in one factor, or in both at once (the interaction corner)."""

    expert_init: str
    capacity: str
    factors: tuple[str, ...]

    @property
    def label(self) -> str:
        """Return a readable name, such as "expert_init=skewed + capacity=1.0"."""
        return " + ".join(f"{factor}={getattr(self, factor)}" for factor in self.factors)

    @property
    def short(self) -> str:
        """Return the levels alone, such as "skewed + 1.0"."""
        return " + ".join(str(getattr(self, factor)) for factor in self.factors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Degradation:
    """What a stress costs one method on one endpoint.

    ``estimate`` is None where a cell diverged or nothing was measured. ``seeds`` are those it is paired over.
    """

    model: str
    method: str
    stressor: Stressor
    endpoint: str
    seeds: tuple[int, ...]
    estimate: stats.Estimate | None
    diverged: tuple[str, ...]
    missing: tuple[str, ...]
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One row of the answer: a method against the control, under one stress, on one endpoint.

    Attributes:
        model: Level of the factor model.
        method: The balancer the row is about.
        control: The balancer it is compared with.
        stressor: What was done to both.
        endpoint: Name of the endpoint.
        role: "primary" and "secondary" endpoints of the study's contrast are tested; "exploratory" rows are not.
        seeds: Paired seeds: all four cells are there.
        treated: D of the method; None where it has no finite value.
        controlled: D of the control.
        difference: D of the method minus D of the control; positive = the method loses more.
        margin: The study's margin, in the endpoint's unit.
        tests: Size of the Holm family; 0 where nothing is tested.
        p_difference: Holm-adjusted.
        p_equivalence: Holm-adjusted.
        verdict: None where none may be printed.
        reason: Why there is no verdict, or what the reader should know about it.
        ranks: Where a cell diverged, the seeds in which the method lost more, and less, than the control.
        diverged: Cells that diverged.
        missing: What is not there, cell by cell, and why.
        waiting: Seeds of the study of which a cell is still to be run: the row has no word before it has them all.
        cells: Every cell behind the row.
    """

    model: str
    method: str
    control: str
    stressor: Stressor
    endpoint: str
    role: Literal["primary", "secondary", "exploratory"]
    seeds: tuple[int, ...]
    treated: stats.Estimate | None
    controlled: stats.Estimate | None
    difference: stats.Estimate | None
    margin: float | None
    tests: int = 0
    p_difference: float | None = None
    p_equivalence: float | None = None
    verdict: stats.VerdictWord | None = None
    reason: str = ""
    ranks: tuple[int, int] | None = None
    diverged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    waiting: tuple[int, ...] = ()
    cells: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Return the verdict as it is printed."""
        if self.waiting:
            return f"not yet run ({len(self.seeds)} of {len(self.seeds) + len(self.waiting)} seeds)"
        if not self.seeds:
            return "not measured"
        if self.verdict is None:
            return "exploratory"
        if self.verdict == stats.VerdictWord.UNDECIDED and len(self.seeds) < stats.MIN_SEEDS:
            return f"undecided ({counted(len(self.seeds), 'seed')})"
        return self.verdict.value

    def record(self) -> dict[str, Any]:
        """Return the row as plain values."""
        return {**dataclasses.asdict(self), "stressor": self.stressor.label, "words": self.words}
