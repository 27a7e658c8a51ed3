"""What table cells say: each number with its subject, benchmark, metric and setting, and an index to look them up by.

A header part that names a benchmark or metric, or only a setting, is not a subject; every other part is, so that a
table may have its models in rows or in columns. What the headers leave open is taken from the caption when that says
one thing only.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.claims import settings
from trimtab.claims.name_registry import key
from trimtab.claims.wording import SAYING, stems

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from trimtab.claims.claim_model import Setting
    from trimtab.claims.name_registry import Registry
    from trimtab.documents.parts import Cell, Document

_ARROW: Final = re.compile(
    "(?P<down>\u2193|\\b(?:lower|less|smaller)\\s+is\\s+better)|(?P<up>\u2191|\\b(?:higher|more|larger)\\s+is\\s+better)",
    re.IGNORECASE,
)
_PLUS: Final = re.compile(r"\s*\(\s*\+\s*\)")
_ORDINARY: Final = frozenset(
    {"model", "models", "method", "methods", "name", "average", "avg", "all", "total", "overall"}
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """One number of a table.

    Attributes:
        cell: Where it stands.
        document: The file.
        value: The number.
        subjects: Ids of what its headers name besides benchmark and metric.
        benchmark: Id; empty if no known one is named.
        metric: Id; empty if none is named.
        setting: How it was obtained.
        lower: Whether less is better: by an arrow or a word in its headers, else by its metric or benchmark, else by
            the caption; None where nothing says.
        words: Stems of its headers.
        around: Stems of its caption.
    """

    cell: Cell
    document: Document
    value: Decimal
    subjects: frozenset[str]
    benchmark: str
    metric: str
    setting: Setting
    lower: bool | None
    words: frozenset[str]
    around: frozenset[str]

    @property
    def table(self) -> tuple[str, int]:
        """Which table it is in."""
        return self.cell.document, self.cell.table


class Readings:
    """All numbers of some documents.

    Args:
        documents: Read in full; their order is kept.
        registry: Known names.
    """

    def __init__(self, documents: Iterable[Document], registry: Registry) -> None:
        self.registry = registry
        self.all: list[Reading] = []
        self.by_subject: dict[str, list[Reading]] = defaultdict(list)
        self.by_benchmark: dict[str, list[Reading]] = defaultdict(list)
        self.by_word: dict[str, list[Reading]] = defaultdict(list)
        self.by_table: dict[tuple[str, int], list[Reading]] = defaultdict(list)
        self._lines: dict[tuple[str, int], dict[int, dict[int, str]]] = {}
        self._heads: dict[tuple[str, bool], _Head] = {}
        self._captions: dict[str, tuple[_Head, frozenset[str]]] = {}
        for document in documents:
            for cell in document.cells:
                self._add(document, cell)

    def subject_id(self, text: str) -> str:
        """Return the id a subject is looked up by."""
        return self.registry.id_of(text, "models") or key(text)

    def subjects(self) -> dict[str, str]:
        """Return key → id of everything that stands as a subject in a header and can be a name in a sentence."""
        return {
            name: name
            for name in self.by_subject
            if len(name) > 2 and not name.replace(".", "").isdigit() and name not in SAYING
        }

    def row(self, reading: Reading) -> tuple[tuple[str, str], ...]:
        """Return the cells beside a reading, as (column, text), itself among them."""
        rows = {one.cell.column: one.cell for one in self.by_table[reading.table] if one.cell.row == reading.cell.row}
        return tuple((" ".join(cell.column_path), cell.text) for _, cell in sorted(rows.items()))

    def shared_left(self, one: Reading, other: Reading) -> int:
        """Count the cells to the left of both readings that say the same: a setting need not be a header."""
        edge = min(one.cell.column, other.cell.column)
        mine, theirs = self._line(one), self._line(other)
        return sum(column < edge and text == theirs.get(column) for column, text in mine.items())

    def _line(self, reading: Reading) -> Mapping[int, str]:
        """Return column → text of a reading's row, also of the cells without a number."""
        rows = self._lines.get(reading.table)
        if rows is None:
            rows = self._lines[reading.table] = defaultdict(dict)
            for cell in reading.document.cells:
                if cell.table == reading.cell.table:
                    rows[cell.row][cell.column] = cell.text
        return rows[reading.cell.row]

    def _add(self, document: Document, cell: Cell) -> None:
        if not cell.numbers:
            return
        caption, around = self._caption(cell.caption)
        for index, value in enumerate(cell.numbers):
            reading = self._reading(document, cell, index, value, caption, around)
            self.all.append(reading)
            for subject in reading.subjects:
                self.by_subject[subject].append(reading)
            for word in reading.words | reading.around:
                self.by_word[word].append(reading)
            self.by_benchmark[reading.benchmark].append(reading)
            self.by_table[reading.table].append(reading)

    def _reading(
        self, document: Document, cell: Cell, index: int, value: Decimal, caption: _Head, around: frozenset[str]
    ) -> Reading:  # fmt: skip
        second = index == 1
        column = self._head(" ".join(cell.column_path), second=second)
        row = self._head(" ".join(cell.row_path), second=second)
        parts = [self._head(part, second=second) for part in (*cell.row_path, *cell.column_path)]
        said = settings.over(settings.over(column.setting, row.setting), caption.setting)
        benchmark = column.benchmark or row.benchmark or caption.benchmark
        in_parts = next((part.metric for part in parts if part.metric), "")
        metric = column.metric or row.metric or in_parts or caption.metric
        return Reading(
            cell=cell,
            document=document,
            value=value,
            subjects=frozenset(part.subject for part in parts if part.subject),
            benchmark=benchmark,
            metric=metric,
            setting=said,
            lower=self._lower((column, row), metric, benchmark, caption),
            words=column.words | row.words,
            around=around,
        )

    def _lower(self, heads: tuple[_Head, ...], metric: str, benchmark: str, caption: _Head) -> bool | None:
        """Return whether less is better, by the nearest that says so."""
        by_name = [self.registry.better(metric, "metrics"), self.registry.better(benchmark, "benchmarks")]
        known = [None if not one else one == "lower" for one in by_name]
        said = (*(one.lower for one in heads), *known, caption.lower)
        return next((one for one in said if one is not None), None)

    def _caption(self, text: str) -> tuple[_Head, frozenset[str]]:
        found = self._captions.get(text)
        if found is None:
            head = _head(text, self.registry, second=False)
            found = self._captions[text] = (head, head.words)
        return found

    def _head(self, text: str, *, second: bool) -> _Head:
        found = self._heads.get((text, second))
        if found is None:
            found = self._heads[text, second] = _head(text, self.registry, second=second)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What one header says."""

    subject: str
    benchmark: str
    metric: str
    setting: Setting
    lower: bool | None
    words: frozenset[str]


def _head(text: str, registry: Registry, *, second: bool) -> _Head:
    """Read a header; ``second`` is for the number in brackets under a header such as "HumanEval (+)"."""
    if _PLUS.search(text):
        text = _PLUS.sub("+" if second else "", text)
    spaced = text.replace("_", " ")
    # Underscores part the words of a benchmark's column, but hold the name of an arm together.
    # A method takes its words with it: the "loss" of "auxiliary loss" is no metric.
    inside = [one for one in registry.find(text, ("metrics", "methods")) if one.kind == "metrics"]
    mentions = [*registry.find(spaced, ("benchmarks",)), *(inside or registry.endpoint(text))]
    benchmarks = {one.id for one in mentions if one.kind == "benchmarks"}
    metrics = {one.id for one in mentions if one.kind == "metrics"}
    setting = settings.read(spaced)
    named = bool(mentions) or setting != settings.NOTHING
    subject = "" if named else registry.id_of(text, "models") or key(text)
    return _Head(
        subject="" if subject in _ORDINARY else subject,
        benchmark=next(iter(benchmarks)) if len(benchmarks) == 1 else "",
        metric=next(iter(metrics)) if len(metrics) == 1 else "",
        setting=setting,
        lower=_arrow(text),
        words=frozenset(stems(spaced)),
    )


def _arrow(text: str) -> bool | None:
    """Return what an arrow or "lower is better" says; None where both or neither stand there."""
    said = {bool(match["down"]) for match in _ARROW.finditer(text)}
    return said.pop() if len(said) == 1 else None


def matching(readings: Iterable[Reading], benchmark: str, words: frozenset[str]) -> list[Reading]:
    """Return the readings on a benchmark: by id where it is known, else those with all its words in their headers."""
    if benchmark:
        return [one for one in readings if one.benchmark == benchmark]
    return [one for one in readings if words <= one.words | one.around and (words & one.words or not one.words)]


def group(readings: Iterable[Reading]) -> Mapping[tuple[str, int], list[Reading]]:
    """Return the readings of each table."""
    found: dict[tuple[str, int], list[Reading]] = defaultdict(list)
    for one in readings:
        found[one.table].append(one)
    return found
