"""A folder of a search, opened: plan from the command line or from the folder, local records, transport."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trimtab.claims.name_registry import Registry
from trimtab.disk import write_json
from trimtab.errors import SearchError
from trimtab.literature import catalogue, facets, local_records, published_figures, search_session, title_vectors
from trimtab.literature.bodies import Bodies
from trimtab.literature.local_records import Held
from trimtab.literature.search_plan import Plan
from trimtab.literature.search_session import LocalSources
from trimtab.literature.transport import Rules, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trimtab.literature.facets import Expansion
    from trimtab.literature.search_session import Search, Similarity
    from trimtab.literature.title_vectors import Embedder
    from trimtab.literature.transport import Mode

_TEXT_INTERVAL_S: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a user asks for, before it is a plan. Paths are absolute, so that it can be done again from anywhere.

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
    hosts: tuple[str, ...] = field(default=("export.arxiv.org",))
    embed: tuple[str, str] | None = None
    expansion: Expansion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedSearch:
    """What will be done, what is here already, and the names it is read with."""

    wishes: Wishes
    plan: Plan
    here: LocalSources
    registry: Registry


def prepare(wishes: Wishes) -> PreparedSearch:
    """Read everything that is here, and return what will be done.

    Raises:
        SearchError: The question names nothing known, or there is nowhere to look.
        EvidenceError: A file or a folder cannot be read.
    """
    registry = Registry.load(*wishes.aliases)
    question, found = facets.of_question(wishes.question, registry, wishes.given)
    places = catalogue.places(wishes.databases, wishes.file)
    if not (places or wishes.corpora or wishes.imports or wishes.sources):
        raise SearchError(
            "there is nowhere to look",
            hint="name databases (--database arxiv), a local corpus (--corpus alf-lb), a bibliography (--import"
            " refs.bib) or a folder (--sources papers/)",
        )
    here = _local(wishes, [place.open().name for place in places])
    made = Plan(
        text=" ".join(wishes.question.split()),
        question=question,
        facets=found,
        queries=facets.queries(found, wishes.expansion.terms if wishes.expansion else ()),
        places=places,
        limit=wishes.limit,
        files=tuple((place.name, place.sha256) for place in here.places if place.kind != "local corpus"),
        corpora=tuple((corpus.name, corpus.sha256) for corpus in here.corpora),
        texts=wishes.texts,
        hosts=wishes.hosts,
        aliases=tuple((path.name, local_records.digest(path)) for path in wishes.aliases),
        embed=wishes.embed,
        expansion=wishes.expansion,
    )
    return PreparedSearch(wishes=wishes, plan=made, here=here, registry=registry)


def _local(wishes: Wishes, databases: Iterable[str]) -> LocalSources:
    """Read what needs no network."""
    corpora = tuple(map(published_figures.load, wishes.corpora))
    held = [
        Held(
            name=corpus.name,
            kind="local corpus",
            sha256=corpus.sha256,
            records=corpus.records,
            documents=corpus.documents,
        )
        for corpus in corpora
    ]
    taken = (*databases, *(corpus.name for corpus in corpora))
    names = local_records.names((*wishes.imports, *wishes.sources), taken)
    first = len(wishes.imports)
    held += map(local_records.bibliography, wishes.imports, names[:first])
    held += map(local_records.folder, wishes.sources, names[first:])
    return LocalSources(places=tuple(held), corpora=corpora)


def transport(made: Plan, folder: Path, mode: Mode, contact: str = "") -> Transport:
    """Return what asks for a plan: only its databases and the hosts of full texts."""
    hosts = dict.fromkeys(made.hosts if made.texts else (), _TEXT_INTERVAL_S)
    for place in made.places:
        hosts[place.host] = max(place.interval_s, 0.0)
    who = f" (mailto:{contact})" if contact else ""
    agent = f"trimtab/{version('trimtab')} Python/{platform.python_version()}{who}"
    return Transport(Rules(hosts=hosts, agent=agent), Bodies(folder / "bodies"), mode)


def search(
    prepared: PreparedSearch,
    folder: Path,
    mode: Mode = "live",
    contact: str = "",
    tell: Callable[[str], None] = print,
    embedder: Embedder | None = None,
) -> tuple[Search, int]:
    """Search, or go on with a search, in a folder; return it, and the number of requests that were sent.

    Raises:
        SearchError: The folder holds another search, or nothing can be asked.
    """
    made = prepared.plan
    made.claim(folder)
    keep(prepared.wishes, folder)
    with transport(made, folder, mode, contact) as asking:
        found = search_session.run(
            made, prepared.here, prepared.registry, asking, tell, _similarity(made, folder, embedder)
        )
        search_session.write(found, folder)
        return found, asking.requests


def _similarity(made: Plan, folder: Path, embedder: Embedder | None) -> Similarity | None:
    if made.embed is None:
        return None
    _, model = made.embed
    return partial(
        title_vectors.similarities, made.text, model=model, embedder=embedder, path=folder / "embeddings.sqlite"
    )


def keep(wishes: Wishes, folder: Path) -> None:
    """Write down what was asked for, so that the report can be made of the folder alone."""
    values = {
        "question": wishes.question,
        "databases": wishes.databases,
        "file": str(wishes.file) if wishes.file else None,
        "corpora": wishes.corpora,
        "imports": [str(path) for path in wishes.imports],
        "sources": [str(path) for path in wishes.sources],
        "given": wishes.given,
        "aliases": [str(path) for path in wishes.aliases],
        "limit": wishes.limit,
        "texts": wishes.texts,
        "hosts": wishes.hosts,
        "embed": wishes.embed,
        "expansion": wishes.expansion.record() if wishes.expansion else None,
    }
    write_json(folder / "wishes.json", values)


def expansion_of(folder: Path, wishes: Wishes, origin: str = "") -> Expansion | None:
    """Return what a model proposed for the same question in this folder, so that it is not asked twice.

    Args:
        folder: Of the search.
        wishes: The question and its facets.
        origin: The model; empty takes whichever it was.
    """
    if not (folder / "wishes.json").exists():
        return None
    held = wishes_of(folder)
    same = (held.question, held.given) == (wishes.question, wishes.given)
    made = held.expansion if same else None
    return made if made and origin in ("", made.origin) else None


def wishes_of(folder: Path) -> Wishes:
    """Return what a folder's search was asked for.

    Raises:
        SearchError: It is no folder of a search.
    """
    try:
        held = json.loads((folder / "wishes.json").read_text(encoding="utf-8"))
        return Wishes(
            question=held["question"],
            databases=tuple(held["databases"]),
            file=Path(held["file"]) if held["file"] else None,
            corpora=tuple(held["corpora"]),
            imports=tuple(map(Path, held.get("imports", ()))),
            sources=tuple(map(Path, held["sources"])),
            given=tuple(held["given"]),
            aliases=tuple(map(Path, held["aliases"])),
            limit=held["limit"],
            texts=held["texts"],
            hosts=tuple(held["hosts"]),
            embed=tuple(held["embed"]) if held.get("embed") else None,
            expansion=facets.Expansion.of(held["expansion"]) if held.get("expansion") else None,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SearchError(
            f"{folder} holds no search: {error}", hint="run `trimtab evidence search` with -o first"
        ) from error
