"""A folder of documents: every file that can be read, and those that cannot, with the reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.documents import reader
from trimtab.documents.formats.limits import DocumentLimits
from trimtab.errors import DocumentError, EvidenceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trimtab.documents.parts import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadFile:
    """A file that was not read.

    Attributes:
        path: Its name.
        reason: Why.
        tried: Whether it is of a kind that is read; archives, and links out of the folder, are passed over on purpose.
    """

    path: str
    reason: str
    tried: bool = True


def read_folder(
    folder: Path, known: frozenset[str] = frozenset()
) -> tuple[tuple[Document, ...], tuple[UnreadFile, ...]]:  # fmt: skip
    """Read every file of a folder that is a document; return also those that could not be read, with the reason.

    Of files with the same bytes the first is read.

    Args:
        folder: Read with its sub-folders, in the order of the paths.
        known: SHA-256 of files that need not be read.

    Raises:
        EvidenceError: It is no folder.
    """
    if not folder.is_dir():
        raise EvidenceError(
            f"{folder} is no folder of sources", hint="--sources takes the folder that holds the papers"
        )
    limits = DocumentLimits()
    documents: dict[str, Document] = {}
    unread: list[UnreadFile] = []
    for path, refusal in files(folder):
        if refusal:
            unread.append(UnreadFile(path=str(path), reason=refusal, tried=False))
            continue
        try:
            raw = reader.contents(path, limits)
            digest = hashlib.sha256(raw).hexdigest()
            if digest not in known and digest not in documents:
                documents[digest] = reader.read_bytes(raw, str(path), limits=limits)
        except DocumentError as error:
            unread.append(UnreadFile(path=str(path), reason=error.message))
    return tuple(documents.values()), tuple(unread)


def files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of a folder that are documents, and those that are not opened, with the reason."""
    root = folder.resolve()
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    for path in sorted(paths, key=str):
        if not path.resolve().is_relative_to(root):
            yield path, "it is a link out of the folder"
        elif path.suffix.lower() in reader.ARCHIVES:
            yield path, "archives are not unpacked: unpack it into the folder to have it read"
        elif path.suffix.lower() in reader.SUFFIXES:
            yield path, ""
