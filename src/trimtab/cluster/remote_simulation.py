"""Simulated arms as portions of a cluster: a stream under some of the arms each, measured as in one process."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from trimtab.moe.simulate import measures, names
from trimtab.moe.simulate.finished_arms import FinishedArm
from trimtab.moe.simulate.streams import Shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.cluster.portions import PortionHabits, PortionRunner
    from trimtab.moe.simulate.tables import SimulationTable

_WORK: Final = f"{__name__}:run_portion"


def run(
    runner: PortionRunner, habits: PortionHabits, asked: SimulationTable, missing: Sequence[tuple[str, Sequence[int]]]
) -> Iterator[tuple[str, int, FinishedArm]]:
    """Yield (stream, number of the arm, what it did) of every arm that is missing, stream by stream.

    Each portion finds the best bias in hindsight of its stream for itself, so arms are cut apart only as far as the
    cluster has room. How they are cut changes no figure: arms do not hear of each other.

    Args:
        runner: The cluster.
        habits: What a portion needs.
        asked: Everything that was asked for.
        missing: Stream and the numbers of its arms in ``asked.arms()``.

    Raises:
        ClusterError: See :meth:`trimtab.cluster.portions.PortionRunner.run`.
    """
    pieces = max(1, -(-runner.at_once(habits) // max(1, len(missing))))
    cut = [(name, numbers[start::pieces]) for name, numbers in missing for start in range(min(pieces, len(numbers)))]
    portions = [
        (f"stream {name}", {"asked": replace(asked, streams=(name,)), "numbers": list(numbers)})
        for name, numbers in cut
    ]
    for (name, numbers), arms in zip(cut, runner.run(_WORK, portions, habits), strict=True):
        for number, arm in zip(numbers, arms, strict=True):
            yield name, number, arm


def run_portion(asked: SimulationTable, numbers: Sequence[int]) -> list[FinishedArm]:
    """Run some arms of a table of one stream, on a node."""
    (name,) = asked.streams
    every: list[Any] = asked.arms()
    size = Shape(tokens=asked.shape[0], num_experts=asked.shape[1], num_experts_per_tok=asked.shape[2])
    arms = [every[number] for number in numbers]
    cells, traces = measures.run((name, names.stream(name)), size, arms, seeds=asked.seeds, steps=asked.steps)
    return [FinishedArm.of(number, cells, trace, len(asked.seeds)) for number, trace in enumerate(traces)]
