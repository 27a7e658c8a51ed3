"""When a zygote ends a sample's process: the limits on its processor time, on the clock and on its memory."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final

from trimtab.sandbox import solution, wire

if TYPE_CHECKING:
    import mmap
    import resource

_WEIGHED_S: Final = 0.05  # of CPU time between two looks at how much memory a process has touched


class ProcessWatch:
    """Whether a process has had its time, of the processor or by the clock without using one, or its memory.

    A process that waits for a processor on a busy machine still gets some of it in every stretch of time; one that
    sleeps gets none. Only stretches of the second kind count against the limit by the clock. A process that is one of
    a pair may be waiting for the other, which only the broker can tell; so here it is only noted whether it computed.

    How much memory a process has touched, the kernel says of a child that is stopped, at every tier and without files;
    so one that goes on computing is stopped for a moment now and then.

    Attributes:
        process: Its id.
        busy: Whether a paired process has computed in a stretch that has just ended; None where none has.
        end: Wait status and resources used, once it is over.
    """

    def __init__(self, process: int, job: dict[str, Any], started: float, progress: mmap.mmap) -> None:
        self.process = process
        self._progress = progress
        self._clock = (~process << 3) | 2  # the CPU clock of another process
        self._cpu: float = job["cpu"]
        self._call: float = job["call"]
        self._memory: int = job["memory"]
        self._busy: float = job["busy"]  # the share of a processor below which a process is taken to sleep
        self._latest: float = started + job["latest"]
        self._stretch: float = job["wall"] / wire.STRETCHES
        self._next: float = started + self._stretch
        self._used: float = 0.0
        self._used_before: float = 0.0
        self._weighed: float = 0.0
        self._stopped = self._heavy = False
        self._idle = 0
        self._paired: bool = job["paired"]
        self.busy: bool | None = None
        self.end: tuple[int, resource.struct_rusage] | None = None

    def wait(self) -> float:
        """Return how many seconds may pass until :meth:`over` has to be asked."""
        left = min(self._cpu, self._since() + self._call) - self._used
        return max(0.0, min(left, self._next - time.monotonic(), _WEIGHED_S))

    def _since(self) -> float:
        """Return the CPU time at which the call under way began, by the program's own word, which may only shorten."""
        since: float = solution.PROGRESS.unpack_from(self._progress)[1]
        return since if 0 <= since <= self._cpu else 0.0

    def hear(self) -> bool:
        """Take note of a change in the process; return whether it is over."""
        process, status, usage = os.wait4(self.process, os.WNOHANG | os.WUNTRACED)
        if process and not os.WIFSTOPPED(status):
            self.end = status, usage
        elif process and self._stopped:
            self._stopped = False
            self._heavy = usage.ru_maxrss << 10 > self._memory
            os.kill(self.process, signal.SIGCONT)
        return self.end is not None

    def over(self) -> str:
        """Return "cpu", "call", "wall" or "memory" when that is used up, else nothing."""
        now = time.monotonic()
        with contextlib.suppress(OSError):  # it has just ended
            self._used = time.clock_gettime(self._clock)
        if self._heavy:
            return "memory"
        if self._used >= self._cpu:
            return "cpu"
        if self._used - self._since() >= self._call:
            return "call"
        if self._used - self._weighed >= _WEIGHED_S:
            self._weighed = self._used
            self._stopped = True
            os.kill(self.process, signal.SIGSTOP)
        if now >= self._next:
            computed = self._used - self._used_before >= self._busy * self._stretch
            self._idle += not (computed or self._paired)
            self.busy = computed if self._paired else None
            self._used_before = self._used
            self._next = now + self._stretch
        return "wall" if self._idle >= wire.STRETCHES or now >= self._latest else ""
