"""Crossref: JSON over ``api.crossref.org/works``; its rate is in the headers of each answer, a cursor leads on.

Retractions are read where Crossref says so: on the work itself (``updated-by``) and on the notice (``update-to``).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab.documents.work import Author, Identifiers, Retraction, Version, Work
from trimtab.literature import database
from trimtab.literature.database import Found, FullText, Query, ResultPage
from trimtab.literature.request import Request
from trimtab.literature.transport import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.literature.request import ServerAnswer

_PAGE: Final = 100
_WITHDRAWN: Final = frozenset(
    {"retraction", "withdrawal", "removal", "partial_retraction", "expression_of_concern"}
)  # fmt: skip
_SAME: Final = ("is-preprint-of", "has-preprint", "is-version-of", "has-version", "is-identical-to")


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossref:
    """The works of Crossref; ``mailto`` puts a request into the polite pool and is never kept."""

    url: str = "https://api.crossref.org/works"
    mailto: str = ""
    name: str = "Crossref"

    def first(self, query: Query, limit: int) -> Request:
        """Return the request for the first page; Crossref knows no AND, so all terms are one bag of words."""
        words = " ".join(dict.fromkeys(word for group in query.groups for term in group for word in term.split()))
        params = (("query.bibliographic", words), ("rows", str(min(limit, _PAGE))), ("cursor", "*"))
        return Request(url=self.url, params=params, private=(("mailto", self.mailto),) if self.mailto else ())

    def read(self, request: Request, answer: ServerAnswer) -> ResultPage:
        """Return the items of a list, or the one work asked for."""
        whole = database.json_of(answer)
        kind, message = whole.get("message-type"), whole.get("message")
        if not isinstance(message, dict):
            message = {}
        if kind == "work":
            return ResultPage(records=(_record(message),), total=1)
        if kind != "work-list":
            raise Unreadable(f"an answer of type {kind or 'unknown'!r} holds no works")
        items = database.listed(message.get("items"))
        records = tuple(_record(item) for item in items if item.get("DOI"))
        skipped = tuple("an item without a DOI" for item in items if not item.get("DOI"))
        cursor = str(message.get("next-cursor") or "")
        return ResultPage(
            records=records,
            total=database.whole(message.get("total-results")),
            following=database.leading_on(request, "cursor", cursor) if cursor and records else None,
            skipped=skipped,
        )


def _record(item: dict[str, Any]) -> Found:
    doi = database.doi(str(item.get("DOI", "")))
    year = _year(item)
    number, version = database.arxiv(doi) if "arxiv" in doi else ("", "")
    kind = str(item.get("subtype") or item.get("type") or "")
    preprint = kind in ("preprint", "posted-content") or bool(number)
    work = Work(
        id=database.name_of(doi=doi, arxiv=number),
        title=database.plain(_first(item.get("title"))),
        authors=tuple(_people(item)),
        year=year,
        ids=Identifiers(doi=doi, arxiv=number),
        versions=(
            Version(
                name=version or ("preprint" if preprint else "published"),
                year=year,
                venue=database.plain(_first(item.get("container-title"))),
                url=str(item.get("URL") or f"https://doi.org/{doi}"),
                doi=doi,
            ),
        ),
        abstract=database.plain(str(item.get("abstract") or "")),
        retraction=_retraction(item),
    )
    notices = tuple(
        database.doi(str(one.get("DOI", "")))
        for one in database.listed(item.get("update-to"))
        if one.get("type") in _WITHDRAWN
    )
    return Found(
        work=work,
        database="Crossref",
        kind="retraction notice" if notices else kind,
        texts=tuple(_texts(item)),
        related=tuple(_related(item)),
        notices=notices,
    )


def _first(value: object) -> str:
    """Return the first text of a list; empty where there is none."""
    return value[0] if isinstance(value, list) and value and isinstance(value[0], str) else ""


def _people(item: dict[str, Any]) -> Iterator[Author]:
    for one in database.listed(item.get("author")):
        family = str(one.get("family") or one.get("name") or "").strip()
        if family:
            yield Author(family=family, given=str(one.get("given") or "").strip())


def _year(item: dict[str, Any]) -> int | None:
    """Return the earliest year a date field gives."""
    names = ("issued", "published", "published-print", "published-online", "posted")
    dates = [date for name in names if (date := _date(item.get(name)))]
    return min((date.year for date in dates), default=None)


def _date(value: object) -> dt.date | None:
    parts = value.get("date-parts") if isinstance(value, dict) else None
    try:
        year, month, day = (*parts[0], 1, 1)[:3] if parts else (None, 1, 1)
        return dt.date(int(year), int(month), int(day)) if year else None
    except (TypeError, ValueError, IndexError):
        return None


def _retraction(item: dict[str, Any]) -> Retraction | None:
    for one in database.listed(item.get("updated-by")):
        if one.get("type") in _WITHDRAWN:
            notice = database.doi(str(one.get("DOI", "")))
            return Retraction(kind=str(one["type"]), date=_date(one.get("updated")), notice=notice)
    return None


def _texts(item: dict[str, Any]) -> Iterator[FullText]:
    licence = next((str(one.get("URL", "")) for one in database.listed(item.get("license"))), "")
    for one in database.listed(item.get("link")):
        if one.get("URL"):
            yield FullText(url=str(one["URL"]), licence=licence, version=str(one.get("content-version") or ""))


def _related(item: dict[str, Any]) -> Iterator[str]:
    relation = item["relation"] if isinstance(item.get("relation"), dict) else {}
    for kind in _SAME:
        for one in database.listed(relation.get(kind)):
            if one.get("id-type") == "doi":
                yield database.doi(str(one.get("id", "")))
