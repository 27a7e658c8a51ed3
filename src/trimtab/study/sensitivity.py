"""Which endpoint can feel which factor: positive and negative controls, measured once and kept beside a study.

``controls.json``::

    {"schema": 1, "controls": [
      {"name": "two live experts instead of eight", "kind": "positive", "factor": "expert_init",
       "endpoint": "python_loss", "threshold": 0.01, "measured": 0.031, "passed": true,
       "cells": ["..."], "note": "..."}]}

A positive control is a stress that must show, by at least ``threshold``, in the endpoint's unit and positive = worse; a
negative one is a change of name only, that must show by less. Where a positive control of a factor fails, silence of
the endpoint means nothing for that factor: it is exploratory there and no verdict is printed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from trimtab.disk import read_json
from trimtab.errors import RunFolderError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One control and what came of it; ``passed`` is what its author concluded from ``measured``."""

    name: str
    kind: Literal["positive", "negative"]
    factor: str
    endpoint: str
    threshold: float
    measured: float
    passed: bool
    cells: tuple[str, ...] = ()
    note: str = ""


def load(path: Path) -> tuple[Control, ...]:
    """Read ``controls.json``; no file means no controls.

    Raises:
        RunFolderError: The file is torn or not of this form.
    """
    if not path.exists():
        return ()
    record = read_json(path)
    if not isinstance(record, dict) or record.get("schema") != SCHEMA or not isinstance(record.get("controls"), list):
        raise RunFolderError(f"{path} is not a controls file of schema {SCHEMA}")
    return tuple(_control(entry, f"{path}, controls[{index}]") for index, entry in enumerate(record["controls"]))


def failed(controls: Sequence[Control], endpoint: str, factors: Sequence[str]) -> tuple[Control, ...]:
    """Return the positive controls of these factors that this endpoint did not feel."""
    return tuple(
        control
        for control in controls
        if control.kind == "positive"
        and control.endpoint == endpoint
        and control.factor in factors
        and not control.passed
    )


def _control(entry: Any, where: str) -> Control:  # noqa: ANN401 - whatever the file holds
    valid = {field.name: field for field in fields(Control)}
    required = valid.keys() - {"cells", "note"}
    if not isinstance(entry, dict) or not required <= entry.keys() <= valid.keys():
        raise RunFolderError(f"{where} needs the keys {sorted(required)}, and may have 'cells' and 'note'")
    if entry["kind"] not in ("positive", "negative") or not isinstance(entry["passed"], bool):
        raise RunFolderError(f"{where}: kind is 'positive' or 'negative', passed is true or false")
    if not all(isinstance(entry[key], int | float) for key in ("threshold", "measured")):
        raise RunFolderError(f"{where}: threshold and measured are numbers")
    return Control(**{**entry, "cells": tuple(entry.get("cells", ()))})
