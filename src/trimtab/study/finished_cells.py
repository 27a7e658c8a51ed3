"""The finished cells of a run folder, read one by one: their counts stay in memory, their whole results do not.

Counting ten thousand results costs seconds, so the counts are kept in ``counts.bin`` of the run folder, each under the
SHA-256 of the bytes of the ``result.json`` it was counted from. Every file is read and hashed each time, so a result
that has changed is counted anew, whatever its size and time. The cache carries its own hash, the study's text and the
version of its layout; one that is torn, foreign or from another version is not read, and one that cannot be written is
left out. Deleting it is always right.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trimtab import disk
from trimtab.errors import RunFolderError
from trimtab.study import store
from trimtab.study.cell_counts import MEASURED, CellCounts, UnitCounts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.study.spec import Cell, Study

LAYOUT: Final = 1
"""Of the cache, to be raised when the way of counting or of writing changes."""

WORTH_KEEPING: Final = 100
"""Cells that have to be counted anew before the cache is written: below, counting is as fast."""

_HELD: Final = 512
_HASH_BYTES: Final = 32


class FinishedCells(Mapping[str, store.CellResult]):
    """The results of the finished and sound cells of a run folder, by id.

    Attributes:
        counts: What a table needs of each.
        missing: Every other cell, and why.
    """

    def __init__(self, folder: store.RunFolder, study: Study, cells: Mapping[str, Cell]) -> None:
        self.counts: dict[str, CellCounts] = {}
        self.missing: dict[str, str] = {}
        self._folder = folder
        self._digests: dict[str, bytes] = {}
        self._held: OrderedDict[str, store.CellResult] = OrderedDict()
        names: dict[tuple[str, ...], tuple[str, ...]] = {}
        known = _read_cache(folder, study, names)
        new = 0
        for name, cell in cells.items():
            try:
                data = _bytes(folder.cell(name))
                digest = hashlib.sha256(data).digest()
                held_digest, counts = known.get(name, (b"", None))
                if counts is None or held_digest != digest:
                    result = _sound(folder.cell(name), data, cell)
                    counts = _count(folder.cell(name), result, names)
                    new += 1
                    if len(self._held) < _HELD:
                        self._held[name] = result
            except RunFolderError as error:
                self.missing[name] = error.message
            else:
                self.counts[name], self._digests[name] = counts, digest
        if new >= WORTH_KEEPING:
            with suppress(OSError):  # a folder that may not be written to, or a full disk
                disk.write_atomic_bytes(folder.counts, _cache_bytes(study, self.counts, self._digests))

    def __getitem__(self, name: str) -> store.CellResult:
        """Return the whole result of a cell, which is read again if it is no longer held.

        Raises:
            RunFolderError: It has changed since it was counted, or is gone.
        """
        if name in self._held:
            self._held.move_to_end(name)
            return self._held[name]
        digest = self._digests[name]
        path = self._folder.cell(name).result
        try:
            data = path.read_bytes()
        except OSError as error:
            raise RunFolderError(f"{path} cannot be read any more: {error}") from error
        if hashlib.sha256(data).digest() != digest:
            raise RunFolderError(f"{path} has changed while it was being read", hint="start again")
        self._held[name] = store.CellResult.of_record(disk.parse_json(data, path), path)
        if len(self._held) > _HELD:
            self._held.popitem(last=False)
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.counts)

    def __len__(self) -> int:
        return len(self.counts)

    def __contains__(self, name: object) -> bool:
        return name in self.counts


def _bytes(folder: store.CellFolder) -> bytes:
    """Return the bytes of a cell's result; say why there is none."""
    try:
        return folder.result.read_bytes()
    except FileNotFoundError:
        pass
    except OSError as problem:
        raise RunFolderError(f"{folder.result} cannot be read: {problem}") from problem
    if not folder.error.exists():
        raise RunFolderError("not finished")
    lines = folder.error.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise RunFolderError(f"failed: {lines[-1] if lines else 'no traceback'}")


def _sound(folder: store.CellFolder, data: bytes, cell: Cell) -> store.CellResult:
    """Read one result.

    Raises:
        RunFolderError: It is torn or of another cell.
    """
    result = store.CellResult.of_record(disk.parse_json(data, folder.result), folder.result)
    if result.cell_id != cell.id or dict(result.factors) != dict(cell.factors):
        raise RunFolderError(f"{folder.result} belongs to another cell, {result.cell_id}")
    if result.outcome not in ("completed", "diverged"):
        raise RunFolderError(f"{folder.result}: unknown outcome {result.outcome!r}")
    return result


def _count(
    folder: store.CellFolder, result: store.CellResult, names: dict[tuple[str, ...], tuple[str, ...]]
) -> CellCounts:
    """Read everything in a result that will be counted.

    Raises:
        RunFolderError: It holds something that is not a count.
    """
    try:
        return CellCounts.of(result, names)
    except (AttributeError, TypeError, ValueError) as error:
        raise RunFolderError(f"{folder.result} is not a cell result: {error}") from error


def _identity(study: Study) -> str:
    return hashlib.sha256(study.text.encode()).hexdigest()


def _cache_bytes(study: Study, counts: Mapping[str, CellCounts], digests: Mapping[str, bytes]) -> bytes:
    """Return the cache: its hash, then a NumPy archive of what is text, sums and units."""
    endpoints = {endpoint.name: place for place, endpoint in enumerate(MEASURED)}
    capacities: dict[str, int] = {}
    names: dict[tuple[str, ...], int] = {}
    keys, sums, spans, pairs, cells = [], [], [], [], []
    for number, (name, cell) in enumerate(counts.items()):
        cells.append([name, digests[name].hex(), cell.outcome, cell.absent])
        for (endpoint, capacity), (numerator, denominator, units) in cell.sums.items():
            keys.append((number, endpoints[endpoint], capacities.setdefault(capacity, len(capacities)), units))
            sums.append((numerator, denominator))
        for endpoint, found in cell.units.items():
            spans.append((number, endpoints[endpoint], names.setdefault(found.names, len(names))))
            pairs.append(found.pairs)
    header = {
        "layout": LAYOUT,
        "study": _identity(study),
        "endpoints": list(endpoints),
        "cells": cells,
        "capacities": list(capacities),
        "names": list(names),
    }
    archive = io.BytesIO()
    np.savez(
        archive,
        header=np.frombuffer(json.dumps(header).encode("utf-8", "surrogatepass"), dtype=np.uint8),
        keys=np.array(keys, dtype=np.int64).reshape(-1, 4),
        sums=np.array(sums, dtype=np.float64).reshape(-1, 2),
        spans=np.array(spans, dtype=np.int64).reshape(-1, 3),
        pairs=np.concatenate([np.empty((0, 2)), *pairs]),
    )
    content = archive.getvalue()
    return hashlib.sha256(content).digest() + content


def _read_cache(
    folder: store.RunFolder, study: Study, names: dict[tuple[str, ...], tuple[str, ...]]
) -> dict[str, tuple[bytes, CellCounts]]:
    """Return cell → hash of its result and its counts, as they were kept; nothing where that cannot be trusted."""
    try:
        content = folder.counts.read_bytes()
        if hashlib.sha256(content[_HASH_BYTES:]).digest() != content[:_HASH_BYTES]:
            return {}
        with np.load(io.BytesIO(content[_HASH_BYTES:]), allow_pickle=False) as archive:
            header = json.loads(archive["header"].tobytes())
            arrays = {name: archive[name] for name in ("keys", "sums", "spans", "pairs")}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return {}
    ours = {"layout": LAYOUT, "study": _identity(study), "endpoints": [endpoint.name for endpoint in MEASURED]}
    if not isinstance(header, dict) or any(header.get(key) != value for key, value in ours.items()):
        return {}
    return _unpack(header, arrays, names)


def _unpack(
    header: dict[str, Any], arrays: dict[str, Any], names: dict[tuple[str, ...], tuple[str, ...]]
) -> dict[str, tuple[bytes, CellCounts]]:
    endpoints, capacities = header["endpoints"], header["capacities"]
    unit_names = [names.setdefault(tuple(each), tuple(each)) for each in header["names"]]
    sums: list[dict[tuple[str, str], tuple[float, float, int]]] = [{} for _ in header["cells"]]
    units: list[dict[str, UnitCounts]] = [{} for _ in header["cells"]]
    rows = zip(arrays["keys"].tolist(), arrays["sums"].tolist(), strict=True)
    for (number, endpoint, capacity, count), (numerator, denominator) in rows:
        sums[number][endpoints[endpoint], capacities[capacity]] = (numerator, denominator, count)
    start = 0
    for number, endpoint, place in arrays["spans"].tolist():
        end = start + len(unit_names[place])
        units[number][endpoints[endpoint]] = UnitCounts(unit_names[place], arrays["pairs"][start:end])
        start = end
    return {
        name: (bytes.fromhex(digest), CellCounts(outcome=outcome, absent=absent, sums=sums[n], units=units[n]))
        for n, (name, digest, outcome, absent) in enumerate(header["cells"])
    }
