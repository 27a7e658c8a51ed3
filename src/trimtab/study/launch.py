"""Start the processes that train one cell together, and end them with this one.

Each runs :mod:`trimtab.study.ranks` with the environment that torchrun sets, so that torchrun can start them on several
machines instead. They read an end of their standard input as the death of whoever started them.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import tempfile
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

from trimtab import isolation
from trimtab.errors import RunFolderError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_PATIENCE_S = 0.5
_TAIL = 4000


def train_together(folder: Path, processes: int, on_step: Callable[[int], None]) -> None:
    """Train the cell in ``folder`` by so many processes of this machine, until its model is there.

    Args:
        folder: The cell's folder.
        processes: How many.
        on_step: Told the number of each finished step; what it raises ends them all.

    Raises:
        RunFolderError: One of them failed; the message ends with what it wrote last.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
    }
    with ExitStack() as stack:
        logs = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(processes)]
        ranks = [
            subprocess.Popen(  # noqa: S603 - this interpreter
                isolation.command("trimtab.study.ranks", str(folder)),
                env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if rank == 0 else subprocess.DEVNULL,
                stderr=log,
                text=True,
            )
            for rank, log in enumerate(logs)
        ]
        for rank in ranks:
            stack.enter_context(rank)
        try:
            _follow(ranks, logs, on_step)
        finally:
            for rank in ranks:  # one that is left waits for the others without end
                rank.kill()


def _follow(ranks: list[subprocess.Popen[str]], logs: Sequence[IO[str]], on_step: Callable[[int], None]) -> None:
    """Pass on steps until all have ended well."""
    steps = ranks[0].stdout
    assert steps is not None  # noqa: S101 - it was asked for
    os.set_blocking(steps.fileno(), False)
    pending = b""
    with selectors.DefaultSelector() as ready:
        ready.register(steps, selectors.EVENT_READ)
        while any(rank.poll() is None for rank in ranks) or not all(rank.returncode == 0 for rank in ranks):
            for _ in ready.select(_PATIENCE_S):
                text = os.read(steps.fileno(), 65536)
                if not text:
                    ready.unregister(steps)
                *lines, pending = (pending + text).split(b"\n")
                for line in lines:
                    on_step(int(line))
            for number, rank in enumerate(ranks):
                if rank.poll():
                    logs[number].seek(0)
                    raise RunFolderError(
                        f"process {number} of {len(ranks)} ended with exit code {rank.returncode}:\n"
                        f"{logs[number].read()[-_TAIL:]}"
                    )
