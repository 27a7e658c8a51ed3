"""The run folder: where things are, and how they get there whole.

How a file gets there whole, and what a torn line means, is in :mod:`trimtab.disk`. ``result.json`` is written last and
holds counts, not scores, and nothing that varies between identical runs. Standard library only.
"""

from __future__ import annotations

import fcntl
import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from trimtab.disk import read_json, write_atomic, write_json
from trimtab.errors import RunFolderError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """What a finished cell measured: counts per problem and statistics per layer, no scores.

    Attributes:
        cell_id: The cell's name and hash.
        factors: Factor → level.
        outcome: "completed", or "diverged" (ranked worst, never dropped).
        training: steps, tokens and parameters.
        passes: Benchmark → evaluation capacity → task_id → [samples, passed].
        losses: Text → evaluation capacity → unit → [nats, tokens, bytes].
        unigram: Text → unit → nats of the same tokens under the training text's unigram distribution.
        ranking: Text → unit → [mutants that score worse than the reference solution, mutants].
        routing: One record a layer and phase, with its sampling floors.
        absent: Benchmark → why it was not measured.
        mixtures: Of a pretrained model, one record a layer: how far the initialization took it from the dense block,
            and the norm, gradient share and output share of each expert. Older results lack it.
    """

    schema: int = SCHEMA
    cell_id: str
    factors: Mapping[str, str | int]
    outcome: str
    training: Mapping[str, int]
    passes: Mapping[str, Mapping[str, Mapping[str, list[int]]]] = field(default_factory=dict)
    losses: Mapping[str, Mapping[str, Mapping[str, list[float]]]] = field(default_factory=dict)
    unigram: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    ranking: Mapping[str, Mapping[str, list[int]]] = field(default_factory=dict)
    routing: list[Mapping[str, Any]] = field(default_factory=list)
    absent: Mapping[str, str] = field(default_factory=dict)
    mixtures: list[Mapping[str, Any]] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write ``result.json``; do it last."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> CellResult:
        """Read ``result.json``.

        Raises:
            RunFolderError: The file is torn, of another schema, or lacks a field; the message names it.
        """
        return cls.of_record(read_json(path), path)

    @classmethod
    def of_record(cls, record: Any, path: Path) -> CellResult:  # noqa: ANN401 - whatever a file held
        """Return the result that a ``result.json`` held, as :meth:`read` does of the file itself.

        Raises:
            RunFolderError: It is of another schema, or lacks a field; the message names the file.
        """
        names = {entry.name for entry in fields(cls)}
        if not isinstance(record, dict) or not names - {"mixtures"} <= record.keys() <= names:
            raise RunFolderError(
                f"{path} is not a cell result", hint="delete it and run the study again: one cell is redone"
            )
        if record["schema"] != SCHEMA:
            raise RunFolderError(f"{path} has schema {record['schema']}; this trimtab reads {SCHEMA}")
        return cls(**record)


@dataclass(frozen=True, slots=True)
class CellFolder:
    """Paths inside ``cells/<id>``."""

    path: Path

    @property
    def cell(self) -> Path:
        """The cell: factors and settings."""
        return self.path / "cell.json"

    @property
    def result(self) -> Path:
        """The result; it exists when the cell is done."""
        return self.path / "result.json"

    @property
    def initialization(self) -> Path:
        """What the initialization of the cell changed."""
        return self.path / "initialization.json"

    @property
    def train_log(self) -> Path:
        """One line a training step."""
        return self.path / "train.jsonl"

    @property
    def samples(self) -> Path:
        """Generated programs."""
        return self.path / "samples.jsonl"

    @property
    def verdicts(self) -> Path:
        """What became of them."""
        return self.path / "verdicts.jsonl"

    @property
    def timing(self) -> Path:
        """Seconds, memory and host: what varies between identical runs."""
        return self.path / "timing.json"

    @property
    def error(self) -> Path:
        """The traceback of a failed cell."""
        return self.path / "error.txt"

    @property
    def model(self) -> Path:
        """The trained model and its gates."""
        return self.path / "model"

    @property
    def checkpoint(self) -> Path:
        """Training state, deleted when the model is written."""
        return self.path / "checkpoint"

    @property
    def is_begun(self) -> bool:
        """Whether anything in it was computed: then it belongs to one set of texts and weights."""
        return any(path.exists() for path in (self.initialization, self.train_log, self.model, self.result))

    def prepare(self, cell_id: str, record: Mapping[str, Any]) -> None:
        """Create the folder and ``cell.json``.

        Raises:
            RunFolderError: The folder holds another cell; its result is never reused silently.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if not self.cell.exists():
            write_json(self.cell, record)
            return
        found = read_json(self.cell)
        if found != json.loads(json.dumps(record)):
            raise RunFolderError(
                f"{self.cell} describes another cell than {cell_id}", hint=f"move {self.path} away and run again"
            )


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths inside ``runs/<study>``."""

    path: Path

    @property
    def study(self) -> Path:
        """A copy of the study file this folder belongs to."""
        return self.path / "study.toml"

    @property
    def environment(self) -> Path:
        """Machine, versions and sandbox attestation."""
        return self.path / "environment.json"

    @property
    def text(self) -> Path:
        """Provenance of the training text: files, hashes, licenses, and what was removed."""
        return self.path / "text.json"

    @property
    def cache(self) -> Path:
        """Texts and states that its cells share, unless ``TRIMTAB_CACHE`` names another folder."""
        return self.path / "cache"

    @property
    def controls(self) -> Path:
        """Which endpoint feels which factor, measured once (see :mod:`trimtab.study.controls`)."""
        return self.path / "controls.json"

    @property
    def leases(self) -> Path:
        """Which worker has which cell, where several work from a shared folder."""
        return self.path / "leases"

    @property
    def trackers(self) -> Path:
        """Names of the trackers that follow its cells; absent for none."""
        return self.path / "trackers.json"

    @property
    def driver(self) -> Path:
        """Who hands the cells to a cluster, for the nodes to see that they look at the same folder."""
        return self.path / "driver.json"

    @property
    def table(self) -> Path:
        """One row a cell, endpoint and evaluation capacity."""
        return self.path / "table.csv"

    @property
    def counts(self) -> Path:
        """What a table counted, under the hash of each result (:mod:`trimtab.study.finished_cells`)."""
        return self.path / "counts.bin"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report" / "report.html"

    def cell(self, cell_id: str) -> CellFolder:
        """Return the folder of one cell."""
        return CellFolder(self.path / "cells" / cell_id)

    def claim(self, text: str) -> None:
        """Make this the folder of the study with this text.

        Raises:
            RunFolderError: It belongs to a different study; the message says what differs.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if not self.study.exists():
            write_atomic(self.study, text)
            return
        found = self.study.read_text(encoding="utf-8")
        if found != text and _beside_resources(found) == _beside_resources(text):
            write_atomic(self.study, text)  # what a cell is given is no part of it
        elif found != text:
            raise RunFolderError(
                f"{self.path} holds another study:\n{_difference(found, text)}",
                hint="choose another folder with -o, or move this one away",
            )

    @contextmanager
    def lock(self, name: str = ".lock", *, shared: bool = False) -> Iterator[None]:
        """Hold the folder for one run at a time; a dead process releases it by itself.

        Args:
            name: The file that is locked.
            shared: Whether others that share may hold it too, as workers that take single cells do.

        Raises:
            RunFolderError: Another run holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / name).open("w") as file:
            try:
                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunFolderError(f"another run is working in {self.path}", hint="wait for it or stop it") from error
            yield


def _beside_resources(text: str) -> object:
    """Return what a study file says of results: all but what its cells are given; the text itself if it is no TOML."""
    import tomllib  # noqa: PLC0415 - only where two files differ

    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return text
    return {key: value for key, value in table.items() if key != "resources"} if "resources" in table else table


def _difference(found: str, wanted: str) -> str:
    """Return the lines that differ, at most ten."""
    import difflib  # noqa: PLC0415 - only on the way to an error

    lines = difflib.unified_diff(found.splitlines(), wanted.splitlines(), "in the folder", "now", lineterm="", n=0)
    changed = [line for line in lines if not line.startswith("@@")]
    return "\n".join(changed[:12])
