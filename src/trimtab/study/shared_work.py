"""Cells of one study taken by any number of workers, on one machine or many, from a run folder that all of them see.

A worker takes a cell by a lease (:mod:`trimtab.study.leases`), runs it from its newest checkpoint, and takes the next.
No worker knows of the others. A worker that was suspended and comes back finds its lease followed by another's, and
stops at the cell's next step; files that it might still be appending to have been put aside by then.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab import disk
from trimtab.errors import RunFolderError
from trimtab.study import leases, requirements, store
from trimtab.study.pool import Event, Pool
from trimtab.study.run import as_record, discard_if_corrupt, is_done, run_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from trimtab.study.spec import Study

PATIENCE_S: Final = 120.0
_SIGNS_IN_PATIENCE: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """Cells that this worker finished, saw failing, and lost to another worker."""

    done: tuple[str, ...]
    failed: tuple[str, ...]
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHabits:
    """How a worker behaves toward the others.

    Attributes:
        patience_s: Seconds without a sign of life after which another worker's cell is taken over. All workers of a
            folder should say the same.
        most: Cells to run before stopping; None for no limit.
        wait: Whether to wait for cells that other workers have, in case they die.
        failed_too: Whether cells that failed are tried again, once.
        tag, is_gone: See :class:`trimtab.study.leases.Leases`.
    """

    patience_s: float = PATIENCE_S
    most: int | None = None
    wait: bool = True
    failed_too: bool = False
    tag: str = ""
    is_gone: Callable[[leases.Lease], bool] = lambda _: False


def work(
    study: Study,
    folder: store.RunFolder,
    habits: WorkerHabits,
    *,
    only: Collection[str] | None = None,
    on_event: Callable[[Event | None], None] = lambda _: None,
) -> Worked:
    """Take cells of ``study`` one after the other until none is left.

    Args:
        study: The study.
        folder: Where it lives; shared by all workers.
        habits: How long to wait for whom.
        only: Ids of the cells to look at; None for all.
        on_event: Told of progress; None is a tick of the clock.

    Raises:
        RunFolderError: The folder holds another study, or ``trimtab run`` works in it alone.
    """
    with folder.lock(shared=True):
        folder.claim(study.text)
        cells = {cell.id: cell for cell in study.cells() if only is None or cell.id in only}
        for name, cell in cells.items():
            folder.cell(name).prepare(name, as_record(study, cell))
        held = leases.Leases(folder=folder.leases, patience_s=habits.patience_s, tag=habits.tag, is_gone=habits.is_gone)
        worker = _LeasedWorker(study, folder, held)
        damaged = {name for name in cells if folder.cell(name).result.exists() and not is_done(folder.cell(name))}
        tried: set[str] = set()
        while habits.most is None or len(worker.done) + len(worker.failed) < habits.most:
            waiting = [name for name in cells if name in damaged or not folder.cell(name).result.exists()]
            taken = worker.take_first([name for name in waiting if name not in tried], failed_too=habits.failed_too)
            if taken is not None:
                worker.run(taken, on_event)
                damaged.discard(taken)
                if taken in worker.failed:
                    tried.add(taken)
            elif habits.wait and worker.others_are_at_work(waiting):
                on_event(None)
                time.sleep(min(1.0, habits.patience_s / _SIGNS_IN_PATIENCE))
            else:
                break
    return Worked(done=tuple(worker.done), failed=tuple(worker.failed), lost=tuple(worker.lost))


class _LeasedWorker:
    """One worker: its leases, and what came of the cells it took."""

    def __init__(self, study: Study, folder: store.RunFolder, held: leases.Leases) -> None:
        self.study, self.folder, self.leases = study, folder, held
        self.done: list[str] = []
        self.failed: list[str] = []
        self.lost: list[str] = []

    def take_first(self, names: Sequence[str], *, failed_too: bool) -> str | None:
        """Return the first cell that could be taken."""
        for name in names:
            if self.leases.take(name, failed_too=failed_too):
                if not is_done(self.folder.cell(name)):
                    return name
                self.leases.give_up(name, leases.RELEASED)  # finished between the look and the lease
        return None

    def others_are_at_work(self, names: Sequence[str]) -> bool:
        """Tell whether a cell without a result may still come from another worker."""
        states = (self.leases.in_force(name) for name in names)
        return any(lease is None or lease.state != leases.FAILED for lease in states)

    def run(self, name: str, on_event: Callable[[Event | None], None]) -> None:
        """Run a cell that is held, with a sign of life in time, and stop at once when it is lost."""
        cell = self.folder.cell(name)
        discard_if_corrupt(cell)
        for path in (cell.samples, cell.verdicts):
            if path.exists():  # whoever had this cell before may come back and append to the file it has open
                shutil.copyfile(path, path.with_name(path.name + ".taken"))
                path.with_name(path.name + ".taken").replace(path)
        every = self.leases.patience_s / _SIGNS_IN_PATIENCE
        next_sign = time.monotonic() + every
        state = leases.RELEASED
        events = Pool(work=run_while_held, count=1, threads=self.study.training.threads).run([cell.path])
        try:
            for event in events:
                on_event(event)
                if event is not None and event.kind == "done":
                    self.done.append(name)
                elif event is not None and event.kind == "failed" and self.leases.is_held(name):
                    # A machine that lost its weights meanwhile would fail every cell that is left.
                    requirements.require(self.study, self.folder.cache)
                    self.failed.append(name)
                    disk.write_atomic(cell.error, event.error)
                    state = leases.FAILED
                elif event is not None and event.kind == "failed":
                    self.lost.append(name)
                elif time.monotonic() >= next_sign:
                    next_sign = time.monotonic() + every
                    if not self.leases.keep(name):
                        self.lost.append(name)
                        break
        finally:
            events.close()
            self.leases.give_up(name, state)


def run_while_held(path: Path, report: Callable[[str, int, int], None]) -> None:
    """Run the cell in folder ``path`` while the lease that is in force now stays in force.

    Raises:
        RunFolderError: Another worker has taken the cell over.
    """
    own = store.RunFolder(path.parent.parent).leases / path.name
    number = leases.highest(own)

    def report_while_held(stage: str, step: int, steps: int) -> None:
        if leases.highest(own) != number:
            raise RunFolderError(f"another worker has taken over {path.name}")
        report(stage, step, steps)

    run_cell(path, report_while_held)
