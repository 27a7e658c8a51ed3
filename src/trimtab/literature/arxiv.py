"""arXiv: Atom over ``export.arxiv.org/api/query``; one request in three seconds, on one connection (its API manual)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trimtab.documents.formats import markup
from trimtab.documents.work import Identifiers, Retraction, Version, Work
from trimtab.errors import DocumentError
from trimtab.literature import json_paths, metadata
from trimtab.literature.database import Database, Found, FullText, Query, ResultPage
from trimtab.literature.transport import Unreadable

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

EXPORT_HOST: Final = "export.arxiv.org"
"""The host arXiv keeps for programs."""

_SPACES: Final = {
    None: "http://www.w3.org/2005/Atom",
    "search": "http://a9.com/-/spec/opensearch/1.1/",
    "arxiv": "http://arxiv.org/schemas/atom",
}


def _ask(query: Query, size: int) -> dict[str, str]:
    return {
        "search_query": query.written(field="all:"),
        "sortBy": "relevance",
        "sortOrder": "descending",
        "start": "0",
        "max_results": str(size),
    }


def _page(body: bytes) -> ResultPage:
    """Return the entries of a feed; an error is an entry, too."""
    try:
        feed = markup.parse_xml(body, "the answer of arXiv")
    except DocumentError as error:
        raise Unreadable(error.message) from error
    if feed.tag != f"{{{_SPACES[None]}}}feed":
        raise Unreadable(f"the answer is no Atom feed: {feed.tag}")
    entries = feed.findall("entry", _SPACES)
    errors = [entry for entry in entries if "/api/errors" in _line(entry, "id")]
    return ResultPage(
        records=tuple(_record(entry) for entry in entries if entry not in errors),
        total=json_paths.whole(_line(feed, "search:totalResults")),
        skipped=tuple(f"arXiv says: {_line(entry, 'summary')}" for entry in errors),
    )


def _line(entry: Element, path: str) -> str:
    return " ".join(entry.findtext(path, "", _SPACES).split())


def _record(entry: Element) -> Found:
    address, comment = _line(entry, "id"), _line(entry, "arxiv:comment")
    number, version = metadata.arxiv(address)
    ids = Identifiers(arxiv=number, doi=metadata.doi(_line(entry, "arxiv:doi")))
    versions = [Version(name=version or "v1", year=_year(entry, "updated"), venue="arXiv", url=address)]
    if ids.doi:
        venue = _line(entry, "arxiv:journal_ref")
        versions.append(Version(name="published", venue=venue, doi=ids.doi, url=f"https://doi.org/{ids.doi}"))
    work = Work(
        id=metadata.work_id(ids, address),
        title=_line(entry, "title"),
        authors=tuple(metadata.author(_line(person, "name")) for person in entry.findall("author", _SPACES)),
        year=_year(entry, "published"),
        ids=ids,
        versions=tuple(versions),
        abstract=_line(entry, "summary"),
        retraction=Retraction(kind="withdrawn", notice=comment) if "withdrawn" in comment.casefold() else None,
    )
    texts = tuple(
        FullText(url=link.get("href", "").replace("http://", "https://"), licence="arXiv", version=version)
        for link in entry.findall("link[@type='application/pdf']", _SPACES)
    )
    return Found(work=work, database="arXiv", kind="preprint", texts=texts)


def _year(entry: Element, path: str) -> int | None:
    return json_paths.whole(_line(entry, path)[:4])


ARXIV: Final = Database(
    id="arxiv",
    name="arXiv",
    url=f"https://{EXPORT_HOST}/api/query",
    interval_s=3.0,
    ask=_ask,
    parse=_page,
    offset="start",
)
