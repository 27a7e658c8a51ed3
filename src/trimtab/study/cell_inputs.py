"""What cells of every kind read: the benchmarks that are here, and tables without nulls."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval import problems
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trimtab.codeeval.problems import Benchmark

DEDUPLICATED_AGAINST: Final = ("humaneval", "mbpp-sanitized")
"""Benchmarks that are kept out of every training text, where they are here."""


def load_benchmarks(names: tuple[str, ...]) -> tuple[dict[str, Benchmark], dict[str, str]]:
    """Return the benchmarks that are here, and for the others why not."""
    found, absent = {}, {}
    for name in names:
        try:
            found[name] = problems.load(name)
        except BenchmarkError as error:
            absent[name] = error.message
    return found, absent


def without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    """Drop nulls: in a cell's JSON they stand for a key that the study file leaves out."""
    return {
        key: without_none(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }


def shared_cache(run_cache: Path) -> Path:
    """Return the folder named in ``TRIMTAB_CACHE``, where runs share what they computed, or the run's own."""
    named = os.environ.get("TRIMTAB_CACHE")
    return Path(named) if named else run_cache
