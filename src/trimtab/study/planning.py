"""What a study will do and how long it will take; what has been done so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trimtab import disk
from trimtab.errors import StudyError
from trimtab.settings.pools import PlaceEvaluation, PoolSettings
from trimtab.study.resources import gpus_here, memory_mib, workers_here

if TYPE_CHECKING:
    from trimtab.settings.runs import CorpusSettings, Evaluation
    from trimtab.study import store
    from trimtab.study.spec import Study

# Evaluating a window costs a forward pass, a third of a training step; generated tokens cost about four times as much.
_FORWARD_SHARE = 1 / 3
_DECODE_FACTOR = 4.0
_PROBLEM_TOKENS = 40
# Of a pretrained model's last layer: CPU seconds a trained token, and of loading and scoring, on a 2026 server's core.
_PRETRAINED_TOKEN_S = 1 / 2000
_PRETRAINED_REST_S = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """Cells, those that are finished, and the minutes the others will take with so many workers."""

    cells: tuple[str, ...]
    finished: tuple[str, ...]
    seconds_per_cell: float
    workers: int
    basis: str
    given: str

    @property
    def minutes(self) -> float:
        """Wall minutes for what is left."""
        waiting = len(self.cells) - len(self.finished)
        rounds = -(-waiting // self.workers)
        return rounds * self.seconds_per_cell / 60

    def sentence(self) -> str:
        """Say it in one line."""
        waiting = len(self.cells) - len(self.finished)
        return (
            f"{waiting} of {len(self.cells)} cells to do, {self.seconds_per_cell:.0f} s each ({self.basis}), "
            f"{self.workers} side by side: about {self.minutes:.1f} min; each is given {self.given}"
        )

    def record(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "cells": list(self.cells),
            "finished": list(self.finished),
            "seconds_per_cell": round(self.seconds_per_cell, 1),
            "workers": self.workers,
            "given": self.given,
            "basis": self.basis,
            "minutes": round(self.minutes, 1),
        }


def estimate(study: Study, folder: store.RunFolder) -> CostEstimate:
    """Estimate from the cells that are finished, else from a few training steps timed here."""
    cells = tuple(cell.id for cell in study.cells())
    finished = tuple(name for name in cells if folder.cell(name).result.exists())
    spent = [_wall_seconds(folder.cell(name)) for name in finished if folder.cell(name).timing.exists()]
    if spent:
        seconds, basis = sum(spent) / len(spent), "mean of the finished cells"
    else:
        seconds, basis = _calibrate(study)
    gpus = f", GPUs: {study.resources.gpus}" if study.resources.gpus else ""
    try:
        workers = workers_here(study)
    except StudyError:  # a plan may be made where the study will not run
        workers, gpus = 1, f"{gpus}, of which this machine has {len(gpus_here())}"
    return CostEstimate(
        cells=cells,
        finished=finished,
        seconds_per_cell=seconds,
        workers=workers,
        basis=basis,
        given=f"{study.training.cores} CPU, {memory_mib(study, folder)} MiB{gpus}",
    )


def states(study: Study, folder: store.RunFolder) -> dict[str, str]:
    """Return the state of each cell: done, failed, at step N, or waiting."""
    return {cell.id: _state(folder.cell(cell.id)) for cell in study.cells()}


def _state(folder: store.CellFolder) -> str:
    if folder.result.exists():
        return "done"
    if folder.error.exists():
        return "failed"
    steps = len(disk.read_lines(folder.train_log))
    if folder.model.exists():
        return "trained"
    return f"at step {steps}" if steps else "waiting"


def _wall_seconds(folder: store.CellFolder) -> float:
    stages = disk.read_json(folder.timing)["stages"].values()
    return float(sum(stage["wall_s"] for stage in stages))


def _calibrate(study: Study) -> tuple[float, str]:
    """Return the seconds of a cell and what they come from."""
    if isinstance(study.data, PoolSettings) or isinstance(study.evaluation, PlaceEvaluation):
        step = study.training.steps * study.data.rows * study.data.row_length * _PRETRAINED_TOKEN_S
        return step + _PRETRAINED_REST_S, "as SmolLM2-135M's last layer took where it was measured"
    from trimtab.study.stages import seconds_per_step  # noqa: PLC0415 - only here is torch needed

    data, evaluation = study.data, study.evaluation
    step = max(seconds_per_step(study.models[str(name)], data) for name in study.factors["model"])
    return step * (study.training.steps + _evaluation_steps(evaluation, data)), "from a few steps timed now"


def _evaluation_steps(evaluation: Evaluation, data: CorpusSettings) -> float:
    """Evaluation of one cell in units of a training step."""
    conditions = 1 + len(evaluation.capacities)
    scored = evaluation.python_windows * data.row_length * conditions
    decoded = (evaluation.micro_problems * conditions + evaluation.micro_pro_problems) * _PROBLEM_TOKENS
    return _FORWARD_SHARE * (scored + _DECODE_FACTOR * decoded) / (data.rows * data.row_length)
