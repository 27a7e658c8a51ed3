"""Asking the databases, page by page; what failed is said, what was found stays, and the log has it all (PRISMA-S)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from trimtab.errors import SearchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
    """What was found on one page, or on all of them in the order of databases, queries and ranks, and the log."""

    records: tuple[Found, ...]
    log: tuple[SearchLogEntry, ...]


def search(
    databases: Sequence[Database],
    queries: Sequence[Query],
    transport: Transport,
    limit: int,
    tell: Callable[[str], None],
) -> Retrieved:
    """Ask every database every query.

    Args:
        databases: In order.
        queries: In order.
        transport: Asks; its cache is what makes a second call go on where the first one was ended.
        limit: Records of one query at most.
        tell: Is given a line of progress a page.
    """
    pages: list[Retrieved] = []
    for database in databases:
        for query in queries:
            count = 0
            for page in _pages(database, query, transport, limit):
                pages.append(page)
                (entry,) = page.log
                count += entry.records
                progress = f", {query.name}: {count} of {'?' if entry.total is None else entry.total} records"
                tell(f"{database.name}{f': {entry.problem}' if entry.problem else progress}")
    return Retrieved(
        records=tuple(record for page in pages for record in page.records),
        log=tuple(entry for page in pages for entry in page.log),
    )


def _pages(database: Database, query: Query, transport: Transport, limit: int) -> Iterator[Retrieved]:
    """Yield page after page until there is no more, enough, or a problem."""
    head = SearchLogEntry(database=database.name, query=query.name, words=str(query), proposed=query.proposed)
    count, request = 0, database.first(query, limit) if limit else None
    while request:
        entry = replace(head, url=request.shown)
        try:
            answer, page = transport.fetch(request, partial(database.read, request))
        except SearchError as error:
            yield Retrieved(records=(), log=(replace(entry, problem=error.message),))
            return
        entry = replace(entry, date=answer.date, sha256=answer.sha256)
        if empty := _empty(page):
            problem = f"{', '.join(empty)} empty in all {len(page.records)} records: its answers have another form now"
            yield Retrieved(records=(), log=(replace(entry, problem=problem),))
            return
        ranked = enumerate(page.records[: limit - count], count + 1)
        taken = tuple(_placed(record, query, rank) for rank, record in ranked)
        count += len(taken)
        entry = replace(entry, size=len(answer.body), records=len(taken), total=page.total, skipped=page.skipped)
        yield Retrieved(records=taken, log=(entry,))
        request = page.following(request) if count < limit else None


def _empty(page: ResultPage) -> list[str]:
    """Return the fields that no record of a page has: one that was renamed reads as empty everywhere."""
    works = [record.work for record in page.records]
    fields = ("title", "authors", "year") if len(works) >= _TELLING else ()
    return [field for field in fields if not any(getattr(work, field) for work in works)]


def _placed(record: Found, query: Query, rank: int) -> Found:
    work = replace(record.work, found_by=(f"{record.database}: {query.name} #{rank}",))
    return replace(record, work=work, query=query.name, rank=rank)
