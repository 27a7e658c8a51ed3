"""A Ray cluster: reached or refused with one error, and its nodes held against the driver before a cell is run."""

from __future__ import annotations

import importlib.metadata
import os
import socket
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import ClusterError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trimtab.study import ray_node

_MIB: Final = 2**20
_CONNECT_S: Final = 10.0
_EXAMINE_S: Final = 120.0


@contextmanager
def connected(address: str, cores: int) -> Iterator[Any]:
    """Connect to a cluster, or start one on this machine; disconnect, or stop it, at the end.

    Args:
        address: ``local``, ``auto`` or HOST:PORT.
        cores: CPUs of a local one.

    Raises:
        ClusterError: There is none, or not of this version.
        MissingExtraError: Ray is not installed.
    """
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("ray", extra="ray") from error
    options: dict[str, Any] = {"address": address}
    if address == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no word to anybody of what runs here
        os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 gives way to whatever else runs here
        options |= {"num_cpus": cores, "object_store_memory": 80 * _MIB, "include_dashboard": False}
    elif address != "auto":
        _require_answer(address)
    try:
        ray.init(**options, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise ClusterError(
            f"the Ray cluster {address!r} cannot be used: {error}",
            hint="run this on a node of the cluster, with the cluster's own version of Ray and Python, or --ray local",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Refuse an address where nothing listens; Ray itself tries for minutes and then ends the process."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise ClusterError(
            f"{address!r} is no address of a Ray cluster", hint="give HOST:PORT of its head, auto or local"
        )
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"no Ray cluster answers at {address}: {error}",
            hint="start one with `ray start --head`, or use --ray local",
        ) from error


def examine_nodes(ray: Any, order: ray_node.Order) -> None:  # noqa: ANN401 - a module that may be missing
    """Ask each node whether it fits, before any cell is run.

    Raises:
        ClusterError: The first node that does not, and why.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

    examine = _examination(order)
    answers = {}
    for node in ray.nodes():
        if node["Alive"]:
            strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = ray.remote(examine).options(num_cpus=0, scheduling_strategy=strategy, max_retries=0)
            answers[task.remote()] = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
    done, silent = ray.wait(list(answers), num_returns=len(answers), timeout=_EXAMINE_S)
    for answer in silent:
        raise ClusterError(f"node {answers[answer]} gave no answer within {_EXAMINE_S:.0f} s")
    for answer in done:
        try:
            problem = ray.get(answer)
        except ray.exceptions.RayError as error:
            problem = f"it cannot run a task: {error}"
        if problem:
            raise ClusterError(f"node {answers[answer]} cannot run this study: {problem}")


def _examination(order: ray_node.Order) -> Callable[[], str]:
    """Return what each node runs. A function inside a function travels by value: no trimtab need be installed there."""
    version = importlib.metadata.version("trimtab")
    facts = {entry.name: getattr(order, entry.name) for entry in fields(order)}

    def examine() -> str:
        import importlib.metadata  # noqa: PLC0415

        try:
            there = importlib.metadata.version("trimtab")
        except importlib.metadata.PackageNotFoundError:
            return f"trimtab is not installed there: pip install trimtab=={version}"
        if there != version:
            return f"it has trimtab {there}, the driver {version}: install the same version on all nodes"
        try:
            from trimtab.study import ray_node  # noqa: PLC0415
        except ImportError as error:
            return f"its trimtab cannot be loaded: {error}"
        return ray_node.unfit(ray_node.Order(**facts))

    return examine


def require_room(ray: Any, need: dict[str, int]) -> None:  # noqa: ANN401 - a module that may be missing
    """Refuse a cell that no node holds: Ray would wait for one for ever."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(each.get("CPU", 0) >= need["num_cpus"] and each.get("memory", 0) >= need["memory"] for each in nodes):
        described = ", ".join(f"{n.get('CPU', 0):g} CPU and {n.get('memory', 0) / _MIB:.0f} MiB" for n in nodes)
        raise ClusterError(
            f"no node holds a cell of {need['num_cpus']} CPU and {need['memory'] / _MIB:.0f} MiB: {described}",
            hint="start a larger node; a cell's CPUs are training.threads times training.processes",
        )
