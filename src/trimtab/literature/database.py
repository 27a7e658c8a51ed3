"""What a database is, what it is asked, and what it found: one form for all of them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from trimtab.literature import json_paths
from trimtab.literature.request import Request
from trimtab.literature.transport import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trimtab.documents.work import Work
    from trimtab.literature.request import ServerAnswer

PAGE: Final = 100
"""Entries asked for at once at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Words to search for.

    Attributes:
        name: Which facets it joins, for the log.
        groups: Every group has to be met, by any of its terms.
        proposed: Of the terms, those a model proposed.
    """

    name: str
    groups: tuple[tuple[str, ...], ...]
    proposed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.written()

    def written(self, either: str = " OR ", both: str = " AND ", field: str = "") -> str:
        """Return it in a database's own words for "or" and "and", with what stands before each term."""
        groups = (either.join(f"{field}{_quoted(term)}" for term in terms) for terms in self.groups)
        return both.join(f"({terms})" for terms in groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class FullText:
    """A place where a full text lies; ``licence`` is empty where none is stated."""

    url: str
    licence: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One record of one database, as it was found.

    Attributes:
        work: What it is about.
        database: Where.
        query: Name of the query.
        rank: Counted from 1 within that query.
        kind: The database's own word for it: "article", "preprint", "retraction" …
        texts: Where full texts lie.
        related: DOIs the database calls versions of the same work, such as its preprint.
        notices: DOIs of works this record is a notice of withdrawal for.
    """

    work: Work
    database: str
    query: str = ""
    rank: int = 0
    kind: str = ""
    texts: tuple[FullText, ...] = ()
    related: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What one answer holds, as the database wrote it.

    Attributes:
        entries: In its order: JSON objects or XML elements.
        total: How many there are in all, as it says; None if it does not.
        leads_on: The parameter of the next page and its value; empty on the last, and where pages go by numbers.
        skipped: Entries that are no records, with the reason.
    """

    entries: Sequence[Any]
    total: int | None = None
    leads_on: Mapping[str, str] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPage:
    """One page of results.

    Attributes:
        records: In the database's order.
        total: How many there are in all, as it says; None if it does not.
        following: The request for the next page; None on the last.
        skipped: Entries that are no records, with the reason.
    """

    records: tuple[Found, ...] = ()
    total: int | None = None
    following: Request | None = None
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One database: where it is, how often and how it is asked, how its answers are read.

    Attributes:
        id: The name on the command line.
        name: The name for readers.
        url: Its address.
        interval_s: Least seconds between two requests.
        ask: Query and length of a page → the parameters of the first page.
        listing: Body of an answer → what it holds; raises ``Unreadable`` where it is no answer of this database.
        record: An entry → the record.
        offset: The parameter that says after how many entries a page begins, where pages go by numbers.
        key_variable: Environment variable of its key, or of the e-mail address for Crossref; empty if it takes none.
        key_parameter: How the key is sent: as this query parameter,
        key_header: or as this header.
    """

    id: str
    name: str
    url: str
    interval_s: float
    ask: Callable[[Query, int], Mapping[str, str]]
    listing: Callable[[bytes], Listing]
    record: Callable[[Any], Found]
    offset: str = ""
    key_variable: str = ""
    key_parameter: str = ""
    key_header: str = ""

    @property
    def host(self) -> str:
        """Host, with a port where it is not the usual one."""
        return urlsplit(self.url).netloc.lower()

    def first(self, query: Query, limit: int) -> Request:
        """Return the request for the first page of at most ``limit`` records."""
        key = os.environ.get(self.key_variable, "") if self.key_variable else ""
        return Request(
            url=self.url,
            params=self.ask(query, min(limit, PAGE)),
            private={self.key_parameter: key} if key and self.key_parameter else {},
            headers={self.key_header: key} if key and self.key_header else {},
        )

    def read(self, request: Request, answer: ServerAnswer) -> ResultPage:
        """Return what an answer says.

        Raises:
            Unreadable: It is no page of this database, or one that is empty though more was announced.
        """
        page = self.listing(answer.body)
        read, total, leads_on = len(page.entries) + len(page.skipped), page.total or 0, page.leads_on
        if self.offset:
            start = json_paths.whole(request.params.get(self.offset)) or 0
            if not read and start < total:
                raise Unreadable(f"an empty page, though {total} results were announced")
            leads_on = {self.offset: str(start + read)} if start + read < total else {}
        return ResultPage(
            records=tuple(map(self.record, page.entries)),
            total=page.total,
            following=replace(request, params={**request.params, **leads_on}) if page.entries and leads_on else None,
            skipped=page.skipped,
        )


def _quoted(term: str) -> str:
    """Return a term as a phrase, if it is more than one plain word."""
    return term if re.fullmatch(r"[\w+]+", term) else '"' + term.replace('"', " ") + '"'
