"""Cells of a study as tasks of a Ray cluster: Ray places them and starts lost ones again, the run folder remembers.

There is no scheduler here beside Ray's. A task takes its cell by the same lease as a worker of ``trimtab work``: a cell
that Ray starts twice is run once. The driver holds nothing that the folder does not: when it is killed, the same
command goes on.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trimtab import disk
from trimtab.cluster import connection
from trimtab.errors import ClusterError
from trimtab.study import leases, ray_node, requirements, resources
from trimtab.study.pool import Event
from trimtab.study.run import Summary, as_record, discard_if_corrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trimtab.study.spec import Study
    from trimtab.study.store import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRay:
    """How cells are handed out.

    Attributes:
        address: ``local`` for a Ray of this run's own on this machine, ``auto`` for the one that runs here, else
            HOST:PORT of a cluster's head.
        side_by_side: Cells at the same time; None for as many as the cluster holds.
        patience_s: Seconds without a sign of life after which the cell of a lost worker is taken over. A node that Ray
            knows to be lost loses its cells at once.
        allow_unsandboxed: Whether generated code may run without isolation.
    """

    address: str
    side_by_side: int | None = None
    patience_s: float = 120.0
    allow_unsandboxed: bool = False


def run(
    study: Study,
    folder: RunFolder,
    habits: OnRay,
    *,
    on_event: Callable[[Event | None], None] = lambda _: None,
    on_retry: Callable[[str, str], None] = lambda *_: None,
) -> Summary:
    """Run every cell of ``study`` that has no result yet, on a Ray cluster.

    Args:
        study: The study.
        folder: Where it lives; all nodes see it at the same path.
        habits: Which cluster, how many cells, how patient.
        on_event: Told of progress; None is a tick of the clock.
        on_retry: Told of a cell that was taken over, and of the worker that lost it.

    Raises:
        ClusterError: The cluster cannot be reached, holds no cell, or one of its nodes cannot run the study.
        RunFolderError: The folder holds another study, or another run is working in it.
        MissingExtraError: Ray is not installed.
    """
    requirements.require(study, folder.cache)
    with folder.lock(".driver"), folder.lock(shared=True):
        folder.claim(study.text)
        cells = {cell.id: cell for cell in study.cells()}
        corrupt = tuple(name for name in cells if discard_if_corrupt(folder.cell(name)))
        for name, cell in cells.items():
            folder.cell(name).prepare(name, as_record(study, cell))
        skipped = tuple(name for name in cells if folder.cell(name).result.exists())
        waiting = [name for name in cells if name not in set(skipped)]
        _forget_failures(folder, waiting)
        token = uuid.uuid4().hex
        record = {"token": token, "driver": f"{socket.gethostname()}:{os.getpid()}", "address": habits.address}
        disk.write_atomic(folder.driver, json.dumps(record) + "\n")
        order = ray_node.Order(
            folder=folder.path,
            token=token,
            source=connection.source_digest(),
            patience_s=habits.patience_s,
            allow_unsandboxed=habits.allow_unsandboxed,
        )
        side_by_side = habits.side_by_side or max(1, len(os.sched_getaffinity(0)) // study.training.cores)
        with connection.connected(habits.address, side_by_side * study.training.cores) as ray:
            connection.examine_nodes(ray, *ray_node.examination(order))
            need: dict[str, float] = {
                "num_cpus": study.training.cores,
                "memory": resources.memory_mib(study, folder) * connection.MIB,
                "num_gpus": study.resources.gpus,
            }
            connection.require_room(ray, need)
            handing = _Handing(ray=ray, study=study, folder=folder, order=order, need=need, on_retry=on_retry)
            handing.run(waiting, habits.side_by_side or len(waiting), on_event)
    return Summary(skipped=skipped, done=tuple(handing.done), failed=tuple(handing.failed), corrupt=corrupt)


def _forget_failures(folder: RunFolder, names: Sequence[str]) -> None:
    """Let cells be tried again that failed in an earlier run; one that fails in this run stays failed."""
    earlier = leases.Leases(folder=folder.leases, patience_s=0)
    for name in names:
        lease = earlier.in_force(name)
        if lease is not None and lease.state == leases.FAILED and earlier.take(name, failed_too=True):
            earlier.give_up(name, leases.RELEASED)


@dataclass(slots=True, kw_only=True)
class _Handing:
    """Tasks in flight, and what came of them."""

    ray: Any
    study: Study
    folder: RunFolder
    order: ray_node.Order
    need: dict[str, float]
    on_retry: Callable[[str, str], None]
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _flying: dict[Any, str] = field(default_factory=dict)
    _lease: dict[str, leases.Lease] = field(default_factory=dict)

    def run(self, names: Sequence[str], most: int, on_event: Callable[[Event | None], None]) -> None:
        """Run cells, at most ``most`` in flight."""
        task = self.ray.remote(ray_node.run_cell_here)
        waiting = list(reversed(names))
        while waiting or self._flying:
            while waiting and len(self._flying) < most:
                name = waiting.pop()
                before = leases.highest(self.folder.leases / name)
                options = {**self.need, "name": name, "max_retries": connection.LOST_WORKERS}
                self._flying[task.options(**options).remote(self.order, name, before)] = name
            ready, _ = self.ray.wait(list(self._flying), timeout=1.0)
            for event in self._looked_at():
                on_event(event)
            for ended in ready:
                on_event(self._ended(ended, self._flying.pop(ended)))
            on_event(None)

    def _ended(self, ended: Any, name: str) -> Event:  # noqa: ANN401 - a reference of Ray's
        lost = self.ray.exceptions
        try:
            answer = self.ray.get(ended)
        except (lost.WorkerCrashedError, lost.NodeDiedError, lost.OutOfMemoryError) as error:
            answer = {"state": "failed", "text": f"Ray gave up: {error}"}
        except lost.RayError as error:
            raise ClusterError(f"cell {name} could not be run on the cluster: {error}") from error
        if answer["state"] == "unfit":
            raise ClusterError(f"node {answer['host']}, which came later, cannot run this study: {answer['text']}")
        cell = self.folder.cell(name)
        if answer["state"] == "done":
            self.done.append(name)
        else:
            requirements.require(self.study, self.folder.cache)
            self.failed.append(name)
            if not cell.error.exists():
                disk.write_atomic(cell.error, answer["text"])
        return Event(kind=answer["state"], folder=cell.path, error=answer["text"])

    def _looked_at(self) -> Iterator[Event]:
        """See in the folder how far the running cells are: nodes write there anyway, and the driver may be new."""
        for name in self._flying.values():
            number = leases.highest(self.folder.leases / name)
            before = self._lease.get(name)
            if number and (before is None or before.number != number):
                lease = leases.Leases(folder=self.folder.leases, patience_s=0).in_force(name)
                if lease is None or not lease.worker:
                    continue
                self._lease[name] = lease
                if before is not None:
                    self.on_retry(name, before.worker)
            if number:
                stage, step, steps = self._progress(name)
                yield Event(kind="progress", folder=self.folder.cell(name).path, stage=stage, step=step, steps=steps)

    def _progress(self, name: str) -> tuple[str, int, int]:
        cell, steps = self.folder.cell(name), self.study.training.steps
        if cell.model.exists():
            return "evaluate", 0, 1
        try:
            with cell.train_log.open("rb") as log:
                log.seek(max(0, cell.train_log.stat().st_size - 65536))
                whole = log.read().split(b"\n")[:-1]
            return "train", int(json.loads(whole[-1])["step"]), steps
        except (OSError, IndexError, ValueError):
            return "setup", 0, 1
