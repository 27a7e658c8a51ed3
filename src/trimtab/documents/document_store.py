"""Corpus: works, documents, spans and cells in one SQLite file.

WAL, STRICT tables, and FTS5 with the Porter stemmer, which found as much as bm25s on 1,061 claims
(``EVIDENCE.md`` section 3). A document is added in one transaction or not at all, and is known by the hash of its
bytes, so adding a folder twice adds nothing.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Self

from trimtab.documents import store_rows
from trimtab.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal
    from pathlib import Path
    from types import TracebackType

    from trimtab.documents.parts import Document, Span, TableCell
    from trimtab.documents.work import Work

SCHEMA_VERSION = 1
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A span found by words, with its BM25 score: higher is nearer, comparable within one query only."""

    span: Span
    score: float


class DocumentStore:
    """The store of one evidence check; also a context manager.

    Args:
        path: SQLite file, made when absent; ``":memory:"`` keeps everything in memory.

    Raises:
        EvidenceError: The file is no SQLite database, is another program's, or was written with another schema; nothing
            was written to it.
    """

    def __init__(self, path: Path | str = ":memory:") -> None:
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
        (found,) = self._database.execute("PRAGMA user_version").fetchone()
        self._refuse_foreign(found)  # before anything is written; the next line already changes the file
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")  # after a power cut the file is whole, perhaps older
        self._database.execute("PRAGMA foreign_keys = ON")
        if found == 0:
            schema = resources.files("trimtab.documents").joinpath("schema.sql").read_text(encoding="utf-8")
            self._database.executescript(f"BEGIN; {schema} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def _refuse_foreign(self, version: int) -> None:
        """Refuse a file that holds something, but no corpus of this schema.

        Raises:
            EvidenceError: It does.
        """
        names = [name for (name,) in self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        ours = {"work", "document", "span", "cell"} <= set(names)
        if names and not (ours and version):
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the corpus cannot be used afterwards."""
        self._database.close()

    def put(self, work: Work) -> None:
        """Store a work, in place of what was known under its id."""
        with self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO work VALUES (?, ?, ?, ?)",
                (work.id, work.title, work.year, store_rows.dump(work)),
            )

    def works(self) -> list[Work]:
        """Return every work, by id."""
        return [store_rows.load_work(row) for (row,) in self._database.execute("SELECT record FROM work ORDER BY id")]

    def work(self, name: str) -> Work | None:
        """Return the work with this id, or None."""
        row = self._database.execute("SELECT record FROM work WHERE id = ?", (name,)).fetchone()
        return store_rows.load_work(row[0]) if row else None

    def add(self, document: Document) -> bool:
        """Store a document with its spans and cells; return False when these bytes are already here."""
        try:
            with self._database:
                self._database.execute(store_rows.INSERT_DOCUMENT, store_rows.document_row(document))
                self._database.executemany(store_rows.INSERT_SPAN, map(store_rows.span_row, document.spans))
                (last,) = self._database.execute("SELECT coalesce(max(id), 0) FROM cell").fetchone()
                cells = list(enumerate(document.cells, last + 1))
                rows = (store_rows.cell_row(number, cell) for number, cell in cells)
                self._database.executemany(store_rows.INSERT_CELL, rows)
                values = ((float(value), number) for number, cell in cells for value in cell.numbers)
                self._database.executemany("INSERT INTO cell_number VALUES (?, ?)", values)
        except sqlite3.IntegrityError:
            return False
        return True

    def forget(self, path: str) -> int:
        """Remove what was read from a file of this path, with its spans and cells; return how many documents."""
        with self._database:
            return self._database.execute("DELETE FROM document WHERE path = ?", (path,)).rowcount

    def digests(self, work: str | None = None) -> list[str]:
        """Return the SHA-256 of every document, or of those that are texts of ``work``."""
        query = "SELECT sha256 FROM document WHERE ? IS NULL OR work = ? ORDER BY path, sha256"
        return [digest for (digest,) in self._database.execute(query, (work, work))]

    def document(self, sha256: str) -> Document:
        """Return a document with its spans and cells.

        Raises:
            EvidenceError: There is no such document here.
        """
        row = self._database.execute(store_rows.SELECT_DOCUMENT + " WHERE sha256 = ?", (sha256,)).fetchone()
        if row is None:
            raise EvidenceError(f"no document {sha256!r} in {self.path}")
        return store_rows.load_document(row, spans=tuple(self.spans([sha256])), cells=tuple(self.cells([sha256])))

    def spans(self, documents: Sequence[str] = ()) -> Iterator[Span]:
        """Yield spans in reading order, of the documents named or of all."""
        query = f"{store_rows.SELECT_SPAN} WHERE {_among(documents)} ORDER BY document, start, id"
        yield from map(store_rows.load_span, self._rows(query, documents))

    def cells(
        self, documents: Sequence[str] = (), *, between: tuple[Decimal, Decimal] | None = None
    ) -> Iterator[TableCell]:
        """Yield cells by table, row and column, of the documents named or of all.

        Args:
            documents: SHA-256 of the documents to look in; empty for all.
            between: Only cells with a number in this closed interval, compared as binary doubles.
        """
        query = f"{store_rows.SELECT_CELL} WHERE {_among(documents)}"
        bounds: list[float] = []
        if between is not None:
            query += " AND id IN (SELECT cell FROM cell_number WHERE value BETWEEN ? AND ?)"
            bounds = [float(bound) for bound in between]
        query += ' ORDER BY document, "table", "row", "column"'
        yield from map(store_rows.load_cell, self._rows(query, [*documents, *bounds]))

    def search(self, text: str, *, documents: Sequence[str] = (), limit: int = 20) -> list[Hit]:
        """Return the spans that share words with ``text``, best first: any word counts, rare ones count more (BM25)."""
        words = dict.fromkeys(WORD.findall(text))
        if not words:
            return []
        query = (
            f"{store_rows.SELECT_SPAN_SCORED} WHERE span_text MATCH ? AND {_among(documents)} "
            "ORDER BY bm25(span_text), span.id LIMIT ?"
        )
        match = " OR ".join(f'"{word}"' for word in words)
        rows = self._rows(query, [match, *documents, limit])
        return [Hit(span=store_rows.load_span(row[:-1]), score=-row[-1]) for row in rows]

    def _rows(self, query: str, values: Iterable[object]) -> Iterator[store_rows.Row]:
        with closing(self._database.cursor()) as cursor:
            yield from cursor.execute(query, tuple(values))


def _among(documents: Sequence[str]) -> str:
    return f"document IN ({', '.join('?' * len(documents))})" if documents else "TRUE"
