"""What a node of a Ray cluster does for a study: it says whether it fits, and runs one cell.

A cell runs in a child process of the task, with the threads that the study says. Ray sets ``OMP_NUM_THREADS`` as it
likes, and takes a process that ends for a lost one, whose task it starts again; a child that ends is one failed cell.
"""

from __future__ import annotations

import functools
import shutil
import socket
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimtab import disk
from trimtab.cluster.connection import LOST_WORKERS, source_digest
from trimtab.errors import ClusterError, TrimtabError
from trimtab.study import environment, leases, requirements, shared_work, spec, store

if TYPE_CHECKING:
    from collections.abc import Collection

_ROOM: Final = 256 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the driver asks of every node.

    Attributes:
        folder: The run folder, at the same path on all nodes.
        token: What the driver has just written into it, so that a folder of the same name elsewhere is told apart.
        source: :func:`trimtab.cluster.connection.source_digest` of the driver.
        patience_s: See :class:`trimtab.study.shared_work.WorkerHabits`.
        allow_unsandboxed: Whether generated code may run without isolation.
    """

    folder: Path
    token: str
    source: str
    patience_s: float
    allow_unsandboxed: bool


def examination(order: Order) -> tuple[str, dict[str, Any]]:
    """Return what :func:`trimtab.cluster.connection.examine_nodes` asks of each node."""
    return f"{__name__}:unfit_for", {entry.name: getattr(order, entry.name) for entry in fields(order)}


def unfit_for(**facts: Any) -> str:  # noqa: ANN401 - the fields of an order
    """Say why this node cannot run cells of the study of an order with these fields; nothing if it can."""
    return unfit(Order(**facts))


@functools.lru_cache(maxsize=1)
def unfit(order: Order) -> str:
    """Say why this node cannot run cells of the study; nothing if it can.

    Held against the driver: the source of trimtab, the versions of packages, the run folder, the weights, isolation.
    """
    folder = store.RunFolder(order.folder)
    try:
        _check_folder(order)
        study = spec.load(folder.study)
        environment.join(study, folder, folder.study, allow_unsandboxed=order.allow_unsandboxed)
        requirements.require(study, folder.cache)
    except TrimtabError as error:
        return str(error)
    return ""


def _check_folder(order: Order) -> None:
    """Refuse other source files, and a run folder that is not the driver's or cannot be written.

    Raises:
        ClusterError: What is wrong.
    """
    if source_digest() != order.source:
        raise ClusterError("its trimtab has other source files than the driver's, under the same version number")
    try:
        written = disk.read_json(store.RunFolder(order.folder).driver)["token"]
    except (TrimtabError, OSError) as error:
        raise ClusterError(
            f"it does not see {order.folder}", hint="choose a path that all nodes share with -o"
        ) from error
    if written != order.token:
        raise ClusterError(
            f"{order.folder} is another folder there than on the driver's machine",
            hint="choose a path that all nodes share with -o",
        )
    try:
        with tempfile.TemporaryFile(dir=order.folder):
            pass
    except OSError as error:
        raise ClusterError(f"it cannot write into {order.folder}: {error.strerror}") from error
    if (free := shutil.disk_usage(order.folder).free) < _ROOM:
        raise ClusterError(f"only {free >> 20} MiB are free in {order.folder}, and {_ROOM >> 20} are needed")


def run_cell_here(order: Order, cell_id: str, taken_before: int) -> dict[str, Any]:
    """Run one cell, or wait for whoever has it; say how it ended.

    Args:
        order: What holds for all cells.
        cell_id: The cell.
        taken_before: How many workers had had it before the driver began.

    Returns:
        ``state`` "done", "failed" or "unfit", ``text`` why, and ``host``.
    """
    import ray  # noqa: PLC0415 - this module is read where no Ray is, to say so

    node = ray.get_runtime_context().get_node_id()
    answer = {"host": socket.gethostname(), "node": node, "text": ""}
    if problem := unfit(order):
        return answer | {"state": "unfit", "text": problem}
    folder = store.RunFolder(order.folder)
    workers = leases.highest(folder.leases / cell_id) - taken_before
    if workers >= LOST_WORKERS and not folder.cell(cell_id).result.exists():
        return answer | {"state": "failed", "text": f"{workers} workers died one after the other with this cell"}
    ended = shared_work.work(
        spec.load(folder.study),
        folder,
        shared_work.WorkerHabits(
            patience_s=order.patience_s,
            tag=node,
            is_gone=lambda lease: _is_gone(lease, node, {each["NodeID"] for each in ray.nodes() if each["Alive"]}),
        ),
        only=(cell_id,),
    )
    if cell_id in ended.done or folder.cell(cell_id).result.exists():
        return answer | {"state": "done"}
    error = folder.cell(cell_id).error
    return answer | {"state": "failed", "text": error.read_text(encoding="utf-8") if error.exists() else "it was lost"}


def _is_gone(lease: leases.Lease, node: str, alive: Collection[str]) -> bool:
    """Tell whether the holder's node is lost, or of an earlier cluster, or the holder was a process of this node."""
    if lease.tag == node:
        return not Path("/proc", lease.worker.rpartition(":")[2]).exists()
    return lease.tag not in alive
