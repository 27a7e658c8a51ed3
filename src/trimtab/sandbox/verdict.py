"""What came of one sample: a closed list of outcomes, and the limits it ran under."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Outcome(enum.StrEnum):
    """How a sample ended; only ``PASSED`` counts as solved."""

    PASSED = "passed"
    WRONG = "wrong"  # an assertion about a result does not hold
    ERROR = "error"  # an exception, in the program or from comparing its result
    TIMEOUT_CPU = "timeout_cpu"
    TIMEOUT_WALL = "timeout_wall"
    OUTPUT_LIMIT = "output_limit"  # printed or returned too much
    OOM = "oom"  # MemoryError under the memory limit
    CRASH = "crash"  # ended by a signal
    EXIT = "exit"  # ended itself before the tests were through
    MISSING = "missing"  # no function of the required name
    SYNTAX = "syntax"
    NO_CODE = "no_code"  # nothing but blanks was generated, or a code block ended at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one sample may use.

    Attributes:
        cpu_s: CPU seconds for the whole sample: loading and all calls together. Load on the machine does not count.
        call_s: CPU seconds of loading, and of each call; None is a third of ``cpu_s``, but five seconds where
            ``cpu_s`` has that many. What ends a program that loops, long before the whole is used up.
        wall_s: Seconds by the clock in which a program may do nothing, a backstop for those that sleep; None is three
            times ``call_s``, at least five. One that computes whenever it gets a processor has more, and the more
            the more others want one, so that a busy machine does not change verdicts.
        memory_mib: Memory that the process has touched, at its peak; what it only reserves does not count.
        output_mib: Text printed before the sample is ended. It is read and dropped, so it costs time, not memory.
    """

    cpu_s: float = 15.0
    call_s: float | None = None
    wall_s: float | None = None
    memory_mib: int = 4096
    output_mib: float = 256.0

    @property
    def call(self) -> float:
        """CPU seconds of one call."""
        return max(self.cpu_s / 3, min(self.cpu_s, 5.0)) if self.call_s is None else min(self.call_s, self.cpu_s)

    @property
    def wall(self) -> float:
        """Seconds by the clock in which nothing is done."""
        return max(5.0, 3 * self.call) if self.wall_s is None else self.wall_s

    @property
    def latest(self) -> float:
        """Seconds by the clock after which any program is ended."""
        return 4 * self.wall if self.wall_s is not None else max(60.0, 10 * self.cpu_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunVerdict:
    """The outcome of one sample.

    Attributes:
        outcome: The outcome.
        detail: Which assertion and what came back, which exception, which signal; empty when passed.
        cpu_s: CPU seconds of the program's process.
        memory_mib: Its peak resident memory.
        output: The beginning of what it printed.
        oracle: Who compared: "data" (the broker, results only), "digest" (the same, over many inputs) or "driver" (the
            test code in a process of its own).
        limits: What it might use; None where nothing ran.
    """

    outcome: Outcome
    detail: str = ""
    cpu_s: float = 0.0
    memory_mib: float = 0.0
    output: str = ""
    oracle: str = "data"
    limits: Limits | None = None
