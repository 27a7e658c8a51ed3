"""Which trackers follow the cells of a run folder: said once when it is run, read by whoever trains a cell.

What they show varies between identical runs, so that no result depends on them and no cell's id holds them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from trimtab import disk
from trimtab.lm import tracking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trimtab.study import store


def choose(folder: store.RunFolder, names: Sequence[str]) -> None:
    """Have the cells that are trained from now on followed by these trackers; by none if there are none.

    Raises:
        ConfigurationError: There is no tracker of this name.
        TrimtabError: It is not installed.
    """
    tracking.require(names)
    if names:
        folder.path.mkdir(parents=True, exist_ok=True)
        disk.write_atomic(folder.trackers, json.dumps(sorted(set(names))) + "\n")
    else:
        folder.trackers.unlink(missing_ok=True)


def of_cell(folder: store.RunFolder, cell: store.CellFolder) -> tracking.Tracking | None:
    """Return what follows a cell, None for nothing.

    Raises:
        TrimtabError: A tracker is not installed on this machine.
    """
    if not folder.trackers.exists():
        return None
    names = disk.read_json(folder.trackers)
    tracking.require(names)
    record = disk.read_json(cell.cell)
    config = {**record["factors"], **dict(_flat(record["settings"]))}
    return tracking.Tracking(
        names=names, project=record["study"], run=cell.path.name, config=config, folder=folder.path / "trackers"
    )


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | int | float | bool]]:
    """Yield the plain values of nested tables by dotted names; a list as its text."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value if isinstance(value, str | int | float | bool) else json.dumps(value)
