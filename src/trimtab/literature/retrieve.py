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
    """Everything that was found, in the order of databases, queries and ranks, and the log."""

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
    records: list[Found] = []
    log: list[SearchLogEntry] = []
    for database in databases:
        for query in queries:
            count = 0
            for entry, taken in _pages(database, query, transport, limit):
                records += taken
                log.append(entry)
                count += len(taken)
                progress = f", {query.name}: {count} of {'?' if entry.total is None else entry.total} records"
                tell(f"{database.name}{f': {entry.problem}' if entry.problem else progress}")
    return Retrieved(records=tuple(records), log=tuple(log))


def _pages(
    database: Database, query: Query, transport: Transport, limit: int
) -> Iterator[tuple[SearchLogEntry, tuple[Found, ...]]]:
    """Yield page after page, with its line of the log, until there is no more, enough, or a problem."""
    head = SearchLogEntry(database=database.name, query=query.name, words=str(query), proposed=query.proposed)
    place = f"{database.name}: {query.name}"
    count, request = 0, database.first(query, limit) if limit > 0 else None
    while request:
        entry = replace(head, url=request.shown)
        try:
            answer, page = transport.fetch(request, partial(database.read, request))
        except SearchError as error:
            yield replace(entry, problem=error.message), ()
            return
        entry = replace(entry, date=answer.date, sha256=answer.sha256)
        if empty := _empty(page):
            problem = f"{', '.join(empty)} empty in all {len(page.records)} records: its answers have another form now"
            yield replace(entry, problem=problem), ()
            return
        taken = tuple(
            replace(record, query=query.name, rank=rank, work=replace(record.work, found_by=(f"{place} #{rank}",)))
            for rank, record in enumerate(page.records[: limit - count], count + 1)
        )
        count += len(taken)
        yield replace(entry, size=len(answer.body), records=len(taken), total=page.total, skipped=page.skipped), taken
        request = page.following(request) if count < limit else None


def _empty(page: ResultPage) -> list[str]:
    """Return the fields that no record of a page has: one that was renamed reads as empty everywhere."""
    works = [record.work for record in page.records]
    fields = ("title", "authors", "year") if len(works) >= _TELLING else ()
    return [field for field in fields if not any(getattr(work, field) for work in works)]
