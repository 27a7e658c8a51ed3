"""arXiv: Atom over ``export.arxiv.org/api/query``; one request in three seconds, on one connection (its API manual)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.documents.formats import markup
from trimtab.documents.work import Identifiers, Retraction, Version, Work
from trimtab.errors import DocumentError
from trimtab.literature import database
from trimtab.literature.database import Found, FullText, Query, ResultPage
from trimtab.literature.request import Request
from trimtab.literature.transport import Unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml.etree import _Element as Element

    from trimtab.literature.request import ServerAnswer

_ATOM: Final = "{http://www.w3.org/2005/Atom}"
_OPEN: Final = "{http://a9.com/-/spec/opensearch/1.1/}"
_OWN: Final = "{http://arxiv.org/schemas/atom}"
_PAGE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ArXiv:
    """The search interface of arXiv."""

    url: str = "https://export.arxiv.org/api/query"
    name: str = "arXiv"

    def first(self, query: Query, limit: int) -> Request:
        """Return the request for the first page."""
        groups = (" OR ".join(f"all:{database.quoted(term)}" for term in group) for group in query.groups)
        words = " AND ".join(f"({group})" for group in groups)
        return self._page({"search_query": words}, 0, min(limit, _PAGE))

    def _page(self, asked: Mapping[str, str], start: int, size: int) -> Request:
        other_params = {name: value for name, value in asked.items() if name not in ("start", "max_results")}
        other_params |= {
            "sortBy": "relevance",
            "sortOrder": "descending",
            "start": str(start),
            "max_results": str(size),
        }
        return Request(url=self.url, params=tuple(other_params.items()))

    def read(self, request: Request, answer: ServerAnswer) -> ResultPage:
        """Return the entries of a feed; a page that is empty though more was announced is asked for again."""
        try:
            feed = markup.parse_xml(answer.body, "the answer of arXiv")
        except DocumentError as error:
            raise Unreadable(error.message) from error
        if feed.tag != f"{_ATOM}feed":
            raise Unreadable(f"the answer is no Atom feed: {feed.tag}")
        entries = feed.findall(f"{_ATOM}entry")
        total, total_and_params = database.whole(feed.findtext(f"{_OPEN}totalResults", "")), dict(request.params)
        start = database.whole(total_and_params.get("start", "0")) or 0
        if not entries and start < (total or 0):
            raise Unreadable(f"an empty page, though {total} results were announced")
        errors = [_line(one, f"{_ATOM}summary") for one in entries if "/api/errors" in _line(one, f"{_ATOM}id")]
        records = [_record(one) for one in entries if "/api/errors" not in _line(one, f"{_ATOM}id")]
        end = start + len(entries)
        size = database.whole(total_and_params.get("max_results", "")) or _PAGE
        following = self._page(total_and_params, end, size) if entries and end < (total or 0) else None
        return ResultPage(
            records=tuple(records), total=total, following=following, skipped=tuple(f"arXiv says: {e}" for e in errors)
        )


def _line(entry: Element, name: str) -> str:
    return " ".join(entry.findtext(name, "").split())


def _record(entry: Element) -> Found:
    address = _line(entry, f"{_ATOM}id")
    number, version = database.arxiv(address)
    published, updated = _line(entry, f"{_ATOM}published"), _line(entry, f"{_ATOM}updated")
    doi = database.doi(_line(entry, f"{_OWN}doi"))
    versions = [Version(name=version or "v1", year=_year(updated), venue="arXiv", url=address)]
    if doi:
        venue = _line(entry, f"{_OWN}journal_ref")
        versions.append(Version(name="published", venue=venue, doi=doi, url=f"https://doi.org/{doi}"))
    comment = _line(entry, f"{_OWN}comment")
    work = Work(
        id=database.name_of(arxiv=number, other=address),
        title=_line(entry, f"{_ATOM}title"),
        authors=tuple(database.author(_line(one, f"{_ATOM}name")) for one in entry.findall(f"{_ATOM}author")),
        year=_year(published),
        ids=Identifiers(arxiv=number, doi=doi),
        versions=tuple(versions),
        abstract=_line(entry, f"{_ATOM}summary"),
        retraction=Retraction(kind="withdrawn", notice=comment) if "withdrawn" in comment.casefold() else None,
    )
    texts = tuple(
        FullText(url=link.get("href", "").replace("http://", "https://"), licence="arXiv", version=version)
        for link in entry.findall(f"{_ATOM}link")
        if link.get("type") == "application/pdf"
    )
    return Found(work=work, database="arXiv", kind="preprint", texts=texts)


def _year(date: str) -> int | None:
    return database.whole(date[:4])
