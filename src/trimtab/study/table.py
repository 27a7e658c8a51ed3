"""The table of a study: what every finished cell counted, what is missing and why, and the answer.

Reads files only, so it runs where there is no torch and while a study is still running. A result that is torn, foreign
or holds something that is not a count is named and its cell listed as missing; it never enters a number.
"""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimtab import disk
from trimtab.study import contrasts, sensitivity, store
from trimtab.study.cell_counts import MEASURED, CellCounts
from trimtab.study.cell_details import CellDetails
from trimtab.study.cell_inputs import DEDUPLICATED_AGAINST
from trimtab.study.endpoints import HEADLINE
from trimtab.study.finished_cells import FinishedCells

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trimtab.study.answers import Answer, Degradation
    from trimtab.study.endpoints import Endpoint
    from trimtab.study.spec import Cell, Study

UNSANDBOXED: Final = "no sandbox"
_FACTORS: Final = ("model", "balancer", "expert_init", "capacity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One endpoint of one cell at one evaluation capacity, as counts and as a value.

    ``value`` is None where the training diverged. ``folder`` is relative to the run folder.
    """

    cell_id: str
    model: str
    balancer: str
    expert_init: str
    capacity: str
    seed: int
    outcome: str
    endpoint: str
    unit: str
    eval_capacity: str
    value: float | None
    numerator: float | None
    denominator: float | None
    units: int
    sandbox: str
    folder: str


_COLUMNS: Final = tuple(field.name for field in fields(Row))


@dataclass(frozen=True, kw_only=True)
class StudyTable:
    """Everything a report needs, and nothing that needs torch.

    Attributes:
        study: The study.
        folder: Its run folder.
        cells: Every cell the study asks for, by id.
        results: Those that are finished and sound.
        missing: Every other cell, and why.
        failed: Those of the missing that were run and ended in an error.
        controls: What is known about the sensitivity of the endpoints.
        environment: Machine, versions and sandbox attestation; empty if it was not recorded.
    """

    study: Study
    folder: Path
    cells: Mapping[str, Cell]
    results: Mapping[str, store.CellResult]
    missing: Mapping[str, str]
    failed: frozenset[str] = frozenset()
    controls: tuple[sensitivity.Control, ...] = ()
    environment: Mapping[str, Any]

    @classmethod
    def load(cls, run_dir: Path, study: Study) -> StudyTable:
        """Read the run folder of ``study``.

        Raises:
            RunFolderError: ``controls.json`` or ``environment.json`` cannot be read. A corrupt result is no error: its
                cell is missing.
        """
        folder = store.RunFolder(Path(run_dir))
        cells = {cell.id: cell for cell in study.cells()}
        finished = FinishedCells(folder, study, cells)
        return cls(
            study=study,
            folder=folder.path,
            cells=cells,
            results=finished,
            missing=finished.missing,
            failed=frozenset(name for name in finished.missing if folder.cell(name).error.exists()),
            controls=sensitivity.load(folder.controls),
            environment=_environment(folder),
        )

    @cached_property
    def counts(self) -> Mapping[str, CellCounts]:
        """What is counted of every finished cell."""
        if isinstance(self.results, FinishedCells):
            return self.results.counts
        return {name: CellCounts.of(result) for name, result in self.results.items()}

    @cached_property
    def details(self) -> Mapping[str, CellDetails]:
        """What a report shows of every finished cell beside its counts, read once."""
        return {name: CellDetails.of(result) for name, result in self.results.items()}

    @cached_property
    def waiting(self) -> frozenset[str]:
        """The cells that are still to be run."""
        return frozenset(
            name for name in self.missing if not store.RunFolder(self.folder).cell(name).result.exists()
        ) - (self.failed)

    @cached_property
    def answers(self) -> tuple[Answer, ...]:
        """The answer matrix (:func:`trimtab.study.contrasts.answers`)."""
        return contrasts.answers(self)

    @cached_property
    def degradations(self) -> tuple[Degradation, ...]:
        """What each stress costs each method (:func:`trimtab.study.contrasts.degradations`)."""
        return contrasts.degradations(self)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The long form: one row a cell, endpoint and evaluation capacity."""
        return tuple(Row(**dict(zip(_COLUMNS, values, strict=True))) for values in self._values())

    @property
    def sandbox(self) -> str:
        """The tier that generated code ran at: "A", "B", "C", "no sandbox", or "not recorded"."""
        found = self.environment.get("sandbox")
        if not isinstance(found, dict):
            return "not recorded"
        return UNSANDBOXED if found.get("enforced") is False else str(found.get("tier", "not recorded"))

    def cell_id(self, model: str, balancer: str, expert_init: str, capacity: str, seed: int) -> str | None:
        """Return the id of the cell with these levels; None when the study's ``[[select]]`` leaves it out."""
        return self._index.get((model, balancer, expert_init, capacity, seed))

    @cached_property
    def _index(self) -> dict[tuple[str | int, ...], str]:
        order = ("model", "balancer", "expert_init", "capacity", "seed")
        return {tuple(cell.factors[name] for name in order): cell_id for cell_id, cell in self.cells.items()}

    def gap(self, cell_id: str, endpoint: Endpoint) -> str:
        """Say why this cell has nothing to say about this endpoint; empty if it has. A diverged cell has."""
        if cell_id in self.missing:
            return self.missing[cell_id]
        counts = self.counts[cell_id]
        if counts.outcome == "diverged" or endpoint.name in counts.units:
            return ""
        return counts.absent.get(endpoint.benchmark, f"{endpoint.benchmark} was not measured")

    def absent(self) -> dict[str, str]:
        """Return benchmark → why it was not measured, over all finished cells."""
        reasons = {name: why for counts in self.counts.values() for name, why in sorted(counts.absent.items())}
        return {name: why.removeprefix(f"{name}: ") for name, why in reasons.items()}

    def mixed(self) -> dict[str, tuple[int, int]]:
        """Return each benchmark that only some of the finished cells had: benchmark → cells with it, cells without.

        Their training text was cleaned of different benchmarks, so the cells of such a folder are not comparable. A run
        refuses to go on with other benchmarks; folders of before do not.
        """
        whole = [counts for counts in self.counts.values() if counts.outcome == "completed"]
        without = {
            name: sum(name in counts.absent for counts in whole)
            for name in sorted({*DEDUPLICATED_AGAINST, *self.study.evaluation.benchmarks})
        }
        return {name: (len(whole) - count, count) for name, count in without.items() if 0 < count < len(whole)}

    def csv(self) -> str:
        """Return the long form as CSV."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(self._values())
        return text.getvalue()

    def write_csv(self) -> Path:
        """Write ``table.csv`` into the run folder and return its path."""
        path = store.RunFolder(self.folder).table
        disk.write_atomic(path, self.csv())
        return path

    def record(self) -> dict[str, Any]:
        """Return the answer as plain values, for ``--json``."""
        return {
            "study": self.study.name,
            "confidence": self.study.confidence,
            "seeds": list(self.study.factors["seed"]),
            "sandbox": self.sandbox,
            "cells": {"asked": len(self.cells), "finished": len(self.results)},
            "missing": dict(self.missing),
            "absent": self.absent(),
            "mixed": {name: list(counts) for name, counts in self.mixed().items()},
            "answers": [answer.record() for answer in self.answers],
            "degradations": [{**asdict(found), "stressor": found.stressor.label} for found in self.degradations],
        }

    def _values(self) -> Iterator[tuple[Any, ...]]:
        """Yield the fields of every row, in their order."""
        endpoints = {endpoint.name: endpoint for endpoint in MEASURED}
        primary = self.study.endpoints.primary
        sandbox = self.sandbox
        for name, counts in self.counts.items():
            factors = self.cells[name].factors
            levels = (*(str(factors[key]) for key in _FACTORS), int(factors["seed"]))
            # A training that diverged has one row, without a value.
            sums = {(primary, HEADLINE): (0.0, 0.0, 0)} if counts.outcome == "diverged" else counts.sums
            for (endpoint, capacity), (numerator, denominator, units) in sums.items():
                pair = (numerator / denominator, numerator, denominator) if units else (None, None, None)
                measured = (endpoint, endpoints[endpoint].unit, capacity)
                yield (name, *levels, counts.outcome, *measured, *pair, units, sandbox, f"cells/{name}")


def _environment(folder: store.RunFolder) -> dict[str, Any]:
    """Return what the run recorded of its surroundings, the training text in a few lines."""
    found: dict[str, Any] = disk.read_json(folder.environment) if folder.environment.exists() else {}
    if folder.text.exists():
        text = disk.read_json(folder.text)
        found["training text"] = {
            "SHA-256 of the real Python": text["content_sha256"],
            "bytes of it": text["train_bytes"],
            "sources": ", ".join(f"{s['name']} {s['version']} ({s['license']})" for s in text["sources"]),
            "removed": text["removed"],
            "compared with benchmark texts": text["deduplicated_against"]["texts"],
        }
    return found
