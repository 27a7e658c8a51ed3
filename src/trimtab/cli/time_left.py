"""Lines on standard error that say how far a command is and how long it will take."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

import click


@dataclass(slots=True)
class TimeLeft:
    """Counts steps that take about equally long.

    Args:
        total: Steps in all.
        done: Steps that were done when the clock began.
    """

    total: int
    done: int = 0
    _begun: int = -1
    _since: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Remember where the clock began."""
        self._begun = self.done

    def step(self, name: str) -> None:
        """Say that one more step is done."""
        self.reached(name, self.done + 1)

    def reached(self, name: str, done: int) -> None:
        """Say that so many steps are done: each of a few or where somebody looks on, else every hundredth."""
        self.done = done
        if not (sys.stderr.isatty() or done == self.total or done % 100 == 0 or self.total <= 100):
            return
        left = ""
        if self._begun < done < self.total:
            seconds = (time.monotonic() - self._since) * (self.total - done) / (done - self._begun)
            left = f", {seconds / 60:.0f} min left" if seconds > 90 else f", {seconds:.0f} s left"
        click.echo(f"{name}: {done} of {self.total}{left}", err=True)


class TimesLeft:
    """One :class:`TimeLeft` a name; called with a name, steps done and steps in all."""

    def __init__(self) -> None:
        self._lines: dict[str, TimeLeft] = {}

    def __call__(self, name: str, done: int, total: int) -> None:
        """Say how far it is."""
        self._lines.setdefault(name, TimeLeft(total, done)).reached(name, done)
