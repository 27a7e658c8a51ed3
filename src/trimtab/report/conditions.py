"""How a report sorts and names cells: methods with a fixed color each, training conditions with the reference first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.report.document import Link

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trimtab.report.document import Inline
    from trimtab.study.spec import Study
    from trimtab.study.table import StudyTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What is done to every method alike: model, initialization and training capacity."""

    model: str
    expert_init: str
    capacity: str
    label: str


def methods(study: Study) -> tuple[str, ...]:
    """Return the balancers: treatment, control, then the others. The place is the color."""
    first = (study.contrast.treatment, study.contrast.control)
    return (*first, *(str(name) for name in study.factors["balancer"] if name not in first))


def conditions(study: Study) -> tuple[Condition, ...]:
    """Return every combination of model, initialization and training capacity, the reference first."""
    several = len(study.factors["model"]) > 1
    inits = sorted(map(str, study.factors["expert_init"]), key=lambda name: name != study.reference.expert_init)
    capacities = sorted(map(str, study.factors["capacity"]), key=lambda name: name != study.reference.capacity)
    return tuple(
        Condition(
            model=model,
            expert_init=init,
            capacity=capacity,
            label=f"{model}: {init}, {capacity}" if several else f"{init}, {capacity}",
        )
        for model in map(str, study.factors["model"])
        for capacity in capacities
        for init in inits
    )


def cells(table: StudyTable, condition: Condition, method: str) -> tuple[str, ...]:
    """Return the ids of the finished cells of one method in one condition, one a seed."""
    ids = (
        table.cell_id(condition.model, method, condition.expert_init, condition.capacity, int(seed))
        for seed in table.study.factors["seed"]
    )
    return tuple(name for name in ids if name is not None and name in table.results)


def links(table: StudyTable, ids: Iterable[str]) -> tuple[Inline, ...]:
    """Return links to cell folders, labeled by seed: one condition of one method a table row."""
    parts: list[Inline] = []
    for name in dict.fromkeys(ids):
        label, target = f"s{table.cells[name].factors['seed']}", f"../cells/{name}/result.json"
        parts += [" "] * bool(parts) + [Link(label, target) if name in table.results else f"{label} missing"]
    return tuple(parts)


def grouped_links(table: StudyTable, ids: Iterable[str]) -> tuple[Inline, ...]:
    """Return links to cell folders of several methods and conditions, named group by group."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(ids):
        factors = table.cells[name].factors
        groups.setdefault(f"{factors['balancer']}, {factors['expert_init']}, {factors['capacity']}: ", []).append(name)
    parts: list[Inline] = []
    for group, names in groups.items():
        parts += [("; " if parts else "") + group, *links(table, names)]
    return tuple(parts)


def folders(ids: Iterable[str]) -> tuple[Link, ...]:
    """Return links to the folders of these cells, each named by its cell."""
    return tuple(Link(name, f"../cells/{name}/") for name in dict.fromkeys(ids))


def tip(ids: Iterable[str]) -> str:
    """Return the folders of these cells, for a tooltip."""
    return "\n".join(f"cells/{name}" for name in dict.fromkeys(ids))
