"""What happened during training, averaged for drawing: over bins of steps, then over seeds.

A line log that cannot be read loses its curve, not the report; the reason is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.disk import read_lines
from trimtab.errors import RunFolderError
from trimtab.study.store import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from trimtab.study.table import StudyTable

_BINS: Final = 60

Point = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerStep:
    """How a layer routed the batch of one step."""

    layer: int
    max_violation: float
    drop_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStep:
    """A line of a training log, as far as it is drawn."""

    step: int
    loss: float
    layers: tuple[LayerStep, ...]


Steps = tuple[TrainingStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """The training log of every finished cell, and why others have none."""

    steps: dict[str, Steps]
    unreadable: dict[str, str]

    def layers(self) -> list[int]:
        """Return the layers that route, in order."""
        return sorted({layer.layer for log in self.steps.values() for layer in log[-1].layers})


def load(table: StudyTable) -> Logs:
    """Read ``train.jsonl`` of every finished cell."""
    steps: dict[str, Steps] = {}
    unreadable: dict[str, str] = {}
    for name in table.results:
        path = RunFolder(table.folder).cell(name).train_log
        try:
            lines = read_lines(path)
            found = tuple(
                TrainingStep(
                    step=line["step"],
                    loss=float(line["loss"]),
                    layers=tuple(
                        LayerStep(
                            layer=layer["layer"],
                            max_violation=float(layer["max_violation"]),
                            drop_rate=float(layer["drop_rate"]),
                        )
                        for layer in line.get("layers", ())
                    ),
                )
                for line in lines
            )
        except RunFolderError as error:
            unreadable[name] = error.message
            continue
        except (KeyError, TypeError, ValueError) as error:
            unreadable[name] = f"{path} holds a line that is no training step: {error!r}"
            continue
        if found:
            steps[name] = found
        else:
            unreadable[name] = f"{path} holds no step"
    return Logs(steps=steps, unreadable=unreadable)


def curve(logs: Iterable[Steps], value: Callable[[TrainingStep], float | None]) -> tuple[Point, ...]:
    """Return (step, mean, lowest, highest) over the logs, which are the seeds of one condition."""
    binned = [_binned(log, value) for log in logs]
    steps = sorted({step for one in binned for step in one})
    points = []
    for step in steps:
        found = [one[step] for one in binned if step in one]
        points.append((step, sum(found) / len(found), min(found), max(found)))
    return tuple(points)


def mean(values: Sequence[float]) -> float | None:
    """Return the mean, None of nothing."""
    return sum(values) / len(values) if values else None


def _binned(log: Steps, value: Callable[[TrainingStep], float | None]) -> dict[float, float]:
    """Return middle of bin → mean, for at most ``_BINS`` bins of equal length."""
    size = max(1, -(-len(log) // _BINS))
    sums: dict[float, list[float]] = {}
    for record in log:
        found = value(record)
        if found is not None:
            start = (record.step - 1) // size * size
            sums.setdefault(start + (size + 1) / 2, []).append(found)
    return {step: sum(found) / len(found) for step, found in sums.items()}
