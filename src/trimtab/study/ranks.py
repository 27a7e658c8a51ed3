"""One of several processes that train a cell: ``torchrun --nproc-per-node N -m trimtab.study.ranks CELL_FOLDER``.

``trimtab run`` starts them by itself (:mod:`trimtab.study.launch`). Each builds the same model from the same seed; the
first writes. Afterwards ``python -P -m trimtab.study.run CELL_FOLDER`` finds the model there and measures it.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path

from torch import distributed

from trimtab import disk
from trimtab.errors import ConfigurationError, TrimtabError
from trimtab.study import stages, store


def main(path: Path) -> None:
    """Train the cell in ``path`` as the process that the environment says.

    Raises:
        ConfigurationError: The cell asks for another number of processes.
    """
    cell, record = store.CellFolder(path), disk.read_json(path / "cell.json")
    bench = stages.prepare(record, store.RunFolder(path.parent.parent).cache)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world != bench.training.processes:
        raise ConfigurationError(
            f"{path} asks for {bench.training.processes} processes, and {world} were started",
            hint=f"torchrun --nproc-per-node {bench.training.processes} -m trimtab.study.ranks {path}",
        )
    try:
        stages.train_here(bench, cell, _report)
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _report(_stage: str, step: int, _steps: int) -> None:
    if os.environ["RANK"] == "0":
        sys.stdout.write(f"{step}\n")
        sys.stdout.flush()


def _end_with_starter() -> None:
    os.read(sys.stdin.fileno(), 1)  # not through a buffer, whose lock would be held while this process ends
    os._exit(1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: torchrun --nproc-per-node N -m trimtab.study.ranks CELL_FOLDER")
    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):  # under torchrun it is something else, or closed
        threading.Thread(target=_end_with_starter, daemon=True).start()
    try:
        main(Path(sys.argv[1]).resolve())
    except TrimtabError as error:
        raise SystemExit(f"error: {error}") from error
    # All is written. A thread of the process group may outlive it, and torch 2.13 aborts an interpreter that ends then
    # ("terminate called without an active exception", in one of a few runs).
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
