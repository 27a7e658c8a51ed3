"""Run cells: the chain of one cell on one page, and all cells of a study.

Each stage reads the files of the stage before it and writes its own. When ``result.json`` exists the cell is done.
``python -P -m trimtab.study.run CELL_FOLDER`` runs one cell, so that Slurm, Ray or GNU parallel need no code of ours.
"""

from __future__ import annotations

import gc
import resource
import shutil
import socket
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab import disk
from trimtab.errors import RunFolderError, TrimtabError
from trimtab.study import environment, requirements, resources, store
from trimtab.study.pool import Event, Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from trimtab.study.spec import Cell, Study


@dataclass(slots=True)
class Timing:
    """CPU and wall seconds of each stage of a cell: what varies between identical runs."""

    seconds: dict[str, dict[str, float]] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the block as ``name``."""
        cpu, wall = time.process_time(), time.monotonic()
        try:
            yield
        finally:
            spent = {"cpu_s": time.process_time() - cpu, "wall_s": time.monotonic() - wall}
            self.seconds[name] = {key: round(value, 3) for key, value in spent.items()}

    def record(self) -> dict[str, Any]:
        """Return what ``timing.json`` holds."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {"stages": self.seconds, "peak_rss_mib": round(peak, 1), "host": socket.gethostname()}


def run_cell(path: Path, report: Callable[[str, int, int], None] = lambda *_: None) -> None:
    """Run the cell in folder ``path`` from whatever is there to its ``result.json``.

    Raises:
        RunFolderError: ``cell.json`` cannot be read.
        TrimtabError: A stage cannot do what the cell asks, or the sandbox does not hold here.
    """
    # Imported here: a cell needs torch, planning and reading a study do not.
    from trimtab.study import measured as measuring  # noqa: PLC0415

    # Models, gates and hooks hold each other: what the cell before left is freed only by looking for it.
    gc.collect()
    folder, run_folder, timing = store.CellFolder(path), store.RunFolder(path.parent.parent), Timing()
    record = disk.read_json(folder.cell)
    with timing.stage("setup"):
        report("setup", 0, 1)
        prepare, train, measure = _chain(record, allow_unsandboxed=_unsandboxed_is_allowed(run_folder))
        bench = prepare(record, run_folder.cache, report)
        environment.refuse_other_benchmarks(run_folder, bench.benchmarks)
        disk.write_json(run_folder.text, bench.provenance)
        disk.write_json(folder.initialization, bench.changes.record())
    with timing.stage("train"):
        outcome = train(bench, folder, report)
    with timing.stage("evaluate"):
        measured = measuring.CellMeasurements()
        if not outcome["diverged"]:
            measured = measure(bench, folder, report)
        measured.routing[:0] = measuring.train_tail(bench.gates, folder, bench.tokens_of_step)
    disk.write_json(folder.timing, timing.record())
    store.CellResult(
        cell_id=path.name,
        factors=record["factors"],
        outcome="diverged" if outcome["diverged"] else "completed",
        training={key: outcome[key] for key in ("steps", "tokens", "parameters")},
        **measured.fields(),
    ).write(folder.result)
    shutil.rmtree(folder.checkpoint, ignore_errors=True)
    if not _is_kept(record):
        shutil.rmtree(folder.model, ignore_errors=True)
    folder.error.unlink(missing_ok=True)


def _chain(record: Mapping[str, Any], *, allow_unsandboxed: bool) -> tuple[Any, Any, Any]:
    """Return how a cell of this kind is prepared, trained and measured."""
    if record["settings"]["model"]["preset"] == "upcycled":
        from trimtab.study import pretrained_cells  # noqa: PLC0415

        measure = partial(pretrained_cells.measure, allow_unsandboxed=allow_unsandboxed)
        return pretrained_cells.prepare, pretrained_cells.train, measure
    from trimtab.study import evaluate, stages  # noqa: PLC0415

    return stages.prepare, stages.train, partial(evaluate.measure, allow_unsandboxed=allow_unsandboxed)


def _is_kept(record: Mapping[str, Any]) -> bool:
    """Tell whether the trained model stays: experts of a pretrained one fill a disk, and can be trained again."""
    return bool(record["settings"]["model"]["preset"] != "upcycled")


def _unsandboxed_is_allowed(folder: store.RunFolder) -> bool:
    """Tell what the user said when this run was started; a cell run by itself was allowed nothing."""
    return folder.environment.exists() and bool(disk.read_json(folder.environment)["allow_unsandboxed"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run did: cell ids that were already there, finished now, failed now, and files found corrupt."""

    skipped: tuple[str, ...]
    done: tuple[str, ...]
    failed: tuple[str, ...]
    corrupt: tuple[str, ...]


def run(
    study: Study,
    folder: store.RunFolder,
    *,
    workers: int | None = None,
    on_event: Callable[[Event | None], None] = lambda _: None,
) -> Summary:
    """Run every cell of ``study`` that has no result yet.

    Args:
        study: The study.
        folder: Where it lives; created, or continued if it holds the same study.
        workers: Processes; by default as many as cores, memory and GPUs hold.
        on_event: Told of progress; None is a tick of the clock.

    Raises:
        RunFolderError: The folder holds another study, or another run is working in it.
        TrimtabError: What every cell needs is not here (:func:`trimtab.study.requirements.require`), before the first
            or since: no cell is said to have failed for it.
    """
    requirements.require(study, folder.cache)
    with folder.lock():
        folder.claim(study.text)
        cells = {cell.id: cell for cell in study.cells()}
        corrupt = tuple(name for name in cells if discard_if_corrupt(folder.cell(name)))
        for name, cell in cells.items():
            folder.cell(name).prepare(name, as_record(study, cell))
        skipped = tuple(name for name in cells if folder.cell(name).result.exists())
        waiting = [name for name in cells if name not in skipped]
        done, failed = _run_all(study, folder, waiting, workers or resources.workers_here(study), on_event)
    return Summary(skipped=skipped, done=tuple(done), failed=tuple(failed), corrupt=corrupt)


def unfinished(study: Study, folder: store.RunFolder) -> list[str]:
    """Return the ids of the cells of ``study`` that have no sound result yet."""
    return [cell.id for cell in study.cells() if not is_done(folder.cell(cell.id))]


def as_record(study: Study, cell: Cell) -> dict[str, Any]:
    """Return what ``cell.json`` holds."""
    return {"study": study.name, "factors": dict(cell.factors), "settings": dict(cell.settings)}


def _run_all(
    study: Study,
    folder: store.RunFolder,
    waiting: list[str],
    workers: int,
    on_event: Callable[[Event | None], None],
) -> tuple[list[str], list[str]]:
    done: list[str] = []
    failed: list[str] = []
    gpus = resources.gpus_here() if study.resources.gpus else []
    pool = Pool(
        work=run_cell,
        count=workers,
        threads=study.training.threads,
        gpus=[tuple(gpus[at : at + study.resources.gpus]) for at in range(0, len(gpus), study.resources.gpus or 1)],
    )
    with closing(pool.run([folder.cell(name).path for name in waiting])) as events:
        for event in events:
            if event is not None and event.kind == "done":
                done.append(event.folder.name)
            if event is not None and event.kind == "failed":
                # Weights that were removed meanwhile would fail every cell that is left, and each would rank worst.
                requirements.require(study, folder.cache)
                failed.append(event.folder.name)
                disk.write_atomic(store.CellFolder(event.folder).error, event.error)
            on_event(event)
    return done, failed


def is_done(folder: store.CellFolder) -> bool:
    """Tell whether a cell has a result that can be read."""
    try:
        return folder.result.exists() and store.CellResult.read(folder.result) is not None
    except RunFolderError:
        return False


def discard_if_corrupt(folder: store.CellFolder) -> bool:
    """Move an unreadable result or cell description aside, so that only this cell is redone."""
    found = False
    for path, read in ((folder.cell, disk.read_json), (folder.result, store.CellResult.read)):
        try:
            if path.exists():
                read(path)
        except RunFolderError:
            path.replace(path.with_name(path.name + ".corrupt"))
            found = True
    return found


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -P -m trimtab.study.run CELL_FOLDER")
    try:
        run_cell(Path(sys.argv[1]).resolve())
    except TrimtabError as error:
        raise SystemExit(f"error: {error}") from error
