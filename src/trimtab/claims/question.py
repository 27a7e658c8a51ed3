"""The question a report has to answer, as a matrix of method × stressor × benchmark, and which works bear on it.

A work is eligible when it uses at least one term of every facet; every other one is excluded with its reason. A work
older than everything a facet names is excluded by its date, and one of which nothing is here to read by that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.claims.citation_marks import addresses
from trimtab.claims.wording import any_case

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from trimtab.claims.name_registry import Registry
    from trimtab.claims.sources import Sources
    from trimtab.documents.parts import Document

_FACETS: Final = ("methods", "stressors", "benchmarks")
_ASKED: Final = any_case(r"(?:research )?question\s*:\s*(?P<text>[^?]{20,600}\?)")
_ANY: Final = re.compile(r"(?:^|[.!?]\s+|\n)(?P<text>[A-Z][^.?!]{15,500}\?)")
_ARXIV: Final = re.compile(r"arxiv:(\d\d)(\d\d)\.\d{4,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A parsed question.

    Attributes:
        text: As asked.
        methods: Ids of the methods it names.
        stressors: Ids of the stressors.
        benchmarks: Ids of the benchmarks.
    """

    text: str
    methods: tuple[str, ...]
    stressors: tuple[str, ...]
    benchmarks: tuple[str, ...]

    @property
    def cells(self) -> tuple[tuple[str, str, str], ...]:
        """Every combination that has to be answered."""
        return tuple((m, s, b) for m in self.methods for s in self.stressors for b in self.benchmarks)

    def facets(self) -> dict[str, tuple[str, ...]]:
        """Return facet → ids, without facets the question does not have."""
        return {name: ids for name in _FACETS if (ids := getattr(self, name))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """One record and whether it bears on the question.

    Attributes:
        record: Its address, id or file.
        source: Where it was found: "reference list" or "sources".
        eligible: Whether it uses a term of every facet.
        reason: Why, or why not.
    """

    record: str
    source: str
    eligible: bool
    reason: str


def parse(text: str, registry: Registry) -> Question | None:
    """Return a question in facets; None if it names nothing known."""
    facets = {kind: tuple(dict.fromkeys(name.id for name in registry.find(text, (kind,)))) for kind in _FACETS}
    return Question(text=" ".join(text.split()), **facets) if any(facets.values()) else None


def asked_in(report: Document, registry: Registry) -> Question | None:
    """Return the question a report states; of several the one with most facets."""
    texts = [match["text"] for pattern in (_ASKED, _ANY) for match in pattern.finditer(report.text)]
    parsed = [question for text in texts if (question := parse(text, registry))]
    return max(parsed, key=lambda question: (len(question.facets()), len(question.cells)), default=None)


def screen(question: Question, references: Sequence[str], sources: Sources) -> tuple[Screened, ...]:
    """Return every record of the reference list and of the sources, with the gate's decision."""
    cited = {record: sources.texts_of(record) for record in references}
    screened = [
        _screened(question, record, "reference list", _text(record, held, sources), sources.registry)
        for record, held in cited.items()
    ]
    for document in sources.documents:
        if not any(document.sha256 in held for held in cited.values()):
            text = _text(document.work, {document.sha256}, sources)
            screened.append(_screened(question, document.path, "sources", text, sources.registry))
    return tuple(screened)


def _text(record: str, held: Collection[str], sources: Sources) -> str:
    """Return everything that is here of a work: its metadata, and its documents."""
    parts: list[str] = []
    for work in sources.works.values():
        if record and record in (work.id, *work.ids.addresses):
            parts += (work.title, work.abstract)
    for document in sources.documents:
        if document.sha256 in held:
            parts += (document.title, document.text, *(" ".join(cell.column_path) for cell in document.cells))
    return "\n".join(dict.fromkeys(filter(None, parts)))


def _screened(question: Question, record: str, source: str, text: str, registry: Registry) -> Screened:
    reason = _too_old(question, record, registry) or ("" if text else "nothing of it is here to read")
    lacking, using = [], []
    for facet, ids in question.facets().items() if not reason else ():
        term = next((name.text for name in registry.find(text, (facet,)) if name.id in ids), None)
        if term is None:
            lacking.append(f"{facet} ({', '.join(_spoken(registry, facet, ids))})")
        else:
            using.append(term)
    if lacking:
        reason = f"off topic: no term of {'; '.join(lacking)}"
    return Screened(record=record, source=source, eligible=not reason, reason=reason or f"uses {', '.join(using)}")


def _spoken(registry: Registry, kind: str, ids: Iterable[str]) -> list[str]:
    return [registry.entries[kind][name].names[0] for name in ids]


def _too_old(question: Question, record: str, registry: Registry) -> str:
    """Return why a work is older than everything that a facet names; "" where it is not, or its month is not known."""
    match = _ARXIV.match(record)
    month = f"20{match[1]}-{match[2]}" if match else ""
    for facet, ids in question.facets().items():
        dates = [registry.entries[facet][name].since for name in ids]
        if month and all(dates) and month < min(dates):
            spoken = " or ".join(_spoken(registry, facet, ids))
            return f"off topic: it is of {month}, and there was no {spoken} before {min(dates)}"
    return ""


def references(report: Document) -> tuple[str, ...]:
    """Return the works a report points to by address, in order."""
    return tuple(dict.fromkeys(addresses(report.text)))
