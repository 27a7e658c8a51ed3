"""What a study needs beside its file, looked at before its first cell: a disk, weights, and its benchmarks."""

from __future__ import annotations

import importlib.util
import os
import shutil
from typing import TYPE_CHECKING, Final

from trimtab.codeeval import problems
from trimtab.errors import BenchmarkError, MissingExtraError, RunFolderError, StudyError, nearest
from trimtab.settings.pools import PlaceEvaluation
from trimtab.settings.upcycled_models import UpcycledSettings
from trimtab.study.cell_inputs import load_benchmarks, shared_cache
from trimtab.study.spec_checks import BENCHMARKS_OF, GENERATED_FROM

if TYPE_CHECKING:
    from pathlib import Path

    from trimtab.study.spec import Study


_ROOM: Final = 256 * 2**20


def require_disk(folder: Path) -> None:
    """Refuse a folder that cannot be written, or made, and a disk without room for a cell.

    Raises:
        RunFolderError: What is wrong.
    """
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        why = "is read-only for you" if place.is_dir() else "is a file"
        raise RunFolderError(f"{folder} cannot be written: {place} {why}", hint="choose another folder with -o")
    if (free := shutil.disk_usage(place).free) < _ROOM:
        raise RunFolderError(
            f"only {free >> 20} MiB are free on the disk of {folder}, and a cell may need {_ROOM >> 20}",
            hint="make room and run the same command again: it goes on from the newest checkpoints",
        )


def require(study: Study, run_cache: Path) -> None:
    """Refuse what every cell would stumble over.

    Args:
        study: The study.
        run_cache: The cache of its run folder.

    Raises:
        StudyError: An endpoint's benchmark is not here, or is not the published one.
        ConfigurationError: The weights of a pretrained model are not here, are damaged, or lack a layer.
        UnsupportedModelError: Its family cannot be upcycled.
        MissingExtraError: A package is missing that trains, or reads weights.
        RunFolderError: The run folder cannot be written, or its disk is full.
    """
    require_disk(run_cache.parent)
    for package in ("torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, extra="hf")
    for endpoint in (study.endpoints.primary, *study.endpoints.secondary):
        for benchmark in (*BENCHMARKS_OF.get(endpoint, ()), *filter(None, [GENERATED_FROM.get(endpoint)])):
            try:
                problems.load(benchmark)
            except BenchmarkError as error:
                message = f"endpoint {endpoint!r} cannot be measured: {error.message}"
                raise StudyError(message, hint=error.hint) from error
    if isinstance(study.evaluation, PlaceEvaluation):
        benchmarks, absent = load_benchmarks(tuple(GENERATED_FROM.values()) if study.evaluation.generated else ())
        written = {problem.task_id for benchmark in benchmarks.values() for problem in benchmark.problems}
        if unknown := [name for name in study.evaluation.generated if name not in written]:
            raise StudyError(
                f"evaluation.generated: there is no problem {unknown[0]!r} in {' or '.join(benchmarks)}",
                hint=next(iter(absent.values()), None) or nearest(unknown[0], written),
            )
    for model in {study.models[str(name)] for name in study.factors["model"]}:
        if isinstance(model, UpcycledSettings):
            from trimtab.lm import weights  # noqa: PLC0415 - only studies on pretrained models need it

            weights.check(model.source, model.layers, shared_cache(run_cache), granularity=model.granularity)
