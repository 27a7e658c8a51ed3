"""Where benchmark data is, and a fresh environment that finds none."""

import functools
import os
from pathlib import Path

import pytest

from trimtab.codeeval import benchmark_registry, problems
from trimtab.codeeval.workers import Workers, WorkerSettings
from trimtab.sandbox.verdict import Limits

SHARED = [parent / "shared" / "data" for parent in Path(__file__).parents]


def _folder():
    named = os.environ.get("TRIMTAB_DATA")
    places = [Path(named)] if named else SHARED
    folders = [folder for place in places for folder in (place / "codeeval", place)]
    return next((folder for folder in folders if (folder / "MANIFEST.json").is_file()), None)


@pytest.fixture(scope="session")
def published():
    """Loads a published benchmark, or skips where its file is not on this machine."""

    @functools.cache
    def load(name):
        folder = _folder()
        if folder is None or not (folder / benchmark_registry.BENCHMARKS[name].filename).is_file():
            pytest.skip(f"{name} is not on this machine: set TRIMTAB_DATA")
        return problems.load(name, folder)

    return load


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    """An environment without benchmark data and with an empty cache, which is returned."""
    monkeypatch.delenv("TRIMTAB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def pool():
    """A pool of two workers, whose programs have a CPU second."""
    with Workers(WorkerSettings(workers=2, limits=Limits(cpu_s=1.0, wall_s=30.0))) as workers:
        yield workers
