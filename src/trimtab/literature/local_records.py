"""What needs no network: imported bibliographies, and documents in a folder, whose full texts are here.

A BibTeX, RIS or CSL-JSON file in such a folder says which work each document is a text of; a document that none of
them knows is a work of its own.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from trimtab.claims import known_works
from trimtab.documents import source_folder
from trimtab.documents.bibliography import reference_files
from trimtab.documents.work import Identifiers, Work
from trimtab.literature import metadata
from trimtab.literature.database import Found
from trimtab.literature.retrieve import SearchLogEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from trimtab.documents.parts import Document
    from trimtab.documents.source_folder import UnreadFile

_ABSTRACT: Final = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One place that is here, and what it holds.

    Attributes:
        name: What its records say they come from; no two places of a search have the same.
        kind: What it is, for a reader.
        sha256: Of a file, or over the names and bytes of all files in a folder.
        records: What was found there.
        documents: Id of a record's work → its full text.
        unread: Files that could not be read, with the reason.
    """

    name: str
    kind: Literal["local corpus", "import", "folder"]
    sha256: str
    records: tuple[Found, ...] = ()
    documents: Mapping[str, Document] = field(default_factory=dict)
    unread: tuple[UnreadFile, ...] = ()

    @property
    def log(self) -> SearchLogEntry:
        """What the search log says of it."""
        count = len(self.records)
        query = f"everything in this {self.kind}"
        return SearchLogEntry(database=self.name, query=query, words="", sha256=self.sha256, records=count, total=count)


def names(paths: Sequence[Path], taken: Iterable[str]) -> tuple[str, ...]:
    """Return a name for each path: its last part, with as many folders before it as tell it from every other one.

    >>> names([Path("/a/papers"), Path("/b/papers"), Path("/b/arXiv")], ["arXiv"])
    ('a/papers', 'b/papers', 'b/arXiv')
    """
    used = set(taken)
    counts = Counter(name for path in paths for name in set(_endings(path)))
    return tuple(
        next((name for name in _endings(path) if counts[name] == 1 and name not in used), str(path)) for path in paths
    )


def _endings(path: Path) -> Iterator[str]:
    """Yield the last part of a path, the last two, and so on."""
    parts = path.parts
    for start in range(len(parts) - 1, 0, -1):
        yield "/".join(parts[start:])


def bibliography(path: Path, name: str) -> Held:
    """Return the records of a BibTeX, RIS or CSL-JSON file.

    Raises:
        DocumentError: It cannot be read; the message names file and line.
    """
    works = _imported(reference_files.read(path), name)
    return Held(name=name, kind="import", sha256=digest(path), records=_records(works, name))


def folder(path: Path, name: str) -> Held:
    """Return a record for every work a folder holds, by its bibliographies and its documents, and the documents.

    Raises:
        EvidenceError: It is no folder.
    """
    documents, unread = source_folder.read_folder(path)
    listed, unlisted = known_works.read(path)
    works = _imported(listed, name)
    known = known_works.Library(works)
    records, texts = list(_records(works, name)), {}
    for document in documents:
        work = known.work_of(document)
        if not work:
            record = _alone(document, path, name)
            records.append(record)
            work = record.work.id
        texts[work] = document
    return Held(
        name=name,
        kind="folder",
        sha256=digest(path),
        records=tuple(records),
        documents=texts,
        unread=(*unread, *unlisted),
    )


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or one over the names and bytes of all files in a folder."""
    if not path.is_dir():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    whole = hashlib.sha256()
    for one in sorted(one for one in path.rglob("*") if one.is_file()):
        whole.update(str(one.relative_to(path)).encode() + b"\0")
        whole.update(hashlib.sha256(one.read_bytes()).digest())
    return whole.hexdigest()


def _records(works: Iterable[Work], name: str) -> tuple[Found, ...]:
    return tuple(Found(work=work, database=name, kind="import", rank=rank) for rank, work in enumerate(works, 1))


def _imported(works: Iterable[Work], name: str) -> tuple[Work, ...]:
    """Return works of bibliographies under ids that are theirs alone: a citation key is one only within its file."""
    seen: Counter[str] = Counter()
    made = []
    for work in works:
        file, _, key = work.found_by[0].rpartition("#")
        own = f"{name}#{key}" if Path(file).name == Path(name).name else f"{name}/{Path(file).name}#{key}"
        seen[own] += 1
        other = own if seen[own] == 1 else f"{own} ({seen[own]})"
        made.append(replace(work, id=metadata.work_id(work.ids, other), found_by=(own,)))
    return tuple(made)


def _alone(document: Document, root: Path, place: str) -> Found:
    """Return the record of a document of which no bibliography says anything."""
    name = Path(document.path).name
    number, version = metadata.arxiv(name)
    if not number:
        number, version = metadata.arxiv(document.text[:200]) if "arxiv" in document.text[:200].casefold() else ("", "")
    title = document.title or next((span.text for span in document.spans if span.kind == "heading"), name)
    ids = Identifiers(arxiv=number)
    work = Work(
        id=metadata.work_id(ids, f"file:{place}/{Path(document.path).relative_to(root)}"),
        title=title,
        year=2000 + int(number[:2]) if number[:4].isdigit() else None,
        ids=ids,
        abstract=document.text[:_ABSTRACT],
        versions=(),
        found_by=(f"{place}: {name}{f' ({version})' if version else ''}",),
    )
    return Found(work=work, database=place, kind="local")
