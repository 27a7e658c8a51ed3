"""DBLP: JSON over ``dblp.org/search/publ/api``, by its documented format; no recorded answer of it was at hand.

Its search knows prefixes, ``|`` for or, and a space for and; it has no phrases and no abstracts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab.documents.work import Author, Identifiers, Version, Work
from trimtab.literature import database
from trimtab.literature.database import Found, FullText, Query, ResultPage
from trimtab.literature.request import Request
from trimtab.literature.transport import Unreadable

if TYPE_CHECKING:
    from trimtab.literature.request import ServerAnswer

_PAGE: Final = 100
_NUMBERED: Final = re.compile(r"\s+\d{4}$")  # "Wei Wang 0001": DBLP numbers people of the same name
_PARTS: Final = re.compile(r"[^\w+]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class DBLP:
    """The publication search of DBLP."""

    url: str = "https://dblp.org/search/publ/api"
    name: str = "DBLP"

    def first(self, query: Query, limit: int) -> Request:
        """Return the request for the first page; a term of several words is joined, as DBLP's search takes it."""
        groups = ("|".join(_PARTS.sub("-", term).strip("-") for term in group) for group in query.groups)
        return self._page(" ".join(groups), 0, min(limit, _PAGE))

    def _page(self, words: str, start: int, size: int) -> Request:
        params = (("q", words), ("format", "json"), ("h", str(size)), ("f", str(start)), ("c", "0"))
        return Request(url=self.url, params=params)

    def read(self, request: Request, answer: ServerAnswer) -> ResultPage:
        """Return the hits of an answer."""
        result = database.mapping(database.json_of(answer).get("result"), "the result")
        hits = database.mapping(result.get("hits"), "the list of hits")
        entries = hits.get("hit") or []
        infos = [one["info"] for one in database.listed(entries) if isinstance(one.get("info"), dict)]
        total, total_and_params = database.whole(hits.get("@total")), dict(request.params)
        start, size = (
            database.whole(total_and_params.get("f", "0")) or 0,
            database.whole(total_and_params.get("h", "")) or _PAGE,
        )
        if not infos and start < (total or 0):
            raise Unreadable(f"an empty page, though {total} hits were announced")
        end = start + len(infos)
        following = self._page(total_and_params["q"], end, size) if infos and end < (total or 0) else None
        return ResultPage(records=tuple(map(_record, infos)), total=total, following=following)


def _record(info: dict[str, Any]) -> Found:
    address = str(info.get("ee") or "") if not isinstance(info.get("ee"), list) else str(info["ee"][0])
    doi = database.doi(str(info.get("doi") or ""))
    number = database.arxiv(doi or address)[0] if "arxiv" in (doi + address).casefold() else ""
    year, kind = database.whole(info.get("year")), str(info.get("type") or "")
    preprint = kind == "Informal and Other Publications" or bool(number)
    work = Work(
        id=database.name_of(doi=doi, arxiv=number, other=f"dblp:{info.get('key', '')}"),
        title=database.plain(str(info.get("title") or "")).rstrip("."),
        authors=tuple(_people(info.get("authors"))),
        year=year,
        ids=Identifiers(doi=doi, arxiv=number),
        versions=(
            Version(
                name="preprint" if preprint else "published",
                year=year,
                venue=str(info.get("venue") or ""),
                url=address or str(info.get("url") or ""),
                doi=doi,
            ),
        ),
    )
    texts = (FullText(url=address),) if address.endswith(".pdf") and info.get("access") == "open" else ()
    return Found(work=work, database="DBLP", kind=kind, texts=texts)


def _people(authors: object) -> list[Author]:
    """Return the authors; a single one is not in a list."""
    held = authors.get("author") if isinstance(authors, dict) else None
    entries = held if isinstance(held, list) else [held]
    names = [one.get("text", "") if isinstance(one, dict) else str(one or "") for one in entries]
    return [database.author(_NUMBERED.sub("", name)) for name in names if name]
