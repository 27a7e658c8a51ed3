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
        wall_s: Seconds by the clock in which a program may do nothing, a backstop for those that sleep; None is five
            times ``cpu_s``. One that computes whenever it gets a processor has four times as long, so that a busy
            machine does not change verdicts.
        memory_mib: Address space of the process.
        output_mib: Text printed before the sample is ended.
    """

    cpu_s: float = 3.0
    wall_s: float | None = None
    memory_mib: int = 1024
    output_mib: float = 8.0

    @property
    def wall(self) -> float:
        """Seconds by the clock in which nothing is done."""
        return 5 * self.cpu_s if self.wall_s is None else self.wall_s

    @property
    def latest(self) -> float:
        """Seconds by the clock after which any program is ended."""
        return 4 * self.wall


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
    """

    outcome: Outcome
    detail: str = ""
    cpu_s: float = 0.0
    memory_mib: float = 0.0
    output: str = ""
    oracle: str = "data"
