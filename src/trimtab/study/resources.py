"""What a cell is given where something places it, and how many cells fit on this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trimtab import disk
from trimtab.errors import StudyError
from trimtab.settings.upcycled_models import UpcycledSettings

if TYPE_CHECKING:
    from trimtab.study.spec import Study
    from trimtab.study.store import RunFolder

_UNMEASURED_MIB: Final = {False: 1024, True: 3072}  # of a cell, without and with a pretrained model


def memory_mib(study: Study, folder: RunFolder) -> int:
    """Return the MiB of a cell: what its study says, a quarter more than finished cells needed, or a guess."""
    if study.resources.memory_mib is not None:
        return study.resources.memory_mib
    timings = (folder.cell(cell.id).timing for cell in study.cells())
    peaks = [float(disk.read_json(path)["peak_rss_mib"]) for path in timings if path.exists()]
    pretrained = any(isinstance(study.models[str(name)], UpcycledSettings) for name in study.factors["model"])
    return int(1.25 * max(peaks) if peaks else _UNMEASURED_MIB[pretrained])


def gpus_here() -> list[str]:
    """Return the GPUs of this machine, or those of them that ``CUDA_VISIBLE_DEVICES`` leaves, as it names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    numbers = (re.fullmatch(r"nvidia(\d+)", path.name) for path in Path("/dev").glob("nvidia*"))
    return sorted((match[1] for match in numbers if match), key=int)


def workers_here(study: Study) -> int:
    """Return how many cells this machine holds side by side, at least one.

    Raises:
        StudyError: A cell asks for more GPUs than there are.
    """
    by_cores = len(os.sched_getaffinity(0)) // study.training.cores
    if study.resources.memory_mib is not None:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        by_cores = min(by_cores, memory // study.resources.memory_mib)
    if not study.resources.gpus:
        return max(1, by_cores)
    gpus = len(gpus_here())
    if gpus < study.resources.gpus:
        raise StudyError(
            f"a cell asks for {study.resources.gpus} GPUs (resources.gpus), and {gpus} can be seen here",
            hint="run it where there are as many, by --ray or trimtab submit, or take gpus out of [resources]",
        )
    return max(1, min(by_cores, gpus // study.resources.gpus))
