"""In which order records are read: SQLite's FTS5 over title and abstract, fused with embeddings where a model is named.

Fusion is by reciprocal rank (Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual
rank learning methods", SIGIR 2009): the sum of 1 / (60 + rank) over the rankings that have the record.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from trimtab.documents.work import Work

_FUSION: Final = 60  # the constant of Cormack et al. 2009
_WORD: Final = re.compile(r"\w+")


def by_words(works: Sequence[Work], terms: Iterable[str]) -> list[str]:
    """Return the ids of works that use a word of ``terms``, best first (BM25, titles count twice), ties by id."""
    phrases = dict.fromkeys(" ".join(_WORD.findall(term)) for term in terms)
    match = " OR ".join(f'"{phrase}"' for phrase in phrases if phrase)
    if not match:
        return []
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(
            "CREATE VIRTUAL TABLE record USING fts5 (id UNINDEXED, title, abstract,"
            " tokenize = 'porter unicode61 remove_diacritics 2')"
        )
        rows = ((work.id, work.title, work.abstract) for work in works)
        database.executemany("INSERT INTO record VALUES (?, ?, ?)", rows)
        found = database.execute(
            "SELECT id FROM record WHERE record MATCH ? ORDER BY bm25(record, 0.0, 2.0, 1.0), id", (match,)
        )
        return [name for (name,) in found]


def by_meaning(works: Sequence[Work], similarity: Sequence[float] | NDArray[np.float64]) -> list[str]:
    """Return the ids of works, the most similar first, ties by id."""
    pairs = zip(works, similarity, strict=True)
    return [work.id for work, _ in sorted(pairs, key=lambda pair: (-float(pair[1]), pair[0].id))]


def fuse(*rankings: Sequence[str]) -> list[str]:
    """Return one ranking of several, by the sum of 1 / (60 + rank); ties by id.

    >>> fuse(["a", "b"], ["b", "c"])
    ['b', 'a', 'c']
    """
    scores: dict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, name in enumerate(ranking, 1):
            scores[name] += 1 / (_FUSION + rank)
    return sorted(scores, key=lambda name: (-scores[name], name))
