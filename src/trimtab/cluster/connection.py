"""A Ray cluster: reached or refused with one error, and its nodes held against the driver before work is handed out."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import ClusterError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LOST_WORKERS: Final = 8
"""After so many workers died with a piece of work, the work is what kills them."""
MIB: Final = 2**20
_CONNECT_S: Final = 10.0
_EXAMINE_S: Final = 120.0


@contextmanager
def connected(address: str, cores: int) -> Iterator[Any]:
    """Connect to a cluster, or start one on this machine; disconnect, or stop it, at the end.

    Args:
        address: ``local`` for a Ray of this command's own on this machine, ``auto`` for the one that runs here, else
            HOST:PORT of a cluster's head.
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
        options |= {"num_cpus": cores, "object_store_memory": 80 * MIB, "include_dashboard": False}
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


@functools.cache
def source_digest() -> str:
    """Return a hash of the source files of this trimtab; versions in development share a number."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def examine_nodes(ray: Any, check: str, facts: Mapping[str, Any]) -> None:  # noqa: ANN401 - a module that may be missing
    """Ask each node whether it fits, before anything is run.

    Args:
        ray: Ray.
        check: ``module:function`` of trimtab that is called with ``facts`` on each node, and says in words why the node
            cannot do the work; nothing if it can.
        facts: Plain values.

    Raises:
        ClusterError: The first node that does not, and why.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

    examine = _examination(check, facts)
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
            raise ClusterError(f"node {answers[answer]} cannot do this work: {problem}")


def _examination(check: str, facts: Mapping[str, Any]) -> Callable[[], str]:
    """Return what each node runs. A function inside a function travels by value: no trimtab need be installed there."""
    version = importlib.metadata.version("trimtab")
    module, _, function = check.partition(":")
    given = dict(facts)

    def examine() -> str:
        import importlib  # noqa: PLC0415
        import importlib.metadata  # noqa: PLC0415

        try:
            there = importlib.metadata.version("trimtab")
        except importlib.metadata.PackageNotFoundError:
            return f"trimtab is not installed there: pip install trimtab=={version}"
        if there != version:
            return f"it has trimtab {there}, the driver {version}: install the same version on all nodes"
        try:
            problem = getattr(importlib.import_module(module), function)(**given)
        except ImportError as error:
            return f"its trimtab cannot be loaded: {error}"
        return str(problem)

    return examine


def require_room(ray: Any, need: Mapping[str, float]) -> None:  # noqa: ANN401 - a module that may be missing
    """Refuse work that no node holds: Ray would wait for one for ever.

    Args:
        ray: Ray.
        need: Its own words: ``num_cpus``, ``memory`` in bytes and ``num_gpus``; what is not named is not needed.

    Raises:
        ClusterError: It says what is needed and what the nodes have.
    """
    cores, memory, gpus = (need.get(name, 0) for name in ("num_cpus", "memory", "num_gpus"))
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(n.get("CPU", 0) >= cores and n.get("memory", 0) >= memory and n.get("GPU", 0) >= gpus for n in nodes):
        described = ", ".join(_described(n.get("CPU", 0), n.get("memory", 0), n.get("GPU", 0)) for n in nodes)
        raise ClusterError(
            f"no node holds a task of {_described(cores, memory, gpus)}: {described}",
            hint="start a larger node; a cell's CPUs are training.threads times training.processes",
        )


def _described(cores: float, memory: float, gpus: float) -> str:
    return f"{cores:g} CPU and {memory / MIB:.0f} MiB" + (f" and {gpus:g} GPU" if gpus else "")
