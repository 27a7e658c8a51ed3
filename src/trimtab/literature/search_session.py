"""One search from question to screened works; everything after the answers is computed from them.

A folder keeps the plan and the raw answers; records, works, decisions, counts and the log are made of those each time.
That is why a search that was ended anywhere goes on by the same command and ends in the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from trimtab.disk import write_atomic, write_json
from trimtab.literature import dedup, prisma, record_order, retrieve, screening
from trimtab.literature.fulltext import Sought, seek

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from trimtab.claims.name_registry import Registry
    from trimtab.documents.parts import Document
    from trimtab.documents.source_folder import UnreadFile
    from trimtab.documents.work import Work
    from trimtab.literature.database import Found
    from trimtab.literature.dedup import Deduplicated, Merged
    from trimtab.literature.local_records import Held
    from trimtab.literature.prisma import Flow
    from trimtab.literature.published_figures import FiguresCorpus
    from trimtab.literature.retrieve import SearchLogEntry
    from trimtab.literature.screening import ScreeningDecision
    from trimtab.literature.search_plan import Plan
    from trimtab.literature.transport import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSources:
    """What needs no network: places with their records and documents, and the corpora among them with their figures."""

    places: tuple[Held, ...] = ()
    corpora: tuple[FiguresCorpus, ...] = ()

    @property
    def records(self) -> tuple[Found, ...]:
        """Every record, in the order of places."""
        return tuple(record for place in self.places for record in place.records)

    @property
    def documents(self) -> Mapping[str, Document]:
        """Id of a record's work → its full text."""
        return {work: document for place in self.places for work, document in place.documents.items()}

    @property
    def unread(self) -> tuple[UnreadFile, ...]:
        """Files that could not be read, with the reason."""
        return tuple(one for place in self.places for one in place.unread)


Similarity = Callable[[Sequence["Work"]], "NDArray[np.float64]"]
"""Of each work with the question, [N]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A finished search.

    Attributes:
        plan: What was asked.
        records: Everything found.
        works: After de-duplication.
        decisions: One for each work, in the order they were read.
        documents: Work id → full text, of every work whose full text was read.
        flow: The counts.
        log: Every request, every file.
        corpora: Local corpora, whose figures are claims.
        unread: Local files that could not be read.
    """

    plan: Plan
    records: tuple[Found, ...]
    works: Deduplicated
    decisions: tuple[ScreeningDecision, ...]
    documents: Mapping[str, Document]
    flow: Flow
    log: tuple[SearchLogEntry, ...]
    corpora: tuple[FiguresCorpus, ...] = ()
    unread: tuple[UnreadFile, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """What went wrong where."""
        return tuple(f"{one.database}, {one.query}: {one.problem}" for one in self.log if one.problem)

    @property
    def date(self) -> str:
        """The day of the last answer, ISO 8601; empty if nobody was asked."""
        return max((one.date[:10] for one in self.log if one.date), default="")

    def work(self, name: str) -> Merged:
        """Return a work by its id."""
        return next(merged for merged in self.works.works if merged.work.id == name)

    def decision(self, work: str) -> ScreeningDecision:
        """Return what became of a work."""
        return next(one for one in self.decisions if one.work == work)


def run(
    plan: Plan,
    local: LocalSources,
    registry: Registry,
    transport: Transport,
    tell: Callable[[str], None] = lambda _line: None,
    similarity: Similarity | None = None,
) -> Search:
    """Search, merge and screen.

    Args:
        plan: What to ask.
        local: What is here already.
        registry: Known names.
        transport: Asks, or answers from the cache alone.
        tell: Is given lines of progress.
        similarity: Of works with the question; None ranks by words alone.
    """
    databases = [place.open() for place in plan.places]
    asked = retrieve.search(databases, plan.queries, transport, plan.limit, tell)
    records = (*asked.records, *local.records)
    works = dedup.deduplicate(records)
    merged = [one.work for one in works.works]
    order = record_order.by_words(merged, screening.terms(plan.facets))
    if similarity is not None:
        order = record_order.fuse(order, record_order.by_meaning(merged, similarity(merged)))
    decisions, documents = _screen(plan, local, registry, transport, screening.in_order(works.works, order))
    searched = [*((one.name, True) for one in databases), *((place.name, False) for place in local.places)]
    return Search(
        plan=plan,
        records=records,
        works=works,
        decisions=tuple(decisions),
        documents=documents,
        flow=prisma.count(records, works.works, decisions, searched),
        log=(*asked.log, *_local_log(local)),
        corpora=local.corpora,
        unread=local.unread,
    )


def _screen(
    plan: Plan, local: LocalSources, registry: Registry, transport: Transport, works: Sequence[Merged]
) -> tuple[list[ScreeningDecision], dict[str, Document]]:
    gate, texts = screening.RelevanceGate(facets=plan.facets, registry=registry), local.documents
    decisions: list[ScreeningDecision] = []
    documents: dict[str, Document] = {}
    fetched = 0
    for merged in works:
        early = gate.first(merged)
        if early is not None:
            decisions.append(early)
            continue
        document = next((texts[one.work.id] for one in merged.records if one.work.id in texts), None)
        if document is not None:
            sought = Sought(document=replace(document, work=merged.work.id))
        elif fetched >= plan.texts:
            limit = (
                "its text is not here, and none was to be fetched (--full-texts)"
                if not plan.texts
                else f"the {plan.texts} best ranked were fetched"
            )
            sought = Sought(category="not fetched", reason=limit)
        else:
            sought, fetched = seek(merged, transport, plan.hosts), fetched + 1
        if sought.document is None:
            decisions.append(screening.without_text(merged.work.id, sought.category, sought.reason))
            continue
        documents[merged.work.id] = sought.document
        text = f"{merged.work.title}\n{merged.work.abstract}\n{sought.document.text}"
        decisions.append(gate.second(merged.work.id, text))
    return decisions, documents


def _local_log(local: LocalSources) -> list[SearchLogEntry]:
    return [
        retrieve.SearchLogEntry(
            database=place.name,
            query=f"everything in this {place.kind}",
            words="",
            sha256=place.sha256,
            records=len(place.records),
            total=len(place.records),
        )
        for place in local.places
    ]


def write(search: Search, folder: Path) -> None:
    """Write what was found and decided, each file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    lines(folder / "search-log.jsonl", [one.record() for one in search.log])
    lines(folder / "records.jsonl", [_found(one) for one in search.records])
    lines(folder / "works.jsonl", [merged.work.record() for merged in search.works.works])
    lines(folder / "duplicates.jsonl", [{"merged": True, **asdict(one)} for one in search.works.merges])
    lines(folder / "possible-duplicates.jsonl", [{"merged": False, **asdict(one)} for one in search.works.possible])
    lines(folder / "screening.jsonl", [asdict(one) for one in search.decisions])
    write_json(folder / "prisma.json", search.flow.record())


def lines(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write JSON Lines."""
    write_atomic(path, "".join(json.dumps(one, ensure_ascii=False, sort_keys=True) + "\n" for one in records))


def _found(one: Found) -> dict[str, Any]:
    return {
        "work": one.work.record(),
        "database": one.database,
        "query": one.query,
        "rank": one.rank,
        "kind": one.kind,
        "texts": [asdict(text) for text in one.texts],
        "related": one.related,
        "notices": one.notices,
    }
