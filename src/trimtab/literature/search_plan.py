"""What a search is: what a user wishes, and what that comes to with everything that is here already.

Both are written down before anything is asked. A folder holds one search: the same plan goes on where it was, another
one is refused, and the wishes are enough to do it again.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path  # noqa: TC003 - pydantic reads it
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import TypeAdapter

from trimtab.claims.name_registry import Registry
from trimtab.disk import read_json, write_atomic, write_json
from trimtab.errors import SearchError
from trimtab.literature import catalogue, facets, local_records, published_figures
from trimtab.literature.arxiv import EXPORT_HOST
from trimtab.literature.facets import Expansion  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from trimtab.claims.question import Facet, Question
    from trimtab.literature.database import Database, Query
    from trimtab.literature.local_records import Held

WISHES: Final = "wishes.json"


class EmbeddingModel(NamedTuple):
    """A model by its name and the SHA-256 over everything it is made of."""

    name: str
    sha256: str


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
        embed: The model whose embeddings rank beside words.
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
    hosts: tuple[str, ...] = (EXPORT_HOST,)
    embed: EmbeddingModel | None = None
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
        same = (held.question, held.given) == (self.question, self.given)
        return held.expansion if same and held.expansion and origin in ("", held.expansion.origin) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One search, prepared: everything that needs no network is read.

    Attributes:
        wishes: What it was made of.
        question: In known names; None where a user gave all facets in words.
        facets: What a record has to use.
        queries: What databases are asked.
        databases: Which.
        here: Local corpora, imports and folders, with their records and documents.
        registry: The names it is read with.
    """

    wishes: Wishes
    question: Question | None
    facets: tuple[Facet, ...]
    queries: tuple[Query, ...]
    databases: tuple[Database, ...]
    here: tuple[Held, ...]
    registry: Registry = field(repr=False)

    @property
    def text(self) -> str:
        """The question as asked."""
        return " ".join(self.wishes.question.split())

    @property
    def corpora(self) -> tuple[Held, ...]:
        """The local corpora, whose figures are claims."""
        return tuple(place for place in self.here if place.kind == "local corpus")

    def record(self) -> dict[str, Any]:
        """Return everything that decides the result as plain values, files by their SHA-256."""
        wishes = self.wishes
        record = {
            "question": self.text,
            "facets": [{"name": facet.name, "terms": facet.terms, "ids": facet.ids} for facet in self.facets],
            "queries": [{"name": query.name, "groups": query.groups} for query in self.queries],
            "databases": [{"id": database.id, "url": database.url} for database in self.databases],
            "limit": wishes.limit,
            "files": [(place.name, place.sha256) for place in self.here if place not in self.corpora],
            "corpora": [(place.name, place.sha256) for place in self.corpora],
            "texts": wishes.texts,
            "hosts": wishes.hosts,
            "aliases": [(path.name, local_records.digest(path)) for path in wishes.aliases],
            "embed": wishes.embed,
            "expansion": asdict(wishes.expansion) if wishes.expansion else None,
        }
        return {name: value for name, value in record.items() if value is not None}

    def claim(self, folder: Path) -> None:
        """Make a folder this search's.

        Raises:
            SearchError: It holds another one, and the message says what differs; or it is a file.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise SearchError(f"{folder} is a file", hint="name a folder with -o") from error
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
    question, question_facets = facets.of_question(wishes.question, registry, wishes.given)
    databases = catalogue.named(wishes.databases, wishes.file)
    if not (databases or wishes.corpora or wishes.imports or wishes.sources):
        raise SearchError(
            "there is nowhere to look",
            hint="name databases (--database arxiv), a local corpus (--corpus alf-lb), a bibliography (--import"
            " refs.bib) or a folder (--sources papers/)",
        )
    corpora, first = tuple(map(published_figures.load, wishes.corpora)), len(wishes.imports)
    taken = (*(place.name for place in databases), *(place.name for place in corpora))
    names = local_records.names((*wishes.imports, *wishes.sources), taken)
    return Plan(
        wishes=wishes,
        question=question,
        facets=question_facets,
        queries=facets.queries(question_facets, wishes.expansion.terms if wishes.expansion else ()),
        databases=databases,
        here=(
            *corpora,
            *map(local_records.bibliography, wishes.imports, names[:first]),
            *map(local_records.folder, wishes.sources, names[first:]),
        ),
        registry=registry,
    )
