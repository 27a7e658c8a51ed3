"""The question a report has to answer, as a matrix of method × stressor × benchmark, and which works bear on it.

A work is eligible when it uses at least one term of every facet; every other one is excluded with its reason. A work
older than everything a facet names is excluded by its date, and one of which nothing is here to read by that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from trimtab.claims.citation_marks import addresses
from trimtab.claims.wording import any_case

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

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
class Facet:
    """One side of a question.

    Attributes:
        name: "methods", "stressors", "benchmarks", or a name the user gave.
        terms: Every spelling that is searched for.
        ids: Ids in the registry; empty for a facet the user gave in words.
        spoken: The usual name of each id.
        since: First month in which the oldest of its names existed ("2024-08"); empty if one is not known.
    """

    name: str
    terms: tuple[str, ...]
    ids: tuple[str, ...] = ()
    spoken: tuple[str, ...] = ()
    since: str = ""

    def used(self, text: str, registry: Registry) -> str:
        """Return the first term of this facet that a text uses; empty if it uses none."""
        if self.ids:
            return next((name.text for name in registry.find(text, (self.name,)) if name.id in self.ids), "")
        match = _pattern(self.terms).search(text)
        return match[0] if match else ""

    def too_early(self, date: str) -> bool:
        """Whether a work of a year or a month ("2024", "2024-05") is older than everything this facet names.

        Within the first year a work that has no month is not.
        """
        return bool(date and self.since) and date < self.since[: len(date)]

    @property
    def shown(self) -> str:
        """A short name of it for a reason."""
        few = ", ".join((*self.terms[:3], *(("\u2026",) if len(self.terms) > 3 else ())))
        return f"{self.name} ({few})"


@cache
def _pattern(terms: tuple[str, ...]) -> re.Pattern[str]:
    spaced = (r"[\s\-_]+".join(map(re.escape, re.split(r"[\s\-_]+", term))) for term in terms)
    return any_case(rf"(?<!\w)(?:{'|'.join(spaced)})s?(?!\w)")


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


def facets_of(question: Question, registry: Registry) -> tuple[Facet, ...]:
    """Return the facets of a question, with every spelling of its names."""
    facets = []
    for kind, ids in question.facets().items():
        names = [registry.entries[kind][name] for name in ids]
        terms = dict.fromkeys(term for name in names for term in name.names if "_" not in term and len(term) > 2)
        dates = [name.since for name in names]
        since, spoken = min(dates) if all(dates) else "", tuple(name.names[0] for name in names)
        facets.append(Facet(name=kind, terms=tuple(terms), ids=ids, spoken=spoken, since=since))
    return tuple(facets)


def screen(question: Question, references: Sequence[str], sources: Sources) -> tuple[Screened, ...]:
    """Return every record of the reference list and of the sources, with the gate's decision."""
    facets = facets_of(question, sources.registry)
    cited = {record: sources.texts_of(record) for record in references}
    screened = [
        _screened(facets, record, "reference list", _text(record, texts, sources), sources.registry)
        for record, texts in cited.items()
    ]
    for document in sources.documents:
        if not any(document.sha256 in texts for texts in cited.values()):
            text = _text(document.work, {document.sha256}, sources)
            screened.append(_screened(facets, document.path, "sources", text, sources.registry))
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


def _screened(facets: Sequence[Facet], record: str, source: str, text: str, registry: Registry) -> Screened:
    match = _ARXIV.match(record)
    month = f"20{match[1]}-{match[2]}" if match else ""
    uses = {facet.name: facet.used(text, registry) for facet in facets}
    reason = "" if text else "nothing of it is here to read"
    if early := next((facet for facet in facets if facet.too_early(month)), None):
        reason = f"off topic: it is of {month}, and there was no {' or '.join(early.spoken)} before {early.since}"
    elif text and not all(uses.values()):
        lacking = (f"{facet.name} ({', '.join(facet.spoken)})" for facet in facets if not uses[facet.name])
        reason = f"off topic: no term of {'; '.join(lacking)}"
    using = f"uses {', '.join(uses.values())}"
    return Screened(record=record, source=source, eligible=not reason, reason=reason or using)


def references(report: Document) -> tuple[str, ...]:
    """Return the works a report points to by address, in order."""
    return tuple(dict.fromkeys(addresses(report.text)))
