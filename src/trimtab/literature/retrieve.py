"""Asking the databases, page by page; what failed is said, what was found stays, and the log has it all (PRISMA-S)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from trimtab.errors import SearchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trimtab.literature.database import Database, Found, Query, ResultPage
    from trimtab.literature.transport import Transport

_TELLING: Final = 5  # records; that so many have no author or year is no chance


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLogEntry:
    """One line of the search log.

    Attributes:
        database: Where.
        query: Name of the query.
        words: The query.
        url: What was asked, without anything private; empty for files.
        date: When it was answered.
        sha256: Of the answer's body.
        size: Of that body in bytes.
        records: Taken from this page.
        total: Of the query, as the database says.
        problem: What went wrong, if something did.
        skipped: Entries that are no records.
        proposed: Of the words, the terms a model proposed; search.json names it.
    """

    database: str
    query: str
    words: str
    url: str = ""
    date: str = ""
    sha256: str = ""
    size: int = 0
    records: int = 0
    total: int | None = None
    problem: str = ""
    skipped: tuple[str, ...] = ()
    proposed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """Everything that was found, in the order of databases, queries and ranks, and the log."""

    records: tuple[Found, ...]
    log: tuple[SearchLogEntry, ...]


def search(
    databases: Sequence[Database],
    queries: Sequence[Query],
    transport: Transport,
    limit: int,
    tell: Callable[[str], None] = lambda _line: None,
) -> Retrieved:
    """Ask every database every query.

    Args:
        databases: In order.
        queries: In order.
        transport: Asks; its cache is what makes a second call go on where the first one was ended.
        limit: Records of one query at most.
        tell: Is given a line of progress a page.
    """
    records: list[Found] = []
    log: list[SearchLogEntry] = []
    for database in databases:
        for query in queries:
            found, entries = _query(database, query, transport, limit, tell)
            records += found
            log += entries
    return Retrieved(records=tuple(records), log=tuple(log))


def _query(
    database: Database, query: Query, transport: Transport, limit: int, tell: Callable[[str], None]
) -> tuple[list[Found], list[SearchLogEntry]]:
    records: list[Found] = []
    log: list[SearchLogEntry] = []
    request = database.first(query, limit)
    head = SearchLogEntry(database=database.name, query=query.name, words=str(query), proposed=query.proposed)
    while len(records) < limit:
        try:
            answer, page = transport.fetch(request, partial(database.read, request))
        except SearchError as error:
            log.append(replace(head, url=request.shown, problem=error.message))
            tell(f"{database.name}: {error.message}")
            break
        if empty := _empty(page):
            problem = f"{', '.join(empty)} empty in all {len(page.records)} records: its answers have another form now"
            log.append(replace(head, url=request.shown, date=answer.date, sha256=answer.sha256, problem=problem))
            tell(f"{database.name}: {problem}")
            break
        taken = page.records[: limit - len(records)]
        records += [_placed(record, query, len(records) + rank) for rank, record in enumerate(taken, 1)]
        log.append(
            replace(
                head,
                url=request.shown,
                date=answer.date,
                sha256=answer.sha256,
                size=len(answer.body),
                records=len(taken),
                total=page.total,
                skipped=page.skipped,
            )
        )
        tell(f"{database.name}, {query.name}: {len(records)} of {'?' if page.total is None else page.total} records")
        if page.following is None:
            break
        request = page.following
    return records, log


def _empty(page: ResultPage) -> list[str]:
    """Return the fields that no record of a page has: one that was renamed reads as empty everywhere."""
    works = [record.work for record in page.records]
    fields = ("title", "authors", "year") if len(works) >= _TELLING else ()
    return [field for field in fields if not any(getattr(work, field) for work in works)]


def _placed(record: Found, query: Query, rank: int) -> Found:
    work = replace(record.work, found_by=(f"{record.database}: {query.name} #{rank}",))
    return replace(record, work=work, query=query.name, rank=rank)
