"""What simulated arms did, as plain values in a folder: a simulation that is ended goes on where it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from trimtab import disk
from trimtab.errors import ConfigurationError
from trimtab.moe.simulate.measures import SimulatedCell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from trimtab.moe.simulate.engine import SimulatedArm, Trace
    from trimtab.moe.simulate.tables import SimulationTable


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedArm:
    """One arm on one stream.

    Attributes:
        cells: One a seed.
        max_violation: [N][S] MaxVio of each batch and seed.
    """

    cells: list[SimulatedCell]
    max_violation: list[list[float]]

    @classmethod
    def of(cls, number: int, cells: Sequence[SimulatedCell], trace: Trace, seeds: int) -> FinishedArm:
        """Return what arm ``number`` of a run did, of the run's cells, which stand arm by arm."""
        return cls(cells=list(cells[number * seeds : (number + 1) * seeds]), max_violation=trace.max_violation.tolist())


@dataclass(frozen=True, slots=True)
class SimulationFolder:
    """A folder with one file an arm and stream, named by a hash of all that decides it.

    Args:
        path: A folder that is there; None keeps nothing.
        asked: What was asked for.
    """

    path: Path | None
    asked: SimulationTable

    def read(self, stream: str, arm: SimulatedArm) -> FinishedArm | None:
        """Return what an arm did; None where it is not there.

        Raises:
            ConfigurationError: Its file cannot be read.
        """
        file = self._file(stream, arm)
        if file is None or not file.exists():
            return None
        record = disk.read_json(file, error=ConfigurationError)
        try:
            cells = [SimulatedCell(**cell) for cell in record["cells"]]
            return FinishedArm(cells=cells, max_violation=record["max_violation"])
        except (KeyError, TypeError) as error:
            raise ConfigurationError(f"{file} is no part of a simulation: {error}", hint="delete it") from error

    def write(self, stream: str, arm: SimulatedArm, finished: FinishedArm) -> None:
        """Keep what an arm did, whole or not at all."""
        file = self._file(stream, arm)
        if file is not None:
            disk.write_json(file, asdict(finished))

    def _file(self, stream: str, arm: SimulatedArm) -> Path | None:
        if self.path is None:
            return None
        decides = [stream, arm.name, arm.factor, arm.signal, self.asked.shape, self.asked.steps, self.asked.seeds]
        return self.path / f"{hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]}.json"
