"""Whether a database still answers as it did when its reader was written: one small question each, over the network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from trimtab.errors import SearchError
from trimtab.literature.database import Query
from trimtab.literature.transport import Rules, Transport, Unreadable

if TYPE_CHECKING:
    from trimtab.http_client import Clock
    from trimtab.literature.catalogue import DatabasePlace
    from trimtab.literature.database import ResultPage

_QUERY = Query(name="doctor", groups=(("mixture of experts",), ("load balancing",)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftFinding:
    """What one database said.

    Attributes:
        database: Its name.
        state: "well", "drift" when the answer is of another form, "silent" when there was none.
        told: The particulars.
    """

    database: str
    state: Literal["well", "drift", "silent"]
    told: str


def look(place: DatabasePlace, clock: Clock | None = None) -> DriftFinding:
    """Ask a database for a few records and say what is missing in them."""
    database = place.open()
    request = database.first(_QUERY, 5)
    rules = Rules(hosts={place.host: place.interval_s}, agent=f"trimtab/{version('trimtab')} doctor", attempts=2)
    drifted: list[str] = []

    def read(answer: object) -> ResultPage | None:
        try:
            return database.read(request, answer)  # type: ignore[arg-type]
        except Unreadable as error:
            drifted.append(str(error))
            return None

    try:
        with Transport(rules, clock=clock) as transport:
            _, page = transport.fetch(request, partial(read))
    except SearchError as error:
        return DriftFinding(database=database.name, state="silent", told=error.message)
    if drifted or page is None:
        return DriftFinding(database=database.name, state="drift", told="; ".join(drifted))
    return _judge(database.name, page)


def _judge(name: str, page: ResultPage) -> DriftFinding:
    """Say which fields of the records are empty everywhere: a field that was renamed is."""
    works = [record.work for record in page.records]
    if not works:
        return DriftFinding(database=name, state="drift", told="no records, and thousands were expected")
    empty = [field for field in ("title", "authors", "year") if not any(getattr(work, field) for work in works)]
    if not any(work.ids.doi or work.ids.arxiv or work.ids.s2 or work.ids.openalex for work in works):
        empty.append("identifiers")
    if page.total is None:
        empty.append("total")
    if empty:
        return DriftFinding(database=name, state="drift", told=f"empty in all {len(works)} records: {', '.join(empty)}")
    return DriftFinding(database=name, state="well", told=f"{len(works)} records of {page.total}")
