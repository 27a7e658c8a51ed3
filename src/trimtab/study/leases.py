"""Who works on which cell of a shared run folder: leases that a dead worker loses.

``leases/CELL/`` holds files 1.json, 2.json, …; the highest number is the lease in force. Taking a cell is creating the
next number, which the file system lets exactly one worker do. A holder writes a growing count into its file. A lease
whose count has not grown for ``patience_s`` is dead, and may be followed by the next number. A holder that sees a
higher number has lost the cell.

No clock is compared with another machine's: each worker measures on its own monotonic clock how long it has seen the
same count. Clocks that are wrong or jump change nothing, and a worker that slept sees a lease as dead no sooner.
"""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from trimtab import disk
from trimtab.errors import RunFolderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUNNING: Final = "running"
FAILED: Final = "failed"
RELEASED: Final = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The lease in force of a cell.

    Attributes:
        number: Counts the workers that have had this cell, from 1.
        worker: Host and process id of the holder, for people.
        count: Grows while the holder lives.
        state: "running", "failed" (its error stands in the cell's folder) or "released" before the cell was done.
        tag: What a cluster calls the place where the holder runs; empty without one.
    """

    number: int
    worker: str
    count: int
    state: str
    tag: str = ""


@dataclass(slots=True, kw_only=True)
class Leases:
    """The leases of a run folder as one worker sees them.

    Args:
        folder: ``leases`` of the run folder; made when the first cell is taken.
        patience_s: Seconds without a sign of life after which a lease is dead.
        clock: Monotonic seconds.
        tag: Written into each lease that is taken.
        is_gone: Tells of a lease with a tag whether the cluster knows its holder to be lost; it is dead at once.
    """

    folder: Path
    patience_s: float
    clock: Callable[[], float] = time.monotonic
    worker: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}")
    tag: str = ""
    is_gone: Callable[[Lease], bool] = lambda _: False
    _held: dict[str, Lease] = field(default_factory=dict)
    _seen: dict[str, tuple[Lease, float]] = field(default_factory=dict)

    def in_force(self, cell_id: str) -> Lease | None:
        """Return the lease of a cell; None when nobody has had it.

        Raises:
            RunFolderError: Its file cannot be read.
        """
        number = highest(self.folder / cell_id)
        if not number:
            return None
        # A file that has just been created may still be empty: its holder has not yet written its first count.
        path = self.folder / cell_id / f"{number}.json"
        if path.stat().st_size == 0:
            return Lease(number=number, worker="", count=-1, state=RUNNING)
        record = disk.read_json(path)
        try:
            facts = {key: record[key] for key in ("worker", "count", "state")}
            return Lease(number=number, **facts, tag=record.get("tag", ""))
        except (KeyError, TypeError) as error:
            raise RunFolderError(f"{path} is not a lease", hint=f"delete {path} when no worker runs") from error

    def take(self, cell_id: str, *, failed_too: bool = False) -> bool:
        """Try to become the holder of a cell; False while another worker has it, or after it failed.

        Args:
            cell_id: The cell.
            failed_too: Whether a cell that failed is tried again.
        """
        lease = self.in_force(cell_id)
        if lease is not None and not self._may_follow(cell_id, lease, failed_too=failed_too):
            return False
        number = lease.number + 1 if lease else 1
        path = self.folder / cell_id / f"{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            return False
        self._held[cell_id] = Lease(number=number, worker=self.worker, count=0, state=RUNNING, tag=self.tag)
        self._seen.pop(cell_id, None)
        self._write(cell_id)
        return True

    def _may_follow(self, cell_id: str, lease: Lease, *, failed_too: bool) -> bool:
        if lease.state == RELEASED:
            return True
        if lease.state == FAILED:
            return failed_too
        if lease.tag and self.is_gone(lease):
            return True
        before, since = self._seen.get(cell_id, (None, 0.0))
        if before != lease:
            self._seen[cell_id] = (lease, self.clock())
            return False
        return self.clock() - since >= self.patience_s

    def number(self, cell_id: str) -> int:
        """Return the number under which a cell is held."""
        return self._held[cell_id].number

    def is_held(self, cell_id: str) -> bool:
        """Tell whether this worker still has the cell; False once another has followed."""
        held = self._held.get(cell_id)
        return held is not None and highest(self.folder / cell_id) == held.number

    def keep(self, cell_id: str) -> bool:
        """Give a sign of life; False when the cell is lost, and then nothing is written."""
        if not self.is_held(cell_id):
            return False
        held = self._held[cell_id]
        self._held[cell_id] = replace(held, count=held.count + 1)
        self._write(cell_id)
        return True

    def give_up(self, cell_id: str, state: str) -> None:
        """End a lease as "failed" or "released"; one that is lost already is left to its new holder."""
        if self.is_held(cell_id):
            held = self._held[cell_id]
            self._held[cell_id] = replace(held, state=state)
            self._write(cell_id)
        self._held.pop(cell_id, None)

    def _write(self, cell_id: str) -> None:
        held = self._held[cell_id]
        record = {"worker": held.worker, "count": held.count, "state": held.state}
        if held.tag:
            record["tag"] = held.tag
        disk.write_atomic(self.folder / cell_id / f"{held.number}.json", json.dumps(record) + "\n")


def highest(folder: Path) -> int:
    """Return the number of the lease in force in a cell's folder of leases, 0 for none."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return 0
    return max((int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdigit()), default=0)
