"""What a search is: question, facets, queries, places, limits, files. It is written down before anything is asked.

A folder holds one search. The same plan goes on where it was; another one is refused.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trimtab.disk import write_atomic
from trimtab.errors import SearchError

if TYPE_CHECKING:
    from pathlib import Path

    from trimtab.claims.question import Question
    from trimtab.literature.catalogue import DatabasePlace
    from trimtab.literature.database import Query
    from trimtab.literature.facets import Expansion, Facet


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One search.

    Attributes:
        text: The question as asked.
        question: The same in known names; None where a user gave all facets in words.
        facets: What a record has to use.
        queries: What databases are asked.
        places: Databases.
        limit: Records taken of each query at most.
        files: Imports and folders of documents: name and SHA-256 of what is in them.
        corpora: Local corpora: name and SHA-256.
        texts: Full texts fetched at most; 0 fetches none.
        hosts: Hosts that full texts may be fetched from.
        aliases: Files of further names: path and SHA-256.
        expansion: What a model proposed to search for besides; None if none was asked.
        embed: Name and SHA-256 of the model whose embeddings rank beside words; None ranks by words alone.
    """

    text: str
    question: Question | None
    facets: tuple[Facet, ...]
    queries: tuple[Query, ...]
    places: tuple[DatabasePlace, ...]
    limit: int
    files: tuple[tuple[str, str], ...] = ()
    corpora: tuple[tuple[str, str], ...] = ()
    texts: int = 0
    hosts: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    embed: tuple[str, str] | None = None
    expansion: Expansion | None = None

    def record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "question": self.text,
            "facets": [{"name": one.name, "terms": one.terms, "ids": one.ids} for one in self.facets],
            "queries": [{"name": one.name, "groups": one.groups} for one in self.queries],
            "databases": [{"id": one.id, "url": one.url} for one in self.places],
            "limit": self.limit,
            "files": self.files,
            "corpora": self.corpora,
            "texts": self.texts,
            "hosts": self.hosts,
            "aliases": self.aliases,
        } | {
            name: value
            for name, value in (("embed", self.embed), ("expansion", self.expansion and self.expansion.record()))
            if value
        }

    def claim(self, folder: Path) -> None:
        """Make a folder this search's.

        Raises:
            SearchError: It holds another one; the message says what differs.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path, text = folder / "search.json", json.dumps(self.record(), indent=1, ensure_ascii=False) + "\n"
        if not path.exists():
            write_atomic(path, text)
            return
        held = path.read_text(encoding="utf-8")
        if held != text:
            lines = difflib.unified_diff(held.splitlines(), text.splitlines(), "held", "asked", lineterm="", n=0)
            changed = "\n".join([line for line in lines if not line.startswith("@@")][:12])
            raise SearchError(f"{folder} holds another search:\n{changed}", hint="choose another folder with -o")
