"""One search from question to screened works; everything after the answers is computed from them.

A folder keeps the plan and the raw answers; records, works, decisions, counts and the log are made of those each time.
That is why a search that was ended anywhere goes on by the same command and ends in the same bytes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from trimtab.disk import write_json, write_lines
from trimtab.literature import catalogue, dedup, fulltext, prisma, record_order, retrieve, screening
from trimtab.literature.screening import ScreeningDecision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from trimtab.documents.parts import Document
    from trimtab.documents.source_folder import UnreadFile
    from trimtab.literature.database import Found
    from trimtab.literature.dedup import Deduplicated, Merged
    from trimtab.literature.prisma import Flow
    from trimtab.literature.record_order import Embed
    from trimtab.literature.retrieve import SearchLogEntry
    from trimtab.literature.search_plan import Plan
    from trimtab.literature.transport import Mode, Transport


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
        requests: How many were sent; what was answered before is not asked again.
    """

    plan: Plan
    records: tuple[Found, ...]
    works: Deduplicated
    decisions: tuple[ScreeningDecision, ...]
    documents: Mapping[str, Document]
    flow: Flow
    log: tuple[SearchLogEntry, ...]
    requests: int = 0

    @property
    def unread(self) -> tuple[UnreadFile, ...]:
        """Local files that could not be read, with the reason."""
        return tuple(file for place in self.plan.here for file in place.unread)

    @property
    def problems(self) -> tuple[str, ...]:
        """What went wrong where."""
        return tuple(f"{entry.database}, {entry.query}: {entry.problem}" for entry in self.log if entry.problem)

    @property
    def date(self) -> str:
        """The day of the last answer, ISO 8601; empty if nobody was asked."""
        return max((entry.date[:10] for entry in self.log if entry.date), default="")

    def work(self, name: str) -> Merged:
        """Return a work by its id."""
        return next(merged for merged in self.works.works if merged.work.id == name)


def search(
    plan: Plan,
    folder: Path,
    mode: Mode = "live",
    contact: str = "",
    tell: Callable[[str], None] = print,
    embed: Embed | None = None,
) -> Search:
    """Search, or go on with a search, in a folder, and write what was found and decided.

    Args:
        plan: What to ask, and what is here already.
        folder: Its own; made when absent.
        mode: "live"; "offline" and "replay" answer from the folder's cache alone.
        contact: An address that is sent to servers and kept nowhere.
        tell: Is given lines of progress.
        embed: The model that the plan names; None takes the vectors that are kept.

    Raises:
        SearchError: The folder holds another search, or nothing can be asked.
    """
    plan.claim(folder)
    hosts = plan.wishes.hosts if plan.wishes.texts else ()
    with catalogue.transport(plan.databases, folder, mode, contact, hosts) as asking:
        retrieved = retrieve.search(plan.databases, plan.queries, asking, plan.wishes.limit, tell)
        records = (*retrieved.records, *(record for place in plan.here for record in place.records))
        works = dedup.deduplicate(records)
        decisions, documents = _screen(plan, asking, _in_order(plan, works.works, folder, embed))
    databases, others = (tuple(place.name for place in places) for places in (plan.databases, plan.here))
    search_result = Search(
        plan=plan,
        records=records,
        works=works,
        decisions=tuple(decisions),
        documents=documents,
        flow=prisma.count(works.works, decisions, databases, others),
        log=(*retrieved.log, *(place.log for place in plan.here)),
        requests=asking.requests,
    )
    _write(search_result, folder)
    return search_result


def _in_order(plan: Plan, works: Sequence[Merged], folder: Path, embed: Embed | None) -> list[Merged]:
    """Return works in the order in which they are read; those that no ranking names follow as they came."""
    merged = [merged.work for merged in works]
    order = record_order.by_words(merged, dict.fromkeys(term for facet in plan.facets for term in facet.terms))
    if plan.wishes.embed is not None:
        model, path = plan.wishes.embed.sha256, folder / "embeddings.sqlite"
        similarity = record_order.similarities(plan.text, merged, model, embed, path)
        order = record_order.fuse(order, record_order.by_meaning(merged, similarity))
    place = {name: at for at, name in enumerate(order)}
    return sorted(works, key=lambda merged: place.get(merged.work.id, len(place)))


def _screen(
    plan: Plan, transport: Transport, works: Sequence[Merged]
) -> tuple[list[ScreeningDecision], dict[str, Document]]:
    """Return the decision on each work, and the full texts that were read."""
    gate = screening.RelevanceGate(facets=plan.facets, registry=plan.registry)
    texts = {work: document for place in plan.here for work, document in place.documents.items()}
    most, fetched = plan.wishes.texts, 0
    decisions: list[ScreeningDecision] = []
    documents: dict[str, Document] = {}
    for merged in works:
        work, early = merged.work, gate.first(merged)
        if early is not None:
            decisions.append(early)
            continue
        here = next((texts[record.work.id] for record in merged.records if record.work.id in texts), None)
        text: Document | ScreeningDecision
        if here is not None:
            text = replace(here, work=work.id)
        elif fetched < most:
            text, fetched = fulltext.seek(merged, transport, plan.wishes.hosts), fetched + 1
        else:
            nobody = "its text is not here, and none was to be fetched (--full-texts)"
            reason = f"the {most} best ranked were fetched" if most else nobody
            text = ScreeningDecision(work=work.id, stage="retrieval", category="not fetched", reason=reason)
        if isinstance(text, ScreeningDecision):
            decisions.append(text)
            continue
        documents[work.id] = text
        decisions.append(gate.second(work.id, f"{work.title}\n{work.abstract}\n{text.text}"))
    return decisions, documents


def _write(search: Search, folder: Path) -> None:
    """Write what was found and decided, each file whole or not at all."""
    files: dict[str, list[dict[str, Any]]] = {
        "search-log": [asdict(entry) for entry in search.log],
        "records": [asdict(record) | {"work": record.work.record()} for record in search.records],
        "works": [merged.work.record() for merged in search.works.works],
        "duplicates": [{"merged": True, **asdict(pair)} for pair in search.works.merges],
        "possible-duplicates": [{"merged": False, **asdict(pair)} for pair in search.works.possible],
        "screening": [asdict(decision) | {"uses": [*decision.uses.items()]} for decision in search.decisions],
    }
    for name, records in files.items():
        write_lines(folder / f"{name}.jsonl", records, ensure_ascii=False)
    write_json(folder / "prisma.json", search.flow.record())
