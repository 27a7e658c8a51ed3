"""OpenAlex: JSON over ``api.openalex.org/works``; a cursor leads on, a key is needed and every search costs money.

Its documentation (developers.openalex.org, read in 2026) says: a free key is worth one dollar a day, a search costs
0.001 dollars, looking up one work nothing. What a search will cost at most is said before, what it did cost after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab.documents.work import Identifiers, Retraction, Version, Work
from trimtab.literature import database
from trimtab.literature.database import Found, FullText, Query, ResultPage
from trimtab.literature.request import Request
from trimtab.literature.transport import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.literature.request import ServerAnswer

_PAGE: Final = 100
DOLLARS_A_SEARCH: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAlex:
    """The works of OpenAlex."""

    url: str = "https://api.openalex.org/works"
    key: str = ""
    name: str = "OpenAlex"

    def first(self, query: Query, limit: int) -> Request:
        """Return the request for the first page."""
        size = str(min(limit, _PAGE))
        private = (("api_key", self.key),) if self.key else ()
        return Request(
            url=self.url, params=(("search", str(query)), ("per_page", size), ("cursor", "*")), private=private
        )

    def read(self, request: Request, answer: ServerAnswer) -> ResultPage:
        """Return the works of a list, or the one asked for."""
        whole = database.json_of(answer)
        if str(whole.get("id", "")).startswith("https://openalex.org/W"):
            return ResultPage(records=(_record(whole),), total=1)
        if "results" not in whole:
            raise Unreadable("the answer has no list of works and is none")
        works = [one for one in database.listed(whole["results"]) if one.get("id")]
        meta = whole["meta"] if isinstance(whole.get("meta"), dict) else {}
        cursor = str(meta.get("next_cursor") or "")
        return ResultPage(
            records=tuple(map(_record, works)),
            total=database.whole(meta.get("count")),
            following=database.leading_on(request, "cursor", cursor) if cursor and works else None,
        )


def _record(item: dict[str, Any]) -> Found:
    ids = item["ids"] if isinstance(item.get("ids"), dict) else {}
    doi = database.doi(str(item.get("doi") or ids.get("doi") or ""))
    places = [one for one in (item.get("primary_location"), *database.listed(item.get("locations"))) if one]
    number = database.arxiv(doi)[0] if "arxiv" in doi else _arxiv(places)
    identity = str(item["id"]).rsplit("/", 1)[-1]
    work = Work(
        id=database.name_of(doi=doi, arxiv=number, other=f"openalex:{identity}"),
        title=database.plain(str(item.get("title") or item.get("display_name") or "")),
        authors=tuple(
            database.author(str(name))
            for one in database.listed(item.get("authorships"))
            if (name := (one.get("author") or {}).get("display_name") or one.get("raw_author_name"))
        ),
        year=database.whole(item.get("publication_year")),
        ids=Identifiers(
            doi=doi, arxiv=number, openalex=identity, pubmed=str(ids.get("pmid") or "").rstrip("/").rsplit("/", 1)[-1]
        ),
        versions=tuple(_versions(item, places, doi)),
        abstract=_abstract(item.get("abstract_inverted_index")),
        retraction=Retraction(kind="retracted", notice="OpenAlex") if item.get("is_retracted") is True else None,
    )
    return Found(work=work, database="OpenAlex", kind=str(item.get("type") or ""), texts=tuple(_texts(places)))


def _arxiv(places: list[dict[str, Any]]) -> str:
    for place in places:
        address = str(place.get("landing_page_url") or "")
        if "arxiv.org" in address:
            return database.arxiv(address)[0]
    return ""


def _versions(item: dict[str, Any], places: list[dict[str, Any]], doi: str) -> Iterator[Version]:
    """Yield each version OpenAlex knows a place of, once."""
    names = {"submittedVersion": "preprint", "acceptedVersion": "accepted", "publishedVersion": "published"}
    seen = set()
    for place in places:
        name = names.get(str(place.get("version")), "")
        address = str(place.get("landing_page_url") or "")
        if (name, address) in seen:
            continue
        seen.add((name, address))
        source = place["source"] if isinstance(place.get("source"), dict) else {}
        venue, year = str(source.get("display_name") or ""), database.whole(item.get("publication_year"))
        yield Version(name=name, year=year, venue=venue, url=address, doi=doi if address.endswith(doi) and doi else "")


def _texts(places: list[dict[str, Any]]) -> Iterator[FullText]:
    seen = set()
    for place in places:
        address = str(place.get("pdf_url") or "")
        if address and place.get("is_oa") and address not in seen:
            seen.add(address)
            yield FullText(
                url=address, licence=str(place.get("license") or ""), version=str(place.get("version") or "")
            )


def _abstract(index: object) -> str:
    """Return the text of an inverted index, word → places."""
    if not isinstance(index, dict):
        return ""
    words = [
        (place, str(word))
        for word, places in index.items()
        if isinstance(places, list)
        for place in places
        if isinstance(place, int)
    ]
    return database.plain(" ".join(word for _, word in sorted(words)))
