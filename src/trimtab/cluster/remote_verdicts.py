"""Samples judged by a cluster: each node has a sandbox of its own, and every verdict names the one that made it."""

from __future__ import annotations

import atexit
import itertools
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval.judge import JudgeElsewhere, judge
from trimtab.sandbox.broker import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from trimtab.cluster.portions import PortionHabits, PortionRunner
    from trimtab.codeeval.judge import Sample, SampleVerdict
    from trimtab.codeeval.problem import Problem

_WORK: Final = f"{__name__}:judge_portion"
_PORTION: Final = 64
_SAME: Final = ("tier", "profile", "python")


class ClusterJudge(JudgeElsewhere):
    """Judges on the nodes of a cluster, each of which isolates as the driver's sandbox does.

    Args:
        runner: The cluster; its nodes were examined.
        habits: What a portion of samples needs; one program runs at a time in it.
        options: Of :class:`trimtab.sandbox.broker.Sandbox`.
    """

    def __init__(self, runner: PortionRunner, habits: PortionHabits, options: Mapping[str, Any]) -> None:
        self._runner, self._habits, self._options = runner, habits, dict(options)

    def judge(
        self, samples: Iterable[Sample], problems: Iterable[Problem]
    ) -> Iterator[tuple[SampleVerdict, Mapping[str, Any]]]:
        """Yield a verdict for each sample, in the samples' order, and what the sandbox that made it attests."""
        known = {problem.task_id: problem for problem in problems}
        portions = (
            (
                f"verdicts on {len(portion)} samples",
                {
                    "samples": portion,
                    "problems": [known[name] for name in {sample.task_id: None for sample in portion} if name in known],
                    "options": self._options,
                },
            )
            for portion in _cut(samples)
        )
        for attestation, verdicts in self._runner.run(_WORK, portions, self._habits):
            for verdict in verdicts:
                yield verdict, attestation


def _cut(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    waiting = iter(samples)
    while portion := list(itertools.islice(waiting, _PORTION)):
        yield portion


def unfit(options: dict[str, Any], driver: Mapping[str, Any]) -> str:
    """Say why this node cannot judge as the driver would; nothing if it can.

    Args:
        options: See :class:`ClusterJudge`.
        driver: The attestation of the driver's sandbox.

    Raises:
        SandboxError: No sandbox comes up, or a package is not installed.
    """
    with _sandbox(options) as box:
        there = box.attestation
    for name in _SAME:
        if there[name] != driver[name]:
            return f"programs would run there with {name} {there[name]}, here with {name} {driver[name]}"
    return ""


def judge_portion(
    samples: Sequence[Sample], problems: Sequence[Problem], options: dict[str, Any]
) -> tuple[dict[str, Any], list[SampleVerdict]]:
    """Judge samples on a node; return what its sandbox attests, and the verdicts."""
    box = _open_boxes.get(repr(options))
    if box is None:
        box = _open_boxes[repr(options)] = _sandbox(options).__enter__()
        atexit.register(box.close)
    return dict(box.attestation), list(judge(samples, problems, box))


_open_boxes: Final[dict[str, Sandbox]] = {}
"""By their options: starting one and letting it test itself takes longer than judging a sample."""


def _sandbox(options: Mapping[str, Any]) -> Sandbox:
    return Sandbox(**{**options, "workers": 1})
