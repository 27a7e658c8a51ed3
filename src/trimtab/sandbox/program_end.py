"""How a program ended: from a frame that is no answer, and from what the zygote reports of its process."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import SandboxError
from trimtab.sandbox import codec
from trimtab.sandbox.driver import ENDINGS
from trimtab.sandbox.verdict import Outcome, RunVerdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from trimtab.sandbox.job import Job, Report
    from trimtab.sandbox.verdict import Limits

_NEARLY: Final = 0.75  # of the memory limit
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


def ending(job: Job, report: Report, limits: Limits, name: Callable[[int], str] = "call {}".format) -> Judged:
    """Say why a process ended that should not have.

    Args:
        job: The process.
        report: What the zygote says of its end.
        limits: What it might use.
        name: How a call is named in messages, by its number from 1 on; empty where there are no calls to speak of.
    """
    if job.flooded:
        return Outcome.OUTPUT_LIMIT, f"printed more than {limits.output_mib:g} MiB"
    if job.inbox.overflowed:
        return Outcome.OUTPUT_LIMIT, "returned too much"
    outcome, detail = _limit(job, report, limits) or _status(report, limits)
    return outcome, f"{detail}{_where(report, name)}"


def _limit(job: Job, report: Report, limits: Limits) -> Judged | None:
    """Return which limit a process has met, or None."""
    if report.ended == "memory":
        return Outcome.OOM, f"used {report.rss_kib / 1024:.0f} of {limits.memory_mib} MiB"
    if report.ended == "call" and limits.call < limits.cpu_s:
        return Outcome.TIMEOUT_CPU, f"{limits.call:.3g} s of CPU time at once"
    if report.ended in ("call", "cpu") or report.cpu_s >= limits.cpu_s:
        return Outcome.TIMEOUT_CPU, f"{limits.cpu_s:.3g} s of CPU time"
    if report.ended == "wall" or job.stalled:
        idle = f"{limits.wall:.3g} s by the clock without computing, or {limits.latest:.3g} s at all"
        return Outcome.TIMEOUT_WALL, idle
    return None


def _status(report: Report, limits: Limits) -> Judged:
    """Say what a process's own end means."""
    number = report.status & 0x7F
    if report.ended == "killed" and number == signal.SIGKILL:
        return Outcome.ERROR, "the program stopped answering, or answered what is not data"
    if number:
        broke = f"signal {signal.Signals(number).name}"
        # Memory may give out beneath C code, or the kernel end a process for it.
        if report.rss_kib / 1024 > _NEARLY * limits.memory_mib:
            return Outcome.OOM, f"{broke} at {report.rss_kib / 1024:.0f} of {limits.memory_mib} MiB"
        return Outcome.CRASH, broke
    return Outcome.EXIT, f"the program ended itself with status {report.status >> 8}"


def _where(report: Report, name: Callable[[int], str]) -> str:
    """Say in which call a process was when it ended, and which call before it was slower."""
    begun, slowest = (_number(written) for written in report.progress[::2])
    since, longest = report.progress[1::2]
    if not name(begun):
        return ""
    if not begun:
        return " before the first call, while the program was loaded"
    took = report.cpu_s - since
    if not 0 <= took < report.cpu_s or not 0 <= longest <= report.cpu_s or took >= longest:
        return f" in {name(begun)}" + (f", {took:.2g} s of it there" if 0.01 <= took <= report.cpu_s else "")
    return f" in {name(begun)}; the slowest before it was {name(slowest)} with {longest:.2g} s"


def _number(written: float) -> int:
    """Return the number of a call; 0 for what a program wrote in its place."""
    return int(written) if 0 <= written < 1 << 31 else 0


def verdict(job: Job, report: Report, judged: Judged, limits: Limits, oracle: str) -> RunVerdict:
    """Return the verdict on a process that is over; ``oracle`` as in :class:`~trimtab.sandbox.verdict.RunVerdict`."""
    return RunVerdict(
        outcome=judged[0],
        detail=judged[1],
        cpu_s=report.cpu_s,
        memory_mib=round(report.rss_kib / 1024, 1),
        output=job.output,
        oracle=oracle,
        limits=limits,
    )


def over(job: Job) -> None:
    """Make sure that a process is over before its descriptors are given back."""
    if job.report is None:
        with contextlib.suppress(SandboxError):
            job.kill()
            job.finish()
    job.close()
