"""Sentence embeddings of titles and abstracts, by a model the user names, kept so that a report needs no model.

A vector is rounded to half precision when it is kept, and what is ranked is what was kept: the first run, one that was
ended and resumed, and a replay see the same numbers.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

import numpy as np

from trimtab.errors import SearchError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from trimtab.documents.work import Work

_SCHEMA = "CREATE TABLE IF NOT EXISTS vector (key TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT"


class Embedder(Protocol):
    """Turns a text into a vector."""

    @property
    def name(self) -> str:
        """Return what it is called in the log."""
        ...

    @property
    def sha256(self) -> str:
        """Return a SHA-256 over everything it is made of; vectors of two of them are never mixed."""
        ...

    def embed(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a text, [D], of length one."""
        ...


def text_of(work: Work) -> str:
    """Return what of a work is embedded."""
    return f"{work.title}\n{work.abstract}".strip()


def similarities(
    question: str, works: Sequence[Work], model: str, embedder: Embedder | None, path: Path
) -> NDArray[np.float64]:  # fmt: skip
    """Return the cosine of each work's vector with the question's, [N].

    Args:
        question: In words.
        works: In any order.
        model: SHA-256 of the model whose vectors are wanted.
        embedder: That model; None takes what is kept alone.
        path: SQLite file of vectors, made when absent.

    Raises:
        SearchError: A vector is not kept and there is no embedder, or the file is something else.
    """
    try:
        with closing(sqlite3.connect(path)) as kept:
            kept.execute(_SCHEMA)
            found = [_vector(text, model, embedder, kept) for text in (question, *map(text_of, works))]
    except sqlite3.Error as error:
        raise SearchError(f"{path} cannot be used for embeddings: {error}", hint="name another folder") from error
    asked, *others = found
    return np.array([float(asked @ one) for one in others], dtype=np.float64)


def _vector(text: str, model: str, embedder: Embedder | None, kept: sqlite3.Connection) -> NDArray[np.float64]:
    key = hashlib.sha256(json.dumps([model, text]).encode()).hexdigest()
    row = kept.execute("SELECT data FROM vector WHERE key = ?", (key,)).fetchone()
    if row is None:
        if embedder is None:
            raise SearchError(
                f"{text[:60]!r} was never embedded", hint="run the same `trimtab evidence search` again with --embed"
            )
        row = (embedder.embed(text).astype("<f2").tobytes(),)
        with kept:
            kept.execute("INSERT INTO vector VALUES (?, ?)", (key, row[0]))
    vector = np.frombuffer(row[0], dtype="<f2").astype(np.float64)
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
