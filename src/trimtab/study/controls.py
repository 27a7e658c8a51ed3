"""Measure the controls of a study: which endpoint feels which factor at this scale.

The result is written once, kept beside the study that names it, and read by :mod:`trimtab.study.sensitivity`. Only
counts of finished cells are read, so this needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.errors import StudyError
from trimtab.stats import student_interval
from trimtab.study.endpoints import ENDPOINTS, HEADLINE
from trimtab.study.sensitivity import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trimtab.study.spec import ControlSetting, Study
    from trimtab.study.store import CellResult
    from trimtab.study.table import StudyTable


def measure(table: StudyTable) -> dict[str, Any]:
    """Return what ``controls.json`` holds, for the ``[[control]]`` tables of a study whose cells are done.

    Raises:
        StudyError: The study has no controls, or a control's cells are not done.
    """
    if not table.study.control:
        raise StudyError(f"study {table.study.name!r} has no [[control]] tables")
    return {"schema": SCHEMA, "controls": [_measure(table, control) for control in table.study.control]}


def _measure(table: StudyTable, control: ControlSetting) -> dict[str, Any]:
    endpoint = ENDPOINTS[control.endpoint]
    sides = [_by_seed(table, side) for side in (control.stress, control.reference)]
    seeds = sorted(sides[0].keys() & sides[1].keys())
    if not seeds:
        raise StudyError(f"control {control.name!r}: no seed has both cells done", hint="run the study to its end")
    harm = endpoint.harm * np.array(
        [_value(control, sides[0][s], control.evaluated_at) - _value(control, sides[1][s], HEADLINE) for s in seeds]
    )
    measured, spread = float(harm.mean()), _interval(harm, table.study.confidence)
    felt = measured >= control.threshold and (spread is None or spread[0] > 0)
    interval = "one seed, no interval" if spread is None else f"{spread[0]:+.4f} to {spread[1]:+.4f}"
    return {
        "name": control.name,
        "kind": control.kind,
        "factor": control.factor,
        "endpoint": control.endpoint,
        "threshold": control.threshold,
        "measured": round(measured, 4),
        "interval": None if spread is None else [round(end, 4) for end in spread],
        "passed": felt if control.kind == "positive" else abs(measured) < control.threshold,
        "cells": sorted({result.cell_id for side in sides for result in side.values()}),
        "note": f"{len(seeds)} seeds, {table.study.confidence:.0%} interval {interval} {endpoint.unit}, + is worse",
    }


def _by_seed(table: StudyTable, side: Mapping[str, str]) -> dict[int, CellResult]:
    """Return the finished cells of one side of a control, by seed."""
    wanted = {**_defaults(table.study), **side}
    return {
        int(result.factors["seed"]): result
        for result in table.results.values()
        if result.outcome == "completed" and all(result.factors[name] == level for name, level in wanted.items())
    }


def _defaults(study: Study) -> dict[str, str]:
    return {
        "model": str(study.factors["model"][0]),
        "balancer": study.contrast.treatment,
        "expert_init": study.reference.expert_init,
        "capacity": study.reference.capacity,
    }


def _value(control: ControlSetting, result: CellResult, capacity: str) -> float:
    counts = ENDPOINTS[control.endpoint].counts(result, capacity).values()
    if not counts:
        raise StudyError(f"control {control.name!r}: {result.cell_id} did not measure {control.endpoint} at {capacity}")
    return sum(numerator for numerator, _ in counts) / sum(denominator for _, denominator in counts)


def _interval(harm: np.ndarray[Any, np.dtype[np.float64]], confidence: float) -> tuple[float, float] | None:
    if len(harm) < 2:
        return None
    found = student_interval(harm, confidence)
    return found.low, found.high
