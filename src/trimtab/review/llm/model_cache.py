"""What a model answered before: one row a question, so that a run that was ended goes on without paying twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from typing import TYPE_CHECKING

from trimtab.errors import EvidenceError

if TYPE_CHECKING:
    from pathlib import Path

    from trimtab.codeeval.completion import Completion

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS reply (key TEXT PRIMARY KEY, model TEXT NOT NULL, stage TEXT NOT NULL,"
    " text TEXT NOT NULL, read INTEGER NOT NULL, written INTEGER NOT NULL) STRICT"
)


class Cache:
    """Replies by the SHA-256 of model and messages.

    Args:
        path: SQLite file, made when absent.

    Raises:
        EvidenceError: The file is something else.
    """

    def __init__(self, path: Path | str = ":memory:") -> None:
        try:
            self._database = sqlite3.connect(path)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise EvidenceError(f"{path} cannot be used as a cache: {error}", hint="name another file") from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def get(self, key: str) -> str | None:
        """Return the text of a reply that is here."""
        row = self._database.execute("SELECT text FROM reply WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def put(self, key: str, model: str, stage: str, reply: Completion) -> None:
        """Keep a reply; each is a transaction of its own."""
        row = (key, model, stage, reply.text, reply.prompt_tokens, reply.new_tokens)
        with self._database:
            self._database.execute("INSERT OR REPLACE INTO reply VALUES (?, ?, ?, ?, ?, ?)", row)


def key(model: str, system: str, user: str) -> str:
    """Return the name of a question."""
    return hashlib.sha256(json.dumps([model, system, user]).encode()).hexdigest()
