"""Calls of an untrusted program whose results are wanted, rather than a verdict on them.

What comes back is data and nothing more: a program can return anything, so whoever asks decides what to make of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab.sandbox import codec
from trimtab.sandbox.program_end import ending, over, unanswered
from trimtab.sandbox.verdict import Outcome

if TYPE_CHECKING:
    from trimtab.sandbox.lane import Lane
    from trimtab.sandbox.verdict import Limits

MAX_ANSWER: Final = 1 << 20  # bytes of one result that are read here: parsing multiplies them
Call = tuple[str, Sequence[Any]]  # a name that the program defines, and arguments that are data


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What came of a row of calls.

    Attributes:
        outcome: ``Outcome.PASSED`` when every call was answered, else how the program ended.
        values: The results, as far as there are any; an object that is not data is a ``stand_ins.Handle``.
        detail: Which exception, which signal; empty when all were answered.
        cpu_s: CPU seconds of the program's process: loading and all calls.
        memory_mib: Its peak resident memory.
        output: The beginning of what it printed.
    """

    outcome: Outcome
    values: tuple[Any, ...]
    detail: str = ""
    cpu_s: float = 0.0
    memory_mib: float = 0.0
    output: str = ""


def answers(lane: Lane, program: str, calls: Sequence[Call], limits: Limits) -> Answers:
    """Load ``program`` in a process of its own and make the calls in turn; the first that fails is the last.

    Raises:
        SandboxError: The zygote failed.
        CodecError: An argument is not data.
    """
    encoded = [[name, [codec.encode(arg) for arg in args], {}] for name, args in calls]
    job = lane.start(limits)
    try:
        job.send(codec.dumps({"program": program, "calls": encoded}))
        values: list[Any] = []
        judged: tuple[Outcome, str] | None = None
        while len(values) < len(calls) and judged is None:
            frame = job.take()
            if frame is None:
                break
            judged = _keep(frame, values)
        if judged is not None:
            job.kill()
        report = job.finish()
        if judged is None:
            judged = (Outcome.PASSED, "") if len(values) == len(calls) else ending(job, report, limits)
        return Answers(
            outcome=judged[0],
            detail=judged[1],
            values=tuple(values),
            cpu_s=report.cpu_s,
            memory_mib=round(report.rss_kib / 1024, 1),
            output=job.output,
        )
    finally:
        over(job)


def _keep(frame: bytes, values: list[Any]) -> tuple[Outcome, str] | None:
    """Add the result in a frame to ``values``, or say why there is none."""
    if len(frame) > MAX_ANSWER:
        return Outcome.OUTPUT_LIMIT, f"a result of {len(frame)} bytes"
    try:
        answer = codec.loads(frame)
        if "value" not in answer:
            return unanswered(answer)
        values.append(codec.Decoder(plain=True).decode(answer["value"]))
    except codec.CodecError as error:
        return Outcome.ERROR, f"the result is not plain data: {error}"
    return None
