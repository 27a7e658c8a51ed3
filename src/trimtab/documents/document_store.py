"""Corpus: documents and works in one SQLite file, so that a folder is read once and checked against often.

A document is one row and known by the hash of its bytes, so adding a folder twice adds nothing. What it holds is JSON;
printed digits survive, for a decimal is written as text.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final, Self

from pydantic import TypeAdapter

from trimtab.documents.parts import Document
from trimtab.documents.work import Work
from trimtab.errors import EvidenceError

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION: Final = 2
SCHEMA: Final = f"""
BEGIN;
CREATE TABLE work (id TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT;
CREATE TABLE document (sha256 TEXT PRIMARY KEY, path TEXT NOT NULL, record BLOB NOT NULL) STRICT;
CREATE INDEX document_of_path ON document (path);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
_DOCUMENTS: Final = TypeAdapter(Document)
_WORKS: Final = TypeAdapter(Work)


class DocumentStore:
    """A corpus file; also a context manager.

    Args:
        path: SQLite file, made when absent.

    Raises:
        EvidenceError: The file is no SQLite database, is another program's, or was written with another schema; nothing
            was written to it.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        try:
            self._database = sqlite3.connect(path)
            self._prepare()
        except sqlite3.Error as error:
            raise EvidenceError(f"{path} cannot be used as a corpus: {error}", hint="name another file") from error
        except EvidenceError:
            self._database.close()
            raise

    def _prepare(self) -> None:
        """Make the tables of a new file; nothing is written to one that holds something else."""
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        names = [name for (name,) in self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        if names and not ({"work", "document"} <= set(names) and version):
            some = ", ".join(sorted(names)[:3]) + (" \u2026" if len(names) > 3 else "")
            raise EvidenceError(
                f"{self.path} is another program's database (tables: {some}); nothing was written to it",
                hint="name a new file, or one that `trimtab evidence index` wrote",
            )
        if version not in (0, SCHEMA_VERSION):
            raise EvidenceError(
                f"{self.path} holds a corpus of schema {version}, this is schema {SCHEMA_VERSION}",
                hint="index the sources again into a new file",
            )
        self._database.execute("PRAGMA journal_mode = WAL")  # this changes the file
        self._database.execute("PRAGMA synchronous = NORMAL")  # after a power cut the file is whole, perhaps older
        if version == 0:
            self._database.executescript(SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def put(self, work: Work) -> None:
        """Store a work, in place of what was known under its id."""
        with self._database:
            record = _WORKS.dump_json(work)
            self._database.execute("INSERT OR REPLACE INTO work VALUES (?, ?)", (work.id, record))

    def works(self) -> list[Work]:
        """Return every work, by id."""
        rows = self._database.execute("SELECT record FROM work ORDER BY id")
        return [_WORKS.validate_json(record) for (record,) in rows]

    def add(self, document: Document) -> bool:
        """Store a document; return False when these bytes are already here."""
        row = (document.sha256, document.path, _DOCUMENTS.dump_json(document))
        with self._database:
            return self._database.execute("INSERT OR IGNORE INTO document VALUES (?, ?, ?)", row).rowcount == 1

    def forget(self, path: str) -> int:
        """Remove what was read from a file of this path; return how many documents."""
        with self._database:
            return self._database.execute("DELETE FROM document WHERE path = ?", (path,)).rowcount

    def digests(self) -> list[str]:
        """Return the SHA-256 of every document, by path."""
        rows = self._database.execute("SELECT sha256 FROM document ORDER BY path, sha256")
        return [digest for (digest,) in rows]

    def document(self, sha256: str) -> Document:
        """Return a document.

        Raises:
            EvidenceError: There is no such document here.
        """
        row = self._database.execute("SELECT record FROM document WHERE sha256 = ?", (sha256,)).fetchone()
        if row is None:
            raise EvidenceError(f"no document {sha256!r} in {self.path}")
        return _DOCUMENTS.validate_json(row[0])
