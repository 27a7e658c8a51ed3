"""Real Python to learn from: what is installed here, cleaned, without repetitions and without the benchmarks.

Sources are the standard library of the running interpreter and a fixed list of packages that trimtab depends on; their
licenses are recorded from their metadata. Which files are taken depends on their names and sizes only; what they hold
is recorded by hash, because another machine has another standard library. Files are split whole, by hash of their name.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STANDARD_LIBRARY: Final = "stdlib"
PACKAGES: Final = ("click", "fsspec", "jinja2", "mpmath", "networkx", "numpy", "rich", "scipy")
# Tests, many of which are tables of cases; then what is data, a copy of a package, or not the standard library.
_SKIPPED: Final = (
    frozenset({"test", "tests", "testing", "idlelib", "turtledemo", "lib2to3"})
    | frozenset({"pydoc_data", "encodings", "msilib", "ensurepip", "_pyrepl", "_vendor"})
    | frozenset({"site-packages", "dist-packages", "__pycache__"})
)
_LARGEST_FILE: Final = 60_000
_LONGEST_LINE: Final = 160
_SHORTEST_REPETITION: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that may be taken: ``unit_id`` is ``source/path``, the same on every machine that has it."""

    unit_id: str
    source: str
    path: Path
    size: int

    @property
    def draw(self) -> float:
        """A number in [0, 1) that depends on the name only."""
        return int.from_bytes(hashlib.sha256(self.unit_id.encode()).digest()[:8], "big") / 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSource:
    """Where files come from: its version and license, or the reason it is absent."""

    name: str
    version: str
    license: str


def sources() -> tuple[TextSource, ...]:
    """Return the sources that are installed, with version and license as their metadata state them."""
    every = [TextSource(name=STANDARD_LIBRARY, version=sys.version.split()[0], license="PSF-2.0")]
    for name in PACKAGES:
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        every.append(TextSource(name=name, version=metadata["Version"], license=_license(metadata)))
    return tuple(every)


def _license(metadata: importlib.metadata.PackageMetadata) -> str:
    classifiers = [entry for entry in metadata.get_all("Classifier") or [] if entry.startswith("License")]
    stated = (metadata.get_all("License-Expression") or [""])[0] or ", ".join(
        entry.split(" :: ")[-1] for entry in classifiers
    )
    return stated or (metadata.get_all("License") or ["not stated"])[0].splitlines()[0]


def files() -> list[File]:
    """Return every file that may be taken, in an order that depends on names only."""
    every = list(_files_under(STANDARD_LIBRARY, Path(sysconfig.get_paths()["stdlib"])))
    for source in sources()[1:]:
        spec = importlib.util.find_spec(source.name)  # locates a top-level package without importing it
        for folder in (spec.submodule_search_locations or []) if spec else []:
            every += _files_under(source.name, Path(folder))
    return sorted(every, key=lambda file: (file.draw, file.unit_id))


def _files_under(source: str, folder: Path) -> Iterator[File]:
    for parent, folders, names in os.walk(folder):
        folders[:] = set(folders) - _SKIPPED
        inside = Path(parent).relative_to(folder)
        for name in names:
            if not name.endswith(".py") or name.startswith("test_"):
                continue
            path = Path(parent, name)
            size = path.stat().st_size
            if 0 < size <= _LARGEST_FILE:
                yield File(unit_id=f"{source}/{(inside / name).as_posix()}", source=source, path=path, size=size)


def take(candidates: Iterable[File], *, train_bytes: int, heldout_bytes: int) -> tuple[list[File], list[File]]:
    """Return the files to train on and the files to hold out, each up to a size in bytes before cleaning.

    The split is by :attr:`File.draw`, so a file is on the same side whatever the sizes.
    """
    room = {True: heldout_bytes, False: train_bytes}
    taken: dict[bool, list[File]] = {True: [], False: []}
    for file in candidates:
        held = int(file.draw * 2**40) % 16 == 0  # not the leading digits of the draw: those order the files
        if room[held] > 0:
            room[held] -= file.size
            taken[held].append(file)
    return taken[False], taken[True]


def clean(raw: bytes) -> str:
    """Return text with plain line ends, no trailing blanks and at most two blank lines; empty if it is no UTF-8."""
    try:
        text = raw.decode("utf-8").replace("\r\n", "\n").expandtabs(4)
    except UnicodeDecodeError:
        return ""
    text = re.sub(r"[ \t\f]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{4,}", "\n\n\n", text).strip("\n") + "\n"


class Repetitions:
    """Drops paragraphs seen before in any file: license headers, copied functions, generated tables."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self.dropped = 0

    def drop(self, text: str) -> str:
        """Return ``text`` without the paragraphs seen before or with overlong lines."""
        remaining = []
        for paragraph in re.split(r"(?<=\n)(?=\n)", text):
            if self._is_new(paragraph.strip()) and max(map(len, paragraph.split("\n"))) <= _LONGEST_LINE:
                remaining.append(paragraph)
            else:
                self.dropped += 1
        return "".join(remaining)

    def _is_new(self, paragraph: str) -> bool:
        if len(paragraph) < _SHORTEST_REPETITION:
            return True
        digest = hashlib.sha256(paragraph.encode()).digest()[:12]
        if digest in self._seen:
            return False
        self._seen.add(digest)
        return True
