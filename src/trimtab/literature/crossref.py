"""Crossref: JSON over ``api.crossref.org/works``; its rate is in the headers of each answer, a cursor leads on.

An e-mail address puts a request into the polite pool. Retractions are read where Crossref says so: on the work itself
(``updated-by``) and on the notice (``update-to``).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from trimtab.documents.work import Author, Identifiers, Retraction, Version, Work
from trimtab.literature import json_paths, metadata
from trimtab.literature.database import Database, Found, FullText, Query, ResultPage
from trimtab.literature.json_paths import at, objects, text
from trimtab.literature.transport import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

_WITHDRAWN: Final = frozenset({"retraction", "withdrawal", "removal", "partial_retraction", "expression_of_concern"})
_SAME: Final = ("is-preprint-of", "has-preprint", "is-version-of", "has-version", "is-identical-to")
_DATES: Final = ("issued", "published", "published-print", "published-online", "posted")


def _ask(query: Query, size: int) -> dict[str, str]:
    """Return the parameters; Crossref knows no AND, so all terms are one bag of words."""
    words = dict.fromkeys(word for group in query.groups for term in group for word in term.split())
    return {"query.bibliographic": " ".join(words), "rows": str(size), "cursor": "*"}


def _page(body: bytes) -> ResultPage:
    """Return the items of a list, or the one work asked for."""
    whole = json_paths.read(body)
    kind = text(whole, "message-type")
    if kind == "work":
        return ResultPage(records=(_record(at(whole, "message")),), total=1)
    if kind != "work-list":
        raise Unreadable(f"an answer of type {kind or 'unknown'!r} holds no works")
    items, cursor = objects(whole, "message.items"), text(whole, "message.next-cursor")
    works = [item for item in items if item.get("DOI")]
    return ResultPage(
        records=tuple(map(_record, works)),
        total=json_paths.whole(at(whole, "message.total-results")),
        leads_on={"cursor": cursor} if cursor else {},
        skipped=("an item without a DOI",) * (len(items) - len(works)),
    )


def _record(item: object) -> Found:
    doi, kind = metadata.doi(text(item, "DOI")), text(item, "subtype", "type")
    number, version = metadata.arxiv_of(doi)
    ids = Identifiers(doi=doi, arxiv=number)
    year = min((date.year for name in _DATES if (date := _date(item, name))), default=None)
    preprint = kind in ("preprint", "posted-content") or bool(number)
    published = Version(
        name=version or ("preprint" if preprint else "published"),
        year=year,
        venue=metadata.plain(text(item, "container-title.0")),
        url=text(item, "URL") or f"https://doi.org/{doi}",
        doi=doi,
    )
    retraction, notices = None, tuple(_withdrawn(item, "update-to"))
    if update := next(_withdrawn(item, "updated-by"), None):
        by = metadata.doi(text(update, "DOI"))
        retraction = Retraction(kind=update["type"], date=_date(update, "updated"), notice=by)
    work = Work(
        id=metadata.work_id(ids),
        title=metadata.plain(text(item, "title.0")),
        authors=tuple(
            Author(family=family, given=text(person, "given").strip())
            for person in objects(item, "author")
            if (family := text(person, "family", "name").strip())
        ),
        year=year,
        ids=ids,
        versions=(published,),
        abstract=metadata.plain(text(item, "abstract")),
        retraction=retraction,
    )
    licence = next((text(terms, "URL") for terms in objects(item, "license")), "")
    return Found(
        work=work,
        database="Crossref",
        kind="retraction notice" if notices else kind,
        texts=tuple(
            FullText(url=address, licence=licence, version=text(link, "content-version"))
            for link in objects(item, "link")
            if (address := text(link, "URL"))
        ),
        related=tuple(
            metadata.doi(text(relation, "id"))
            for kind in _SAME
            for relation in objects(item, f"relation.{kind}")
            if relation.get("id-type") == "doi"
        ),
        notices=tuple(metadata.doi(text(notice, "DOI")) for notice in notices),
    )


def _withdrawn(item: object, field: str) -> Iterator[dict[str, Any]]:
    """Yield the updates of a field by which a work is withdrawn."""
    return (update for update in objects(item, field) if update.get("type") in _WITHDRAWN)


def _date(item: object, field: str) -> dt.date | None:
    """Return the date of a field; without a month or a day it is the first one."""
    parts = at(item, f"{field}.date-parts.0")
    try:
        return dt.date(*(*map(int, parts), 1, 1)[:3]) if isinstance(parts, list) and parts else None
    except (TypeError, ValueError, OverflowError):
        return None


CROSSREF: Final = Database(
    id="crossref",
    name="Crossref",
    url="https://api.crossref.org/works",
    interval_s=0.2,  # 5 a second in the public pool, as the headers of 2026 say
    ask=_ask,
    parse=_page,
    key_variable="CROSSREF_MAILTO",
    key_parameter="mailto",
)
