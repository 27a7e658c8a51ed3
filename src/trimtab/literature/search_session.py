"""One search from question to screened works; everything after the answers is computed from them.

A folder keeps the plan and the raw answers; records, works, decisions, counts and the log are made of those each time.
That is why a search that was ended anywhere goes on by the same command and ends in the same bytes.
"""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from trimtab.disk import write_json, write_lines
from trimtab.literature import dedup, prisma, record_order, retrieve, screening, title_vectors
from trimtab.literature.bodies import Bodies
from trimtab.literature.fulltext import Sought, seek
from trimtab.literature.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from trimtab.documents.parts import Document
    from trimtab.documents.source_folder import UnreadFile
    from trimtab.documents.work import Work
    from trimtab.literature.database import Found
    from trimtab.literature.dedup import Deduplicated, Merged
    from trimtab.literature.prisma import Flow
    from trimtab.literature.retrieve import SearchLogEntry
    from trimtab.literature.screening import ScreeningDecision
    from trimtab.literature.search_plan import Plan
    from trimtab.literature.title_vectors import Embedder
    from trimtab.literature.transport import Mode

    Similarity = Callable[[Sequence[Work]], NDArray[np.float64]]

_TEXT_INTERVAL_S: Final = 3.0


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
        return tuple(one for place in self.plan.here for one in place.unread)

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


def search(
    plan: Plan,
    folder: Path,
    mode: Mode = "live",
    contact: str = "",
    tell: Callable[[str], None] = print,
    embedder: Embedder | None = None,
) -> Search:
    """Search, or go on with a search, in a folder, and write what was found and decided.

    Args:
        plan: What to ask.
        folder: Its own; made when absent.
        mode: "live"; "offline" and "replay" answer from the folder's cache alone.
        contact: An address that is sent to servers and kept nowhere.
        tell: Is given lines of progress.
        embedder: The model that the plan names; None takes the vectors that are kept.

    Raises:
        SearchError: The folder holds another search, or nothing can be asked.
    """
    plan.claim(folder)
    similarity = None
    if plan.wishes.embed is not None:
        _, model = plan.wishes.embed
        path = folder / "embeddings.sqlite"
        similarity = partial(title_vectors.similarities, plan.text, model=model, embedder=embedder, path=path)
    with transport(plan, folder, mode, contact) as asking:
        found = run(plan, asking, tell, similarity)
    write(found, folder)
    return found


def transport(plan: Plan, folder: Path, mode: Mode, contact: str = "") -> Transport:
    """Return what asks for a plan: only its databases and the hosts of full texts."""
    hosts = dict.fromkeys(plan.wishes.hosts if plan.wishes.texts else (), _TEXT_INTERVAL_S)
    hosts |= {one.host: one.interval_s for one in plan.databases}
    who = f" (mailto:{contact})" if contact else ""
    agent = f"trimtab/{version('trimtab')} Python/{platform.python_version()}{who}"
    return Transport(hosts=hosts, agent=agent, bodies=Bodies(folder / "bodies"), mode=mode)


def run(
    plan: Plan,
    transport: Transport,
    tell: Callable[[str], None] = lambda _line: None,
    similarity: Similarity | None = None,
) -> Search:
    """Search, merge and screen.

    Args:
        plan: What to ask, and what is here already.
        transport: Asks, or answers from the cache alone.
        tell: Is given lines of progress.
        similarity: Of works with the question, [N]; None ranks by words alone.
    """
    asked = retrieve.search(plan.databases, plan.queries, transport, plan.wishes.limit, tell)
    records = (*asked.records, *(record for place in plan.here for record in place.records))
    works = dedup.deduplicate(records)
    merged = [one.work for one in works.works]
    order = record_order.by_words(merged, screening.terms(plan.facets))
    if similarity is not None:
        order = record_order.fuse(order, record_order.by_meaning(merged, similarity(merged)))
    decisions, documents = _screen(plan, transport, screening.in_order(works.works, order))
    searched = [*((one.name, True) for one in plan.databases), *((place.name, False) for place in plan.here)]
    return Search(
        plan=plan,
        records=records,
        works=works,
        decisions=tuple(decisions),
        documents=documents,
        flow=prisma.count(records, works.works, decisions, searched),
        log=(*asked.log, *(place.log for place in plan.here)),
        requests=transport.requests,
    )


def _screen(
    plan: Plan, transport: Transport, works: Sequence[Merged]
) -> tuple[list[ScreeningDecision], dict[str, Document]]:
    gate = screening.RelevanceGate(facets=plan.facets, registry=plan.registry)
    texts = {work: document for place in plan.here for work, document in place.documents.items()}
    most, fetched = plan.wishes.texts, 0
    decisions: list[ScreeningDecision] = []
    documents: dict[str, Document] = {}
    for merged in works:
        early = gate.first(merged)
        if early is not None:
            decisions.append(early)
            continue
        document = next((texts[one.work.id] for one in merged.records if one.work.id in texts), None)
        if document is not None:
            sought = Sought(document=replace(document, work=merged.work.id))
        elif fetched >= most:
            none = "its text is not here, and none was to be fetched (--full-texts)"
            sought = Sought(category="not fetched", reason=f"the {most} best ranked were fetched" if most else none)
        else:
            sought, fetched = seek(merged, transport, plan.wishes.hosts), fetched + 1
        if sought.document is None:
            decisions.append(screening.without_text(merged.work.id, sought.category, sought.reason))
            continue
        documents[merged.work.id] = sought.document
        text = f"{merged.work.title}\n{merged.work.abstract}\n{sought.document.text}"
        decisions.append(gate.second(merged.work.id, text))
    return decisions, documents


def write(search: Search, folder: Path) -> None:
    """Write what was found and decided, each file whole or not at all."""
    files: dict[str, list[dict[str, Any]]] = {
        "search-log": [asdict(one) for one in search.log],
        "records": [asdict(one) | {"work": one.work.record()} for one in search.records],
        "works": [merged.work.record() for merged in search.works.works],
        "duplicates": [{"merged": True, **asdict(one)} for one in search.works.merges],
        "possible-duplicates": [{"merged": False, **asdict(one)} for one in search.works.possible],
        "screening": [asdict(one) for one in search.decisions],
    }
    for name, records in files.items():
        write_lines(folder / f"{name}.jsonl", records, ensure_ascii=False)
    write_json(folder / "prisma.json", search.flow.record())
