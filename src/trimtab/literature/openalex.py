"""OpenAlex: JSON over ``api.openalex.org/works``; a cursor leads on, a key is needed and every search costs money.

Its documentation (developers.openalex.org, read in 2026) says: a free key is worth one dollar a day, a search costs
0.001 dollars, looking up one work nothing. What a search will cost at most is said before, what it did cost after.
"""

from __future__ import annotations

from typing import Any, Final

from trimtab.documents.work import Identifiers, Retraction, Version, Work
from trimtab.literature import json_paths, metadata
from trimtab.literature.database import Database, Found, FullText, Query, ResultPage
from trimtab.literature.json_paths import at, objects, text
from trimtab.literature.transport import Unreadable

DOLLARS_A_SEARCH: Final = 0.001
_VERSIONS: Final = {"submittedVersion": "preprint", "acceptedVersion": "accepted", "publishedVersion": "published"}


def _ask(query: Query, size: int) -> dict[str, str]:
    return {"search": str(query), "per_page": str(size), "cursor": "*"}


def _page(body: bytes) -> ResultPage:
    """Return the works of a list, or the one asked for."""
    whole = json_paths.read(body)
    if text(whole, "id").startswith("https://openalex.org/W"):
        return ResultPage(records=(_record(whole),), total=1)
    if "results" not in whole:
        raise Unreadable("the answer has no list of works and is none")
    cursor = text(whole, "meta.next_cursor")
    return ResultPage(
        records=tuple(_record(work) for work in objects(whole, "results") if work.get("id")),
        total=json_paths.whole(at(whole, "meta.count")),
        leads_on={"cursor": cursor} if cursor else {},
    )


def _record(item: dict[str, Any]) -> Found:
    doi, year = metadata.doi(text(item, "doi", "ids.doi")), json_paths.whole(item.get("publication_year"))
    places = [place for place in (item.get("primary_location"), *objects(item, "locations")) if place]
    pages = [text(place, "landing_page_url") for place in places]
    ids = Identifiers(
        doi=doi,
        arxiv=metadata.arxiv_of(doi, *pages)[0],
        openalex=text(item, "id").rsplit("/", 1)[-1],
        pubmed=text(item, "ids.pmid").rstrip("/").rsplit("/", 1)[-1],
    )
    versions = (
        Version(
            name=_VERSIONS.get(text(place, "version"), ""),
            year=year,
            venue=text(place, "source.display_name"),
            url=page,
            doi=doi if doi and page.endswith(doi) else "",
        )
        for place, page in zip(places, pages, strict=True)
    )
    names = (text(authorship, "author.display_name", "raw_author_name") for authorship in objects(item, "authorships"))
    work = Work(
        id=metadata.work_id(ids, f"openalex:{ids.openalex}"),
        title=metadata.plain(text(item, "title", "display_name")),
        authors=tuple(metadata.author(name) for name in names if name),
        year=year,
        ids=ids,
        versions=tuple(dict.fromkeys(versions)),
        abstract=_abstract(item.get("abstract_inverted_index")),
        retraction=Retraction(kind="retracted", notice="OpenAlex") if item.get("is_retracted") is True else None,
    )
    texts = (
        FullText(url=address, licence=text(place, "license"), version=text(place, "version"))
        for place in places
        if (address := text(place, "pdf_url")) and at(place, "is_oa")
    )
    return Found(work=work, database="OpenAlex", kind=text(item, "type"), texts=tuple(dict.fromkeys(texts)))


def _abstract(index: object) -> str:
    """Return the text of an inverted index, word → places."""
    places = index.items() if isinstance(index, dict) else ()
    words = [(at, word) for word, held in places if isinstance(held, list) for at in held if isinstance(at, int)]
    return metadata.plain(" ".join(word for _, word in sorted(words)))


OPENALEX: Final = Database(
    id="openalex",
    name="OpenAlex",
    url="https://api.openalex.org/works",
    interval_s=0.1,
    ask=_ask,
    parse=_page,
    key_variable="OPENALEX_API_KEY",
    key_parameter="api_key",
)
