"""Live progress of a run on standard error: one line a worker and the time left.

The time left is what the remaining steps cost at the rate of the steps seen so far; evaluation counts as the share of a
cell it took in the cells that are finished. On a pipe, one line a finished cell instead.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from trimtab.study.run import unfinished

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from trimtab.study.pool import Event
    from trimtab.study.spec import Study
    from trimtab.study.store import RunFolder


@dataclass(slots=True)
class _Running:
    stage: str
    step: int
    steps: int
    since: float


@dataclass(slots=True)
class Display:
    """A callback for :func:`trimtab.study.run.run` that shows what is going on."""

    study: Study
    folder: RunFolder
    workers: int
    _started: float = field(default_factory=time.monotonic)
    _running: dict[Path, _Running] = field(default_factory=dict)
    _total: int = 0
    _before: int = 0
    _done: int = 0
    _failed: int = 0
    _live: Live | None = None
    _console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    def __enter__(self) -> Self:
        """Start the display."""
        self._total = len(list(self.study.cells()))
        self._before = self._total - len(unfinished(self.study, self.folder))
        if self._console.is_terminal:
            self._live = Live(self._table(), console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: Event | None) -> None:
        """Take one event, or None for a tick of the clock."""
        if event is not None:
            self._take(event)
        if self._live is not None:
            self._live.update(self._table())

    def _take(self, event: Event) -> None:
        if event.kind == "progress":
            known = self._running.get(event.folder)
            since = known.since if known else time.monotonic()
            self._running[event.folder] = _Running(event.stage, event.step, event.steps, since)
            return
        running = self._running.pop(event.folder, None)
        self._done += event.kind == "done"
        self._failed += event.kind == "failed"
        if self._live is None:
            spent = time.monotonic() - running.since if running else 0.0
            finished = f"{self._before + self._done + self._failed}/{self._total}"
            self._console.print(f"{event.kind} {event.folder.name} in {spent:.0f} s ({finished}, {self._left()})")

    def _left(self) -> str:
        """Time left, from the cells finished in this run and the progress of those running."""
        worked = self._done + self._failed + sum(_share(running) for running in self._running.values())
        waiting = self._total - self._before - worked
        if worked < 0.05 * self.workers:
            return "estimating the time left"
        seconds = (time.monotonic() - self._started) * waiting / worked
        return f"about {seconds / 60:.0f} min left" if seconds > 90 else f"about {seconds:.0f} s left"

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        finished = self._before + self._done
        failed = f", {self._failed} failed" if self._failed else ""
        table.add_row(f"[bold]{self.study.name}[/]", f"{finished}/{self._total} cells{failed}", self._left())
        for path, running in self._running.items():
            share = f"{running.step}/{running.steps}" if running.steps > 1 else ""
            table.add_row(path.name, running.stage, share)
        return table


def _share(running: _Running) -> float:
    """How much of a cell is done; training is most of it."""
    weights = {"setup": (0.0, 0.03), "train": (0.03, 0.75), "evaluate": (0.78, 0.22)}
    start, length = weights.get(running.stage, (0.0, 0.0))
    return start + length * running.step / max(running.steps, 1)
