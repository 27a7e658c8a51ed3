"""Records that need no network: documents in a folder, each a work of its own whose full text is here."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trimtab.evidence import checking
from trimtab.evidence.search import found
from trimtab.evidence.search.found import Found
from trimtab.evidence.work import Identifiers, Work

if TYPE_CHECKING:
    from trimtab.evidence.document import Document

_ABSTRACT: Final = 3000


def folder(path: Path) -> tuple[tuple[tuple[Found, Document], ...], tuple[tuple[str, str], ...]]:
    """Return a record and a document for every file that can be read, and the others with the reason.

    Raises:
        EvidenceError: It is no folder.
    """
    documents, unread = checking.read_folder(path)
    return tuple((_record(document, path), document) for document in documents), unread


def digest(path: Path) -> str:
    """Return a SHA-256 over the names and bytes of a file or of all files in a folder."""
    held = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    whole = hashlib.sha256()
    for one in held:
        whole.update(str(one.relative_to(path) if path.is_dir() else one.name).encode() + b"\0")
        whole.update(hashlib.sha256(one.read_bytes()).digest())
    return whole.hexdigest()


def _record(document: Document, root: Path) -> Found:
    name = Path(document.path).name
    number, version = found.arxiv(name)
    if not number:
        number, version = found.arxiv(document.text[:200]) if "arxiv" in document.text[:200].casefold() else ("", "")
    title = document.title or next((span.text for span in document.spans if span.kind == "heading"), name)
    work = Work(
        id=found.name_of(arxiv=number, other=f"file:{Path(document.path).relative_to(root)}"),
        title=title,
        year=2000 + int(number[:2]) if number[:4].isdigit() else None,
        ids=Identifiers(arxiv=number),
        abstract=document.text[:_ABSTRACT],
        versions=(),
        found_by=(f"{root.name}: {name}{f' ({version})' if version else ''}",),
    )
    return Found(work=work, database=root.name or str(root), kind="local")
