"""Local worker processes: one cell at a time each, so that a cell's threads are its own.

Workers are started once and imported once; each holds a pipe to the parent. When the parent dies, however it dies, the
pipe closes and the worker ends, so no cell is ever computed twice at the same time. A worker that dies takes down its
cell, not the study.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimtab import isolation
from trimtab.cluster.process_variables import process_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    Work = Callable[[Path, Callable[[str, int, int], None]], None]

_PATIENCE_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """News from a worker: ``kind`` is "progress", "done" or "failed"."""

    kind: str
    folder: Path
    stage: str = ""
    step: int = 0
    steps: int = 0
    error: str = ""


@dataclass(slots=True)
class _WorkerProcess:
    process: Any
    pipe: Any
    gpus: tuple[str, ...] = ()
    folder: Path | None = None


@dataclass(slots=True, kw_only=True)
class Pool:
    """Run ``work`` on folders in ``count`` processes with ``threads`` threads each.

    ``work`` is an importable function of (folder, report) where report takes (stage, step, steps). Of ``gpus`` each
    process sees one group, by the names that ``CUDA_VISIBLE_DEVICES`` takes; without groups it sees what this one does.
    """

    work: Work
    count: int
    threads: int
    gpus: Sequence[tuple[str, ...]] = ()
    _workers: list[_WorkerProcess] = field(default_factory=list)

    def run(self, folders: Sequence[Path]) -> Generator[Event | None]:
        """Yield events until every folder is done or failed; None every half second, for clocks."""
        waiting = list(reversed(folders))
        try:
            while waiting or any(worker.folder for worker in self._workers):
                self._assign(waiting)
                yield from self._events()
        finally:
            self._stop()

    def _assign(self, waiting: list[Path]) -> None:
        while len(self._workers) < min(self.count, len(waiting) + len(self._workers)):
            self._workers.append(self._start())
        for worker in self._workers:
            if worker.folder is None and waiting:
                worker.folder = waiting.pop()
                worker.pipe.send(worker.folder)

    def _start(self) -> _WorkerProcess:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self.work), daemon=True)
        taken = [worker.gpus for worker in self._workers]
        gpus = next((group for group in self.gpus if group not in taken), ())
        seen = {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}
        with process_variables(self.threads, **seen), isolation.Spawning():
            process.start()
        theirs.close()
        return _WorkerProcess(process, ours, gpus)

    def _events(self) -> Iterator[Event | None]:
        busy = {worker.pipe: worker for worker in self._workers if worker.folder}
        ready = connection.wait(list(busy), timeout=_PATIENCE_S)
        if not ready:
            yield None
        for pipe in ready:
            yield self._receive(busy[pipe])

    def _receive(self, worker: _WorkerProcess) -> Event:
        try:
            event: Event = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            self._workers.remove(worker)
            error = f"the worker process ended with exit code {worker.process.exitcode}"
            return Event(kind="failed", folder=worker.folder or Path(), error=error)
        if event.kind != "progress":
            worker.folder = None
        return event

    def _stop(self) -> None:
        """End idle workers by closing their pipe, which lets them clean up; busy ones by a signal."""
        for worker in self._workers:
            worker.pipe.close()
            if worker.folder is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
        self._workers.clear()


def _serve(pipe: Any, work: Work) -> None:  # noqa: ANN401 - multiprocessing gives its connections no public type
    """Worker process: folders in, events out, until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            folder = pipe.recv()
        except EOFError:
            return
        pipe.send(_one(pipe, work, folder))


def _one(pipe: Any, work: Work, folder: Path) -> Event:  # noqa: ANN401 - see _serve
    import traceback  # noqa: PLC0415 - only a failing cell needs it

    def report(stage: str, step: int, steps: int) -> None:
        pipe.send(Event(kind="progress", folder=folder, stage=stage, step=step, steps=steps))

    try:
        work(folder, report)
    except Exception:  # noqa: BLE001 - a failed cell keeps its traceback and must not stop the others
        return Event(kind="failed", folder=folder, error=traceback.format_exc())
    return Event(kind="done", folder=folder)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        time.sleep(0.1)
        os._exit(1)
