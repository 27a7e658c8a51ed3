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
    from collections.abc import Iterable, Mapping, Sequence

    from trimtab.documents.parts import Document
    from trimtab.documents.source_folder import UnreadFile
    from trimtab.literature.figure_claims import PublishedFigure

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
        figures: Id of a record's work → its published figures, of a local corpus.
        unread: Files that could not be read, with the reason.
    """

    name: str
    kind: Literal["local corpus", "import", "folder"]
    sha256: str
    records: tuple[Found, ...] = ()
    documents: Mapping[str, Document] = field(default_factory=dict)
    figures: Mapping[str, tuple[PublishedFigure, ...]] = field(default_factory=dict)
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
    endings = [["/".join(path.parts[start:]) for start in range(len(path.parts) - 1, 0, -1)] for path in paths]
    used, counts = set(taken), Counter(name for ending in endings for name in set(ending))
    return tuple(
        next((name for name in ending if counts[name] == 1 and name not in used), str(path))
        for path, ending in zip(paths, endings, strict=True)
    )


def bibliography(path: Path, name: str) -> Held:
    """Return the records of a BibTeX, RIS or CSL-JSON file.

    Raises:
        DocumentError: It cannot be read; the message names file and line.
    """
    records = _imported(reference_files.read(path), name)
    return Held(name=name, kind="import", sha256=digest(path), records=records)


def folder(path: Path, name: str) -> Held:
    """Return a record for every work a folder holds, by its bibliographies and its documents, and the documents.

    Raises:
        EvidenceError: It is no folder.
    """
    documents, unread = source_folder.read_folder(path)
    listed, unlisted = known_works.read(path)
    records, texts = [*_imported(listed, name)], {}
    known = known_works.Library(record.work for record in records)
    for document in documents:
        work = known.work_of(document)
        if not work:
            records.append(_alone(document, path, name))
            work = records[-1].work.id
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
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        whole.update(str(file.relative_to(path)).encode() + b"\0")
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()


def _imported(works: Iterable[Work], place: str) -> tuple[Found, ...]:
    """Return works of bibliographies under ids that are theirs alone: a citation key is one only within its file."""
    seen: Counter[str] = Counter()
    records = []
    for rank, work in enumerate(works, 1):
        path, _, key = work.found_by[0].rpartition("#")
        file = Path(path).name
        name = f"{place}#{key}" if file == Path(place).name else f"{place}/{file}#{key}"
        seen[name] += 1
        other = name if seen[name] == 1 else f"{name} ({seen[name]})"
        work = replace(work, id=metadata.work_id(work.ids, other), found_by=(name,))  # noqa: PLW2901 - the same, renamed
        records.append(Found(work=work, database=place, kind="import", rank=rank))
    return tuple(records)


def _alone(document: Document, root: Path, place: str) -> Found:
    """Return the record of a document of which no bibliography says anything."""
    path, head = Path(document.path), document.text[:200]
    number, version = metadata.arxiv(path.name)
    if not number:
        number, version = metadata.arxiv_of(head)
    ids = Identifiers(arxiv=number)
    work = Work(
        id=metadata.work_id(ids, f"file:{place}/{path.relative_to(root)}"),
        title=document.title or next((span.text for span in document.spans if span.kind == "heading"), path.name),
        year=metadata.arxiv_year(number),
        ids=ids,
        abstract=document.text[:_ABSTRACT],
        found_by=(f"{place}: {path.name}{f' ({version})' if version else ''}",),
    )
    return Found(work=work, database=place, kind="local")
