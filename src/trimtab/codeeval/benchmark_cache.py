"""Benchmark files from where their authors published them, kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from trimtab.codeeval import registry
from trimtab.disk import write_atomic_bytes
from trimtab.errors import BenchmarkError

_TIMEOUT_S: Final = 30.0
_LARGEST: Final = 64 << 20


def cached(filename: str) -> Path:
    """Return where a fetched file is kept: under ``XDG_CACHE_HOME``, or ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "trimtab" / "benchmarks" / filename


def fetch(filename: str) -> Path:
    """Download a file of :data:`trimtab.codeeval.registry.FILES` and return where it now is.

    Raises:
        BenchmarkError: It cannot be reached, or what is there has another SHA-256; nothing is kept then.
    """
    published = registry.FILES[filename]
    try:
        with urllib.request.urlopen(published.url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - https, from a table
            data: bytes = answer.read(_LARGEST)
    except (OSError, urllib.error.URLError) as error:
        raise BenchmarkError(
            f"{filename} is not here and {published.url} cannot be reached: {error}",
            hint=f"put the file into a folder and name the folder in TRIMTAB_DATA ({published.license})",
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != published.sha256:
        raise BenchmarkError(
            f"{published.url} no longer holds what was published: its SHA-256 is {found}, expected {published.sha256}",
            hint=f"find the original {filename} and name its folder in TRIMTAB_DATA",
        )
    return keep(cached(filename), data)


def keep(target: Path, data: bytes) -> Path:
    """Write a file of the cache, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic_bytes(target, data)
    return target
