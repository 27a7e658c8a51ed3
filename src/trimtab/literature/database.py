"""What a database is, what it is asked, and what it found: one form for all of them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from trimtab.literature import json_paths
from trimtab.literature.request import Request
from trimtab.literature.transport import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
class ResultPage:
    """One page of results.

    Attributes:
        records: In the database's order.
        total: How many there are in all, as it says; None if it does not.
        leads_on: The parameter by which the next page is asked for, and its value; empty on the last.
        skipped: Entries that are no records, with the reason.
    """

    records: tuple[Found, ...] = ()
    total: int | None = None
    leads_on: Mapping[str, str] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()

    def following(self, request: Request) -> Request | None:
        """Return the request for the next page, made of the one for this page; None on the last."""
        if not (self.records and self.leads_on):
            return None
        return replace(request, params={**request.params, **self.leads_on})


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One database: where it is, how often and how it is asked, how its answers are read.

    Attributes:
        id: The name on the command line.
        name: The name for readers.
        url: Its address.
        interval_s: Least seconds between two requests.
        ask: Query and length of a page → the parameters of the first page.
        parse: Body of an answer → its page; raises ``Unreadable`` where it is no page of this database.
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
    parse: Callable[[bytes], ResultPage]
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
        page = self.parse(answer.body)
        if not self.offset:
            return page
        start, total = json_paths.whole(request.params.get(self.offset)) or 0, page.total or 0
        end = start + len(page.records) + len(page.skipped)
        if end == start < total:
            raise Unreadable(f"an empty page, though {total} results were announced")
        return replace(page, leads_on={self.offset: str(end)} if end < total else {})


def _quoted(term: str) -> str:
    """Return a term as a phrase, if it is more than one plain word."""
    return term if re.fullmatch(r"[\w+]+", term) else '"' + term.replace('"', " ") + '"'
