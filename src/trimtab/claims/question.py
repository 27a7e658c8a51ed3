"""The question a report has to answer, as a matrix of method × stressor × benchmark, and which works bear on it.

A work is eligible when it uses at least one term of every facet; every other one is excluded with its reason. A work
older than everything a facet names is excluded by its date, and one of which nothing is here to read by that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.claims import mentions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.claims.name_registry import Registry
    from trimtab.claims.sources import Sources
    from trimtab.documents.parts import Document

_FACETS: Final = ("methods", "stressors", "benchmarks")
_ASKED: Final = re.compile(r"(?:research )?question\s*:\s*(?P<text>[^?]{20,600}\?)", re.IGNORECASE)
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
    found = {kind: tuple(dict.fromkeys(one.id for one in registry.find(text, (kind,)))) for kind in _FACETS}
    if not any(found.values()):
        return None
    return Question(text=" ".join(text.split()), **found)


def asked_in(report: Document, registry: Registry) -> Question | None:
    """Return the question a report states; of several the one with most facets."""
    texts = [match["text"] for pattern in (_ASKED, _ANY) for match in pattern.finditer(report.text)]
    parsed = [question for text in texts if (question := parse(text, registry))]
    return max(parsed, key=lambda one: (len(one.facets()), len(one.cells)), default=None)


def screen(question: Question, references: Sequence[str], sources: Sources) -> tuple[Screened, ...]:
    """Return every record of the reference list and of the sources, with the gate's decision."""
    read: set[str] = set()
    found = []
    for record in dict.fromkeys(references):
        held = sources.texts_of(record)
        read |= held
        found.append(_judge(question, record, "reference list", _text(record, held, sources), sources.registry))
    for document in sources.documents:
        if document.sha256 not in read:
            text = _text(document.work, frozenset({document.sha256}), sources)
            found.append(_judge(question, document.path, "sources", text, sources.registry))
    return tuple(found)


def _text(record: str, held: Iterable[str], sources: Sources) -> str:
    """Return everything that is here of a work: its metadata, and its documents."""
    works = [
        work
        for work in sources.works.values()
        if record and record in (work.id, f"arxiv:{work.ids.arxiv}", f"doi:{work.ids.doi}")
    ]
    wanted = set(held)
    parts = [part for work in works for part in (work.title, work.abstract)]
    parts += [part for document in sources.documents if document.sha256 in wanted for part in _parts(document)]
    return "\n".join(filter(None, parts))


def _parts(document: Document) -> Iterable[str]:
    yield document.title
    yield document.text
    yield from dict.fromkeys(" ".join(cell.column_path) for cell in document.cells)


def _judge(question: Question, record: str, source: str, text: str, registry: Registry) -> Screened:
    reason = _too_old(question, record, registry) or ("" if text else "nothing of it is here to read")
    if reason:
        return Screened(record=record, source=source, eligible=False, reason=reason)
    lacking: list[str] = []
    using: list[str] = []
    for facet, ids in question.facets().items():
        terms = [one.text for one in registry.find(text, (facet,)) if one.id in ids]
        using += dict.fromkeys(terms[:1])
        lacking += [] if terms else [f"{facet} ({', '.join(_spoken(registry, facet, ids))})"]
    if lacking:
        return Screened(
            record=record, source=source, eligible=False, reason=f"off topic: no term of {'; '.join(lacking)}"
        )
    return Screened(record=record, source=source, eligible=True, reason=f"uses {', '.join(using)}")


def _spoken(registry: Registry, kind: str, ids: Iterable[str]) -> list[str]:
    return [registry.entries[kind][one].names[0] for one in ids]


def _too_old(question: Question, record: str, registry: Registry) -> str:
    match = _ARXIV.match(record)
    if not match:
        return ""
    month = f"20{match[1]}-{match[2]}"
    for facet, ids in question.facets().items():
        dates = [registry.entries[facet][one].since for one in ids]
        if all(dates) and month < min(dates):
            spoken = " or ".join(_spoken(registry, facet, ids))
            return f"off topic: it is of {month}, and there was no {spoken} before {min(dates)}"
    return ""


def references(report: Document) -> tuple[str, ...]:
    """Return the works a report points to by address, in order."""
    return tuple(dict.fromkeys(work for work, _, _ in mentions.addresses(report.text)))
