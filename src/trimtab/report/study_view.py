"""A study's table as its report looks at it: conditions and methods in a fixed order, worked out once.

A condition is what is done to every method alike. The place of a method is its color.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.report import series
from trimtab.report.document import Link
from trimtab.study.endpoints import HEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from trimtab.report.document import Inline
    from trimtab.report.series import Logs
    from trimtab.study.cell_details import RoutingState
    from trimtab.study.endpoints import Endpoint
    from trimtab.study.table import StudyTable


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodCells:
    """The finished cells of one method in one condition, one a seed."""

    method: str
    series: int
    condition: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Model, initialization and training capacity, and what each method made of them."""

    label: str
    arms: tuple[MethodCells, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyView:
    """What the parts of a report share.

    Attributes:
        table: The study's table.
        logs: Its training logs.
        methods: Treatment, control, then the others.
        conditions: Every combination of model, initialization and training capacity, the reference first.
        values: Cell, endpoint and evaluation capacity → value, where there is one.
    """

    table: StudyTable
    logs: Logs
    methods: tuple[str, ...]
    conditions: tuple[Condition, ...]
    values: Mapping[tuple[str, str, str], float]

    @classmethod
    def of(cls, table: StudyTable) -> StudyView:
        """Look at a table."""
        study, factors = table.study, table.study.factors
        first = (study.contrast.treatment, study.contrast.control)
        methods = (*first, *(str(name) for name in factors["balancer"] if name not in first))
        inits = sorted(map(str, factors["expert_init"]), key=lambda name: name != study.reference.expert_init)
        capacities = sorted(map(str, factors["capacity"]), key=lambda name: name != study.reference.capacity)
        conditions = []
        for model in map(str, factors["model"]):
            for capacity in capacities:
                for init in inits:
                    label = f"{model}: {init}, {capacity}" if len(factors["model"]) > 1 else f"{init}, {capacity}"
                    arms = []
                    for place, method in enumerate(methods):
                        ids = (table.cell_id(model, method, init, capacity, int(seed)) for seed in factors["seed"])
                        done = tuple(name for name in ids if name is not None and name in table.results)
                        arms.append(MethodCells(method=method, series=place, condition=label, cells=done))
                    conditions.append(Condition(label=label, arms=tuple(arms)))
        return cls(
            table=table,
            logs=series.load(table),
            methods=methods,
            conditions=tuple(conditions),
            values={
                (row.cell_id, row.endpoint, row.eval_capacity): row.value for row in table.rows if row.value is not None
            },
        )

    @property
    def arms(self) -> tuple[MethodCells, ...]:
        """Every method in every condition, condition by condition."""
        return tuple(arm for condition in self.conditions for arm in condition.arms)

    def values_of(self, arm: MethodCells, endpoint: Endpoint, capacity: str = HEADLINE) -> list[float]:
        """Return what the cells of an arm measured, one a seed that did."""
        keys = ((name, endpoint.name, capacity) for name in arm.cells)
        return [self.values[key] for key in keys if key in self.values]

    def routing(
        self,
        arm: MethodCells,
        read: Callable[[RoutingState], float | None],
        phase: str,
        capacity: str | None = None,
        layer: int | None = None,
    ) -> float | None:
        """Return the mean of a statistic of routers over the layers and cells of an arm; None of nothing.

        Args:
            arm: The cells.
            read: The statistic.
            phase: When it was measured.
            capacity: Under which evaluation capacity.
            layer: In one layer only.
        """
        found = [
            read(state)
            for name in arm.cells
            for state in self.table.details[name].routing
            if (state.phase, state.eval_capacity) == (phase, capacity) and layer in (None, state.layer)
        ]
        return series.mean([float(value) for value in found if value is not None])

    def links(self, ids: Iterable[str]) -> tuple[Inline, ...]:
        """Return links to results of cells, labeled by seed: one condition of one method a table row."""
        parts: list[Inline] = []
        for name in dict.fromkeys(ids):
            label, target = f"s{self.table.cells[name].factors['seed']}", f"../cells/{name}/result.json"
            parts += [" "] * bool(parts) + [Link(label, target) if name in self.table.results else f"{label} missing"]
        return tuple(parts)

    def grouped_links(self, ids: Iterable[str]) -> tuple[Inline, ...]:
        """Return links to results of several methods and conditions, named group by group."""
        groups: dict[str, list[str]] = {}
        for name in dict.fromkeys(ids):
            levels = self.table.cells[name].factors
            group = f"{levels['balancer']}, {levels['expert_init']}, {levels['capacity']}: "
            groups.setdefault(group, []).append(name)
        parts: list[Inline] = []
        for group, names in groups.items():
            parts += [("; " if parts else "") + group, *self.links(names)]
        return tuple(parts)


def folders(ids: Iterable[str]) -> tuple[Link, ...]:
    """Return links to the folders of these cells, each named by its cell."""
    return tuple(Link(name, f"../cells/{name}/") for name in dict.fromkeys(ids))


def tip(ids: Iterable[str]) -> str:
    """Return the folders of these cells, for a tooltip."""
    return "\n".join(f"cells/{name}" for name in dict.fromkeys(ids))
