"""How a program ended: from a frame that is no answer, and from what the zygote reports of its process."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import SandboxError
from trimtab.sandbox import codec
from trimtab.sandbox.driver import ENDINGS
from trimtab.sandbox.verdict import Outcome

if TYPE_CHECKING:
    from trimtab.sandbox.lane import Job, Report
    from trimtab.sandbox.verdict import Limits

_NEARLY: Final = 0.75  # of the memory limit, which counts address space while use is counted in resident pages
Judged = tuple[Outcome, str]
_ENDS: Final = {
    "syntax": Outcome.SYNTAX,
    "error": Outcome.ERROR,
    "exit": Outcome.EXIT,
    "oom": Outcome.OOM,
    "missing": Outcome.MISSING,
    "output_limit": Outcome.OUTPUT_LIMIT,
}


def unanswered(answer: dict[str, Any]) -> Judged:
    """Say what a frame without a value means."""
    if "raise" in answer:
        name, text = codec.pair(answer["raise"])
        if name == "MemoryError":
            return Outcome.OOM, f"{name}: {text}"
        return (Outcome.EXIT if name in ENDINGS else Outcome.ERROR), f"{name}: {text}"
    kind, text = codec.pair(answer.get("end"))
    return _ENDS.get(kind, Outcome.ERROR), text


def ending(job: Job, report: Report, limits: Limits) -> Judged:
    """Say why a process ended that should not have."""
    if job.flooded or job.inbox.overflowed:
        return Outcome.OUTPUT_LIMIT, "printed or returned too much"
    if report.ended == "cpu" or report.cpu_s >= limits.cpu_s:
        return Outcome.TIMEOUT_CPU, f"{limits.cpu_s:g} s of CPU time"
    if report.ended == "wall" or job.stalled:
        return Outcome.TIMEOUT_WALL, f"{limits.wall:g} s by the clock without computing, or {limits.latest:g} s at all"
    number = report.status & 0x7F
    if report.ended == "killed" and number == signal.SIGKILL:
        return Outcome.ERROR, "the program stopped answering, or answered what is not data"
    if number:
        return _crash(report, limits, number)
    return Outcome.EXIT, f"the program ended itself with status {report.status >> 8}"


def _crash(report: Report, limits: Limits, number: int) -> Judged:
    """Tell a program that broke from one whose memory gave out beneath C code, or that the kernel ended for it."""
    used = report.rss_kib / 1024
    said = f"signal {signal.Signals(number).name}"
    if used > _NEARLY * limits.memory_mib:
        return Outcome.OOM, f"{said} at {used:.0f} of {limits.memory_mib} MiB"
    return Outcome.CRASH, said


def over(job: Job) -> None:
    """Make sure that a process is over before its descriptors are given back."""
    if job.report is None:
        with contextlib.suppress(SandboxError):
            job.kill()
            job.finish()
    job.close()
