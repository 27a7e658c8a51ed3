"""A Slurm array that runs a study: one script, written before anything is submitted."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.disk import write_atomic
from trimtab.errors import RunFolderError

if TYPE_CHECKING:
    from pathlib import Path

    from trimtab.study.spec import Study
    from trimtab.study.store import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """What the tasks of the array ask of the cluster, in Slurm's own words.

    Attributes:
        workers: Tasks; each takes cells until none is left.
        limit: Time limit of a task.
        memory: Memory of a task; None for what the study says of a cell, or 4G.
        options: Further options of sbatch, each beginning with ``--``.
    """

    workers: int
    limit: str
    memory: str | None = None
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would become another line of the script.

        Raises:
            RunFolderError: An option that does not begin with ``--``, or a value of several lines.
        """
        for option in self.options:
            if not option.startswith("--"):
                raise RunFolderError(f"{option!r} is no option of sbatch", hint="write --sbatch=--partition=cpu")
        for text in (self.limit, *([] if self.memory is None else [self.memory]), *self.options):
            if not text.strip() or not text.isprintable():
                raise RunFolderError(f"{text!r} cannot stand in a line of a Slurm script")


def write(study: Study, folder: RunFolder, array: Array, study_file: Path) -> Path:
    """Write ``slurm.sh`` into the run folder; return its path.

    Each task runs ``trimtab work``, so a task that is requeued or killed goes on or is followed by another, and a task
    that comes late finds no cell left and ends at once.
    """
    cells = sum(not folder.cell(cell.id).result.exists() for cell in study.cells())
    options = (
        f"--job-name=trimtab-{study.name}",
        f"--array=0-{max(1, min(array.workers, cells)) - 1}",
        f"--cpus-per-task={study.training.cores}",
        f"--mem={array.memory or (f'{study.resources.memory_mib}M' if study.resources.memory_mib else '4G')}",
        *([f"--gres=gpu:{study.resources.gpus}"] if study.resources.gpus else []),
        f"--time={array.limit}",
        "--requeue",
        "--open-mode=append",
        f"--output={folder.path / 'slurm-%A_%a.log'}",
        *array.options,
    )
    source = folder.path if study_file.is_dir() else study_file
    command = shlex.join([sys.executable, "-P", "-m", "trimtab", "work", str(source), "-o", str(folder.path)])
    lines = [
        "#!/usr/bin/env bash",
        *(f"#SBATCH {option}" for option in options),
        f"# {cells} cells of {study.name} without a result when this was written; each task takes them one by one.",
        "set -euo pipefail",
        f"export OMP_NUM_THREADS={study.training.threads}",
        f"exec {command}",
    ]
    script = folder.path / "slurm.sh"
    write_atomic(script, "\n".join(lines) + "\n")
    return script
