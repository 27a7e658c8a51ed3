"""Claims from a report: the rows of its claims table, its sentences, and the numbers of its result tables.

A report that lists its claims in a table is taken at its word: those rows are its claims, and of its prose only
sentences with a measured value are added. Sentences about the report itself ("10 papers were retrieved") name no model
and no benchmark, so they are no claims; the linter lists their numbers.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from trimtab.claims import mentions, numbered_references, sentence_facts, settings, study_conditions
from trimtab.claims.claim_model import Claim, Fact, Kind, Place, Quantity
from trimtab.claims.understanding import unread
from trimtab.claims.wording import tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trimtab.claims.name_registry import Mention, Registry
    from trimtab.claims.vocabulary import Vocabulary
    from trimtab.documents.parts import Cell, Document, Span

_OPINION: Final = re.compile(
    r"\b(?:we (?:believe|think|hope|feel|argue)|in our (?:view|opinion)|arguably|surprisingly good|promising|exciting"
    r"|impressive|should|ought to|deserves?|unfortunately|interesting(?:ly)?)\b",
    re.IGNORECASE,
)
_TREND: Final = re.compile(
    r"\b(?:increas|decreas|improv|degrad|grow|shrink|scal|declin|rise|rises|rose|fall|falls|fell|saturat|plateau)\w*\b"
    r".*\b(?:as|with|when|over|under)\b",
    re.IGNORECASE,
)
_COMPARES: Final = re.compile(
    r"\b(?:than|outperform\w*|compared (?:to|with)|surpass\w*|as (?!well)\w+ as)\b", re.IGNORECASE
)
_STATEMENT: Final = re.compile(r"claim|statement|finding|assertion", re.IGNORECASE)
_WORDS: Final = 5


def claims(report: Document, registry: Registry, vocabulary: Vocabulary | None = None) -> tuple[Claim, ...]:
    """Return the claims of a report, in its order, with ids c01, c02, ….

    Args:
        report: The report.
        registry: Known names.
        vocabulary: The headers of the sources' tables.
    """
    listed = list(_listed(report, registry, vocabulary))
    told = [
        *listed,
        *_prose(report, registry, vocabulary, only_values=bool(listed)),
        *_tabled(report, registry, vocabulary),
    ]
    first: dict[str, Claim] = {}
    for claim in told:
        first.setdefault(" ".join(claim.statement.split()), claim)
    width, entries = max(2, len(str(len(first)))), numbered_references.references(report)
    return tuple(
        numbered_references.resolve(replace(claim, id=f"c{index:0{width}}"), entries)
        for index, claim in enumerate(first.values(), 1)
    )


def claim(
    statement: str,
    registry: Registry,
    vocabulary: Vocabulary | None = None,
    carried: str = "",
    place: Place | None = None,
) -> Claim:
    """Return a statement as a claim; its id is left empty."""
    understood = sentence_facts.understand(mentions.without_citations(statement), registry, vocabulary, carried)
    found = understood.facts
    marks = tuple(mentions.citations(statement))
    about = study_conditions.read(statement, registry)
    return Claim(
        id="",
        statement=statement,
        kind=_kind(statement, found, marks=bool(marks)),
        facts=found,
        citations=marks,
        cites=tuple(dict.fromkeys(mark.work for mark in marks if mark.work)),
        conditions=about,
        unread=unread(understood) if found else (),
        asserted_in=place,
    )


def _kind(statement: str, found: tuple[Fact, ...], *, marks: bool) -> Kind:
    if any(fact.relation != "equals" for fact in found):
        return Kind.COMPARISON
    if found:
        return Kind.NUMERIC
    if _OPINION.search(statement) and not marks:
        return Kind.OPINION
    if _COMPARES.search(statement):
        return Kind.COMPARISON
    if marks:
        return Kind.CITATION
    return Kind.TREND if _TREND.search(statement) else Kind.METHOD


def statement_of(cell: Cell) -> str:
    """Return the sentence a row of a claims table is about; empty if the row is not one."""
    if any(_STATEMENT.search(part) for part in cell.column_path) and _is_sentence(cell.text):
        return cell.text
    return next((part for part in reversed(cell.row_path) if _is_sentence(part)), "")


def _is_sentence(text: str) -> bool:
    return sum(word.isalpha() and word.islower() for word in text.split()) >= 3 and len(text.split()) >= _WORDS


def _listed(report: Document, registry: Registry, vocabulary: Vocabulary | None) -> Iterator[Claim]:
    """Yield the rows of claims tables."""
    seen: set[tuple[int, int]] = set()
    for cell in report.cells:
        statement = statement_of(cell)
        if statement and (cell.table, cell.row) not in seen:
            seen.add((cell.table, cell.row))
            start = max(0, report.text.find(statement))
            place = Place(
                document=report.path,
                sha256=report.sha256,
                location=f"{cell.label or f'table {cell.table}'}, row {cell.row} ({cell.position})",
                start=start,
                end=start + len(statement) if report.text.startswith(statement, start) else start,
            )
            yield claim(statement, registry, vocabulary, place=place)


def _prose(
    report: Document, registry: Registry, vocabulary: Vocabulary | None, *, only_values: bool
) -> Iterator[Claim]:  # fmt: skip
    """Yield the sentences that assert something checkable."""
    carried, section = "", ""
    for span in report.spans:
        if span.kind != "sentence":
            continue
        carried = carried if span.section == section else ""
        section = span.section
        text = span.text.strip().lstrip("-*\u2022 ").strip()
        found = claim(text, registry, vocabulary, carried, _place(report, span))
        named = mentions.find(text, registry, vocabulary)
        subjects = [one for one in named if one.kind == "models"]
        carried = subjects[0].text if subjects else carried
        if _checkable(found, named, text, only_values=only_values):
            yield found


def _checkable(found: Claim, named: Iterable[Mention], text: str, *, only_values: bool) -> bool:
    if text.endswith("?") or len(tokens(text)) < _WORDS:
        return False
    if found.facts:
        return True
    if only_values:
        return False
    about = any(one.kind in ("models", "benchmarks", "methods") for one in named)
    return about or bool(found.citations and any(mark.authors for mark in found.citations))


def _place(report: Document, span: Span) -> Place:
    return Place(
        document=report.path, sha256=report.sha256, location=str(span.position), start=span.start, end=span.end
    )


def _tabled(report: Document, registry: Registry, vocabulary: Vocabulary | None) -> Iterator[Claim]:
    """Yield a claim for each number under a known benchmark, as model cards list them."""
    lists = {cell.table for cell in report.cells if statement_of(cell)}
    for cell in report.cells:
        if cell.table in lists or cell.number is None:
            continue
        fact = _fact(cell, registry, vocabulary)
        if fact:
            label = cell.label or f"table {cell.table}"
            yield Claim(
                id="",
                statement=f"{' > '.join(cell.row_path)} | {' > '.join(cell.column_path)}: {cell.text}",
                kind=Kind.NUMERIC,
                facts=(fact,),
                asserted_in=Place(document=report.path, sha256=report.sha256, location=f"{label} ({cell.position})"),
            )


def _fact(cell: Cell, registry: Registry, vocabulary: Vocabulary | None) -> Fact | None:
    """Return what a cell says; None unless it has a known benchmark and a subject."""
    parts = (*cell.row_path, *cell.column_path)
    spaced = " ".join(parts).replace("_", " ")
    marks = registry.find(spaced, ("benchmarks",))
    if len({one.id for one in marks}) != 1:
        return None
    subjects = [part for part in parts if not registry.find(part.replace("_", " "), ("benchmarks", "metrics"))]
    subjects = [part for part in subjects if settings.read(part) == settings.NOTHING]
    if not subjects:
        return None
    metric = next(iter(registry.find(spaced, ("metrics",))), None)
    return Fact(
        subject=subjects[-1]
        if len(subjects) == 1
        else next((s for s in subjects if mentions.find(s, registry, vocabulary)), subjects[-1]),
        benchmark=marks[0].text,
        metric=metric.text if metric else "",
        setting=settings.over(settings.read(spaced), settings.read(cell.caption)),
        value=Quantity(text=format(cell.number, "f"), unit=cell.unit if cell.unit == "%" else ""),
    )
