"""Which endpoint can feel which factor: positive and negative controls, measured once and kept beside a study.

``controls.json``::

    {"schema": 1, "controls": [
      {"name": "two live experts instead of eight", "kind": "positive", "factor": "expert_init",
       "endpoint": "python_loss", "threshold": 0.01, "measured": 0.031, "interval": [0.012, 0.05], "passed": true,
       "cells": ["..."], "note": "..."}]}

A positive control is a stress that must show, by at least ``threshold``, in the endpoint's unit and positive = worse; a
negative one is a change of name only, that must show by less. Where a positive control of a factor fails, silence of
the endpoint means nothing for that factor; where a negative one fails, so does what it says anywhere. The endpoint is
exploratory there and no verdict is printed.
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
    """One control and what came of it; ``passed`` is what its author concluded from ``measured`` and ``interval``."""

    name: str
    kind: Literal["positive", "negative"]
    factor: str
    endpoint: str
    threshold: float
    measured: float
    passed: bool
    cells: tuple[str, ...] = ()
    note: str = ""
    interval: tuple[float, float] | None = None

    def sentence(self) -> str:
        """Say what was needed and what was found."""
        found = f"{self.measured:+.3g}"
        if self.interval is not None:
            found += f" [{self.interval[0]:+.3g}, {self.interval[1]:+.3g}]"
        elif self.note:
            found += f" ({self.note})"
        if self.kind == "negative":
            return f"{self.name}: needed less than {self.threshold:.3g} either way, found {found}"
        return f"{self.name}: needed at least {self.threshold:+.3g} and an interval above 0, found {found}"


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
    """Return the controls of this endpoint that failed: positive ones of these factors, and all negative ones."""
    return tuple(
        control
        for control in controls
        if control.endpoint == endpoint
        and not control.passed
        and (control.kind == "negative" or control.factor in factors)
    )


def _control(entry: Any, where: str) -> Control:  # noqa: ANN401 - whatever the file holds
    valid = {field.name: field for field in fields(Control)}
    required = valid.keys() - {"cells", "note", "interval"}
    if not isinstance(entry, dict) or not required <= entry.keys() <= valid.keys():
        raise RunFolderError(f"{where} needs the keys {sorted(required)}, and may have 'cells', 'interval' and 'note'")
    if entry["kind"] not in ("positive", "negative") or not isinstance(entry["passed"], bool):
        raise RunFolderError(f"{where}: kind is 'positive' or 'negative', passed is true or false")
    if not all(isinstance(entry[key], int | float) for key in ("threshold", "measured")):
        raise RunFolderError(f"{where}: threshold and measured are numbers")
    interval = entry.get("interval")
    if interval is not None and not (
        isinstance(interval, list) and len(interval) == 2 and all(isinstance(end, int | float) for end in interval)
    ):
        raise RunFolderError(f"{where}: interval is two numbers or null, not {interval!r}")
    ends = None if interval is None else (float(interval[0]), float(interval[1]))
    return Control(**{**entry, "cells": tuple(entry.get("cells", ())), "interval": ends})
