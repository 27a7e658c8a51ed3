"""In which order records are read: SQLite's FTS5 over title and abstract, fused with embeddings where a model is named.

Fusion is by reciprocal rank (Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual
rank learning methods", SIGIR 2009): the sum of 1 / (60 + rank) over the rankings that have the record.

Embeddings are kept, so that a report needs no model. A vector is rounded to half precision when it is kept, and what is
ranked is what was vectors: the first run, one that was ended and resumed, and a replay see the same numbers.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING, Final

import numpy as np

from trimtab.errors import SearchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from trimtab.documents.work import Work

    Embed = Callable[[str], NDArray[np.float32]]
    """A text → its vector, [D], of length one."""

_FUSION: Final = 60  # the constant of Cormack et al. 2009
_WORD: Final = re.compile(r"\w+")
_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS vector (key TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT"


def by_words(works: Iterable[Work], terms: Iterable[str]) -> list[str]:
    """Return the ids of works that use a word of ``terms``, best first (BM25, titles count twice), ties by id."""
    phrases = dict.fromkeys(" ".join(_WORD.findall(term)) for term in terms)
    match = " OR ".join(f'"{phrase}"' for phrase in phrases if phrase)
    if not match:
        return []
    with closing(sqlite3.connect(":memory:")) as index:
        index.execute(
            "CREATE VIRTUAL TABLE record USING fts5 (id UNINDEXED, title, abstract,"
            " tokenize = 'porter unicode61 remove_diacritics 2')"
        )
        texts = ((work.id, work.title, work.abstract) for work in works)
        index.executemany("INSERT INTO record VALUES (?, ?, ?)", texts)
        rows = index.execute(
            "SELECT id FROM record WHERE record MATCH ? ORDER BY bm25(record, 0.0, 2.0, 1.0), id", (match,)
        )
        return [name for (name,) in rows]


def by_meaning(works: Sequence[Work], similarity: NDArray[np.float64]) -> list[str]:
    """Return the ids of works, the most similar [N] first, ties by id."""
    pairs = zip(similarity.tolist(), (work.id for work in works), strict=True)
    return [name for _, name in sorted(pairs, key=lambda pair: (-pair[0], pair[1]))]


def fuse(*rankings: Sequence[str]) -> list[str]:
    """Return one ranking of several, by the sum of 1 / (60 + rank); ties by id.

    >>> fuse(["a", "b"], ["b", "c"])
    ['b', 'a', 'c']
    """
    scores = defaultdict[str, float](float)
    for ranking in rankings:
        for rank, name in enumerate(ranking, 1):
            scores[name] += 1 / (_FUSION + rank)
    return sorted(scores, key=lambda name: (-scores[name], name))


def similarities(
    question: str, works: Iterable[Work], model: str, embed: Embed | None, path: Path
) -> NDArray[np.float64]:  # fmt: skip
    """Return the cosine of each work's vector with the question's, [N].

    Args:
        question: In words.
        works: In any order.
        model: SHA-256 over everything the wanted model is made of; vectors of two of them are never mixed.
        embed: That model; None takes what is kept alone.
        path: SQLite file of vectors, made when absent.

    Raises:
        SearchError: A vector is not kept and there is no model, or the file is something else.
    """
    texts = (question, *(f"{work.title}\n{work.abstract}".strip() for work in works))
    try:
        with closing(sqlite3.connect(path)) as vectors:
            vectors.execute(_SCHEMA)
            wanted, *others = (_vector(text, model, embed, vectors) for text in texts)
    except sqlite3.Error as error:
        raise SearchError(f"{path} cannot be used for embeddings: {error}", hint="name another folder") from error
    return np.array([float(wanted @ other) for other in others], dtype=np.float64)


def _vector(text: str, model: str, embed: Embed | None, vectors: sqlite3.Connection) -> NDArray[np.float64]:
    key = hashlib.sha256(json.dumps([model, text]).encode()).hexdigest()
    row = vectors.execute("SELECT data FROM vector WHERE key = ?", (key,)).fetchone()
    if row is None:
        if embed is None:
            raise SearchError(
                f"{text[:60]!r} was never embedded", hint="run the same `trimtab evidence search` again with --embed"
            )
        row = (embed(text).astype("<f2").tobytes(),)
        with vectors:
            vectors.execute("INSERT INTO vector VALUES (?, ?)", (key, row[0]))
    vector = np.frombuffer(row[0], dtype="<f2").astype(np.float64)
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
