"""Portions of work as tasks of a Ray cluster, in order, for verbs that have no run folder all nodes see.

A portion is plain values for a function of trimtab; its result comes back to the driver, which alone writes. A portion
runs in a child process of its task, with the threads that were asked for: Ray sets ``OMP_NUM_THREADS`` as it likes, and
takes a process that ends for a lost one, whose task it starts again. A child that ends, or an error, is a portion that
failed by itself and is not run again; a worker or node that is lost is, elsewhere.
"""

from __future__ import annotations

import functools
import importlib
import multiprocessing
import os
import socket
import threading
import traceback
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection as pipes
from typing import TYPE_CHECKING, Any

from trimtab import isolation
from trimtab.cluster import connection
from trimtab.cluster.process_variables import process_variables
from trimtab.errors import ClusterError, TrimtabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class PortionHabits:
    """What a portion needs, and where it runs.

    Attributes:
        address: See :func:`trimtab.cluster.connection.connected`.
        threads: Of numerical libraries in a portion, and CPUs that its task is given.
        memory_mib: That its task is given.
        gpus: That its task is given.
    """

    address: str
    threads: int = 1
    memory_mib: int = 1024
    gpus: int = 0

    @property
    def need(self) -> dict[str, float]:
        """The same in Ray's words."""
        gpus = {"num_gpus": self.gpus} if self.gpus else {}
        return {"num_cpus": self.threads, "memory": self.memory_mib * connection.MIB, **gpus}


@contextmanager
def opened(address: str) -> Iterator[PortionRunner]:
    """Connect to the cluster at ``address``; a local one has a CPU for each of this machine's.

    Raises:
        ClusterError: It cannot be reached.
        MissingExtraError: Ray is not installed.
    """
    with connection.connected(address, len(os.sched_getaffinity(0))) as ray:
        yield PortionRunner(ray)


class PortionRunner:
    """Hands portions out to a cluster.

    Args:
        ray: Ray, connected.
    """

    def __init__(self, ray: Any) -> None:  # noqa: ANN401 - a module that may be missing
        self._ray = ray

    def examine(self, check: str = "", **facts: Any) -> None:  # noqa: ANN401 - plain values for the check
        """Ask each node whether it has the same trimtab and, by ``check``, what else the work needs.

        Args:
            check: ``module:function``, called with ``facts`` on each node; it says what is wrong, or nothing.
            facts: Plain values.

        Raises:
            ClusterError: The first node that does not fit, and why.
        """
        facts = {"source": connection.source_digest(), "check": check, "facts": facts}
        connection.examine_nodes(self._ray, f"{__name__}:unfit", facts)

    def at_once(self, habits: PortionHabits) -> int:
        """Return how many portions the cluster holds side by side.

        Raises:
            ClusterError: No node holds one.
        """
        connection.require_room(self._ray, habits.need)
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)) // habits.threads)

    def run(self, work: str, portions: Iterable[tuple[str, Mapping[str, Any]]], habits: PortionHabits) -> Iterator[Any]:
        """Yield the result of each portion, in their order; later ones are computed meanwhile.

        Args:
            work: ``module:function`` of trimtab, called with a portion's values on a node.
            portions: Name, for messages, and keyword arguments of each. Taken as they are needed.
            habits: What each needs.

        Raises:
            ClusterError: No node holds a portion, one failed by itself, or its workers died one after the other.
        """
        ahead = 2 * self.at_once(habits)
        options = {**habits.need, "max_retries": connection.LOST_WORKERS, "name": work}
        task = self._ray.remote(run_portion_here).options(**options)
        waiting, flying = iter(portions), deque[tuple[str, Any]]()
        try:
            while True:
                while len(flying) < ahead and (portion := next(waiting, None)) is not None:
                    name, arguments = portion
                    reference = task.remote(connection.source_digest(), habits.threads, work, dict(arguments))
                    flying.append((name, reference))
                if not flying:
                    return
                yield self._ended(*flying.popleft())
        finally:
            for _, reference in flying:
                self._ray.cancel(reference, force=True)

    def _ended(self, name: str, reference: Any) -> Any:  # noqa: ANN401 - a reference of Ray's
        try:
            answer = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise ClusterError(f"{name}: Ray gave up: {error}") from error
        if answer["state"] == "done":
            return answer["value"]
        raise ClusterError(f"{name} failed on {answer['host']}: {answer['text']}")


def unfit(source: str, check: str, facts: Mapping[str, Any]) -> str:
    """Say why this node cannot do the work; nothing if it can."""
    if connection.source_digest() != source:
        return "its trimtab has other source files than the driver's, under the same version number"
    if not check:
        return ""
    try:
        return str(_named(check)(**facts))
    except TrimtabError as error:
        return str(error)


def run_portion_here(source: str, threads: int, work: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run one portion on a node, in a child of this process; return ``state`` "done" or "failed", and what came."""
    answer: dict[str, Any] = {"host": socket.gethostname(), "value": None, "text": ""}
    if problem := unfit(source, "", {}):  # a node that came after the others were examined
        return answer | {"state": "failed", "text": problem}
    try:
        with process_variables(threads), isolation.Spawning():
            running = _child(threads).submit(_work, work, arguments)
        state, value = running.result()
    except BrokenProcessPool:
        _child.cache_clear()
        return answer | {"state": "failed", "text": "the process that computed it ended"}
    return answer | {"state": state} | ({"value": value} if state == "done" else {"text": value})


@functools.cache
def _child(threads: int) -> ProcessPoolExecutor:  # noqa: ARG001 - a child for each number of threads
    """Return the child of this worker, which keeps what it loaded from portion to portion."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=context, initializer=_end_with_parent)


def _work(work: str, arguments: dict[str, Any]) -> tuple[str, Any]:
    try:
        return "done", _named(work)(**arguments)
    except TrimtabError as error:
        return "failed", str(error)
    except Exception:  # noqa: BLE001 - its traceback travels as text: its class may not be known to the driver
        return "failed", traceback.format_exc()


def _named(text: str) -> Any:  # noqa: ANN401 - whatever the function returns
    module, _, function = text.partition(":")
    return getattr(importlib.import_module(module), function)


def _end_with_parent() -> None:
    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            pipes.wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
