"""Benchmark files from where their authors published them, kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from trimtab.codeeval import benchmark_registry
from trimtab.disk import write_atomic_bytes
from trimtab.errors import BenchmarkError, HttpError
from trimtab.http_client import TRY_AGAIN, RetryPolicy, TryAgain, asked_pause_s

_TIMEOUT_S: Final = 30.0
_LARGEST: Final = 64 << 20


def cached(filename: str) -> Path:
    """Return where a fetched file is kept: under ``XDG_CACHE_HOME``, or ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "trimtab" / "benchmarks" / filename


def fetch(filename: str) -> Path:
    """Download a file of :data:`trimtab.codeeval.benchmark_registry.FILES` and return where it now is.

    Raises:
        BenchmarkError: It cannot be reached, or what is there has another SHA-256; nothing is kept then.
    """
    published = benchmark_registry.FILES[filename]
    try:
        data = RetryPolicy(attempts=3, patience_s=_TIMEOUT_S).persist(lambda: _download(published.url))
    except HttpError as error:
        raise BenchmarkError(
            f"{filename} is not here and {published.url} {error.message}",
            hint=f"put the file into a folder and name the folder in TRIMTAB_DATA ({published.license})",
        ) from error
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != published.sha256:
        raise BenchmarkError(
            f"{published.url} no longer holds what was published: its SHA-256 is {sha256}, expected {published.sha256}",
            hint=f"find the original {filename} and name its folder in TRIMTAB_DATA",
        )
    return keep(cached(filename), data)


def _download(url: str) -> bytes:
    """Read a file by the standard library, since no extra is needed to judge."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - https, from a table
            data: bytes = answer.read(_LARGEST)
            return data
    except urllib.error.HTTPError as error:
        if error.code in TRY_AGAIN:
            raise TryAgain(f"status {error.code}", asked_pause_s(error.headers)) from error
        raise HttpError(f"refuses, status {error.code}", status=error.code) from error
    except OSError as error:
        raise HttpError(f"cannot be reached: {error}") from error


def keep(target: Path, data: bytes) -> Path:
    """Write a file of the cache, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic_bytes(target, data)
    return target
