"""What a search is: what a user wishes, and what that comes to with everything that is here already.

Both are written down before anything is asked. A folder holds one search: the same plan goes on where it was, another
one is refused, and the wishes are enough to do it again.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 - pydantic reads it
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from trimtab.claims.name_registry import Registry
from trimtab.disk import read_json, write_atomic, write_json
from trimtab.errors import SearchError
from trimtab.literature import catalogue, facets, local_records, published_figures
from trimtab.literature.facets import Expansion  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trimtab.claims.question import Question
    from trimtab.literature.database import Database, Query
    from trimtab.literature.facets import Facet
    from trimtab.literature.local_records import Held
    from trimtab.literature.published_figures import FiguresCorpus

WISHES: Final = "wishes.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a user asks for. Paths are absolute, so that it can be done again from anywhere.

    Attributes:
        question: In words.
        databases: Names.
        file: Of other addresses; None for the usual ones.
        corpora: Names of local corpora or files of figures.
        imports: BibTeX, RIS and CSL-JSON files.
        sources: Folders of documents.
        given: Facets in words.
        aliases: Files of further names.
        limit: Records of one query at most.
        texts: Full texts fetched at most.
        hosts: Hosts full texts may be fetched from.
        embed: Name and SHA-256 of the model whose embeddings rank beside words.
        expansion: What a model proposed to search for besides.
    """

    question: str
    databases: tuple[str, ...] = ()
    file: Path | None = None
    corpora: tuple[str, ...] = ()
    imports: tuple[Path, ...] = ()
    sources: tuple[Path, ...] = ()
    given: tuple[str, ...] = ()
    aliases: tuple[Path, ...] = ()
    limit: int = 200
    texts: int = 0
    hosts: tuple[str, ...] = ("export.arxiv.org",)
    embed: tuple[str, str] | None = None
    expansion: Expansion | None = None

    def keep(self, folder: Path) -> None:
        """Write them down, so that the report can be made of the folder alone."""
        write_json(folder / WISHES, TypeAdapter(Wishes).dump_python(self, mode="json"))

    @classmethod
    def of(cls, folder: Path) -> Wishes:
        """Return what a folder's search was asked for.

        Raises:
            SearchError: It is no folder of a search.
        """
        try:
            return TypeAdapter(Wishes).validate_python(read_json(folder / WISHES, error=SearchError))
        except (SearchError, ValueError) as error:
            raise SearchError(
                f"{folder} holds no search: {error}", hint="run `trimtab evidence search` with -o first"
            ) from error

    def expansion_in(self, folder: Path, origin: str = "") -> Expansion | None:
        """Return what a model proposed for the same question in a folder, so that it is not asked twice.

        Args:
            folder: Of the search.
            origin: The model; empty takes whichever it was.
        """
        if not (folder / WISHES).exists():
            return None
        held = Wishes.of(folder)
        made = held.expansion if (held.question, held.given) == (self.question, self.given) else None
        return made if made and origin in ("", made.origin) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One search, prepared: everything that needs no network is read.

    Attributes:
        wishes: What it was made of.
        question: In known names; None where a user gave all facets in words.
        facets: What a record has to use.
        queries: What databases are asked.
        databases: Which.
        here: Imports, folders and corpora, with their records and documents.
        corpora: The corpora among them, whose figures are claims.
        registry: The names it is read with.
    """

    wishes: Wishes
    question: Question | None
    facets: tuple[Facet, ...]
    queries: tuple[Query, ...]
    databases: tuple[Database, ...]
    here: tuple[Held, ...]
    corpora: tuple[FiguresCorpus, ...]
    registry: Registry = field(repr=False)

    @property
    def text(self) -> str:
        """The question as asked."""
        return " ".join(self.wishes.question.split())

    def record(self) -> dict[str, Any]:
        """Return everything that decides the result as plain values, files by their SHA-256."""
        wishes = self.wishes
        record = {
            "question": self.text,
            "facets": [{"name": one.name, "terms": one.terms, "ids": one.ids} for one in self.facets],
            "queries": [{"name": one.name, "groups": one.groups} for one in self.queries],
            "databases": [{"id": one.id, "url": one.url} for one in self.databases],
            "limit": wishes.limit,
            "files": [(one.name, one.sha256) for one in self.here if one.kind != "local corpus"],
            "corpora": [(one.name, one.sha256) for one in self.here if one.kind == "local corpus"],
            "texts": wishes.texts,
            "hosts": wishes.hosts,
            "aliases": [(path.name, local_records.digest(path)) for path in wishes.aliases],
        }
        if wishes.embed:
            record["embed"] = wishes.embed
        if wishes.expansion:
            record["expansion"] = wishes.expansion.record()
        return record

    def claim(self, folder: Path) -> None:
        """Make a folder this search's.

        Raises:
            SearchError: It holds another one; the message says what differs.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path, text = folder / "search.json", json.dumps(self.record(), indent=1, ensure_ascii=False) + "\n"
        held = path.read_text(encoding="utf-8") if path.exists() else text
        if held != text:
            lines = difflib.unified_diff(held.splitlines(), text.splitlines(), "held", "asked", lineterm="", n=0)
            changed = "\n".join([line for line in lines if not line.startswith("@@")][:12])
            raise SearchError(f"{folder} holds another search:\n{changed}", hint="choose another folder with -o")
        write_atomic(path, text)
        self.wishes.keep(folder)


def prepare(wishes: Wishes) -> Plan:
    """Read everything that is here, and return what will be done.

    Raises:
        SearchError: The question names nothing known, or there is nowhere to look.
        EvidenceError: A file or a folder cannot be read.
    """
    registry = Registry.load(*wishes.aliases)
    question, found = facets.of_question(wishes.question, registry, wishes.given)
    databases = catalogue.named(wishes.databases, wishes.file)
    if not (databases or wishes.corpora or wishes.imports or wishes.sources):
        raise SearchError(
            "there is nowhere to look",
            hint="name databases (--database arxiv), a local corpus (--corpus alf-lb), a bibliography (--import"
            " refs.bib) or a folder (--sources papers/)",
        )
    corpora = tuple(map(published_figures.load, wishes.corpora))
    taken = (*(one.name for one in databases), *(corpus.name for corpus in corpora))
    return Plan(
        wishes=wishes,
        question=question,
        facets=found,
        queries=facets.queries(found, wishes.expansion.terms if wishes.expansion else ()),
        databases=databases,
        here=(*(corpus.held for corpus in corpora), *_held(wishes, taken)),
        corpora=corpora,
        registry=registry,
    )


def _held(wishes: Wishes, taken: Iterable[str]) -> Iterable[Held]:
    """Yield the imports and the folders, each under a name of its own."""
    first = len(wishes.imports)
    names = local_records.names((*wishes.imports, *wishes.sources), taken)
    yield from map(local_records.bibliography, wishes.imports, names[:first])
    yield from map(local_records.folder, wishes.sources, names[first:])
