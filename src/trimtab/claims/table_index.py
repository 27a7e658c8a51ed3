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

from trimtab.claims import settings, vocabulary
from trimtab.claims.short_headers import ShortHeaders
from trimtab.claims.vocabulary import HeaderTerm
from trimtab.claims.wording import key, stems

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from trimtab.claims.claim_model import MeasurementSetting
    from trimtab.claims.name_registry import Registry
    from trimtab.claims.vocabulary import Axis, Vocabulary
    from trimtab.documents.parts import Document, TableCell

_ARROW: Final = re.compile(
    "(?P<down>\u2193|\\b(?:lower|less|smaller)\\s+is\\s+better)|(?P<up>\u2191|\\b(?:higher|more|larger)\\s+is\\s+better)",
    re.IGNORECASE,
)
_PLUS: Final = re.compile(r"\s*\(\s*\+\s*\)")
_SHAPED: Final = re.compile(r"[A-Za-z]\d|\d[A-Za-z]|[a-z][A-Z]|[A-Za-z]-\d")
# "62B" says how large a system is: a sentence's values are never of this form.
_SIZE: Final = re.compile(r"[~\u2248]?\d+(?:\.\d+)?\s?[BM](?:-A\d+(?:\.\d+)?B)?")
# Groups of benchmarks by topic: they say nothing that the benchmark's name does not.
_TOPIC_WORDS: Final = """
general english chinese code coding math maths mathematics mathematical reasoning knowledge language multilingual
alignment open-ended closed-book instruction instructions following long context long-context understanding commonsense
common sense world reading comprehension science stem safety agent tool use task tasks benchmark benchmarks and & other
others professional chat conversation problem solving question answering qa exam examination examinations factuality
text natural generation programming logic logical academic software engineering creative writing
"""
_TOPICS: Final = frozenset(_TOPIC_WORDS.split())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurement:
    """One number of a table.

    Attributes:
        cell: Where it stands.
        document: The file.
        value: The number.
        index: Which of the numbers of its cell it is, counted from 0.
        subjects: Ids of what its headers name besides benchmark and metric.
        names: Keys of everything its headers can be called.
        benchmark: Id; empty if no known one is named.
        metric: Id; empty if none is named.
        setting: How it was obtained.
        lower: Whether less is better: by an arrow or a word in its headers, else by its metric or benchmark, else by
            the caption; None where nothing says.
        words: Stems of its headers.
        around: Stems of its caption.
    """

    cell: TableCell
    document: Document
    value: Decimal
    index: int
    subjects: frozenset[str]
    names: frozenset[str]
    benchmark: str
    metric: str
    setting: MeasurementSetting
    lower: bool | None
    words: frozenset[str]
    around: frozenset[str]

    @property
    def table(self) -> tuple[str, int]:
        """Which table it is in."""
        return self.cell.document, self.cell.table


class TableIndex:
    """All numbers of some documents.

    Args:
        documents: Read in full; their order is kept.
        registry: Known names.
    """

    def __init__(self, documents: Iterable[Document], registry: Registry) -> None:
        self.registry = registry
        self.all: list[Measurement] = []
        self.by_subject: dict[str, list[Measurement]] = defaultdict(list)
        self.by_benchmark: dict[str, list[Measurement]] = defaultdict(list)
        self.by_word: dict[str, list[Measurement]] = defaultdict(list)
        self.by_table: dict[tuple[str, int], list[Measurement]] = defaultdict(list)
        self._lines: dict[tuple[str, int], dict[int, dict[int, str]]] = {}
        self._short = ShortHeaders(registry)
        self._heads: dict[tuple[str, bool], _Head] = {}
        self._names: dict[tuple[str, ...], frozenset[str]] = {}
        self._axes: dict[tuple[str, int], Axis] = {}
        self._captions: dict[str, tuple[_Head, frozenset[str]]] = {}
        for document in documents:
            for cell in document.cells:
                self._add(document, cell)

    def subject_id(self, text: str) -> str:
        """Return the id a subject is looked up by."""
        return self.registry.id_of(text, "models") or key(text)

    def vocabulary(self) -> Vocabulary:
        """Return every header that can be a name in a sentence: systems, and what they were measured on."""
        said: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for table, readings in self.by_table.items():
            systems = self.axis(table)
            for path, axis in {(one.cell.row_path, "row") for one in readings} | {
                (one.cell.column_path, "column") for one in readings
            }:
                kind = "models" if axis == systems else "benchmarks"
                for name, run in vocabulary.names(path).items():
                    if vocabulary.nameable(name) and not (
                        kind == "models" and self._head(run.text, second=False).named
                    ):
                        said[name][kind].add(run.text)
                for name, text in self._short.names(path).items() if axis != systems else ():
                    said[name][kind].add(text)
        return {
            name: HeaderTerm(
                kind="models" if "models" in kinds and (len(kinds) == 1 or _SHAPED.search(name)) else "benchmarks",
                spellings=frozenset().union(*kinds.values()),
            )
            for name, kinds in said.items()
        }

    def heads(self, path: tuple[str, ...]) -> frozenset[tuple[str, str]]:
        """Return the known benchmarks and metrics that a header names, as (kind, id)."""
        heads = [self._head(part, second=False) for part in (*path, " ".join(path))]
        return frozenset(("benchmarks", one.benchmark) for one in heads if one.benchmark) | frozenset(
            ("metrics", one.metric) for one in heads if one.metric
        )

    def open_parts(self, reading: Measurement, said: Iterable[str]) -> tuple[str, ...]:
        """Return the parts of a cell's headers of which a sentence names nothing."""
        words = {word for text in said for word in stems(text.replace("_", " "))}
        names = {key(text) for text in said}
        return tuple(
            part
            for path in (reading.cell.row_path, reading.cell.column_path)
            for part in path
            if len(path) > 1
            and not set(re.findall(r"[^\s,/()]+", part.casefold())) <= _TOPICS
            and not self._head(part, second=False).words & words
            and not set(map(key, vocabulary.spellings(part))) & names
            and not any(key(part) in name for name in names)
        )

    def axis(self, table: tuple[str, int]) -> Axis:
        """Return on which axis of a table its systems are."""
        found = self._axes.get(table)
        if found is None:
            readings = self.by_table[table]
            rows = {one.cell.row_path for one in readings}
            columns = {one.cell.column_path for one in readings}
            known = self._share(columns, named=True) - self._share(rows, named=True)
            shaped = self._share(columns, named=False) - self._share(rows, named=False)
            found = self._axes[table] = "column" if known < 0 or (known == 0 and shaped > 0.5) else "row"
        return found

    def _share(self, paths: set[tuple[str, ...]], *, named: bool) -> float:
        """Return how many of the paths name a known benchmark or metric, or else have the shape of a model's name."""
        heads = [" ".join(path) for path in paths if path]
        hits = sum(self._head(text, second=False).named if named else bool(_SHAPED.search(text)) for text in heads)
        return hits / max(1, len(heads))

    def behind(self, reading: Measurement, subject: str) -> int:
        """Return how many header parts stand behind a subject's name: variants that the name does not say."""
        counts = []
        for path in (reading.cell.row_path, reading.cell.column_path):
            found = vocabulary.names(path).get(subject)
            if found is not None:
                rest = path[len(path) - found.behind :] if found.behind else ()
                unsaid = [part for part in rest if not _within(part, subject)]
                counts.append(found.cut + sum(not self._head(part, second=False).named for part in unsaid))
        return min(counts, default=0)

    def unsaid(self, reading: Measurement, subject: str, benchmark: str) -> tuple[str, ...]:
        """Return the parts of the other axis' header that a fact about ``subject`` on ``benchmark`` does not say."""
        on_row = subject in vocabulary.names(reading.cell.row_path)
        path = reading.cell.column_path if on_row else reading.cell.row_path
        known, words = self.registry.id_of(benchmark, "benchmarks"), frozenset(stems(benchmark)) | vocabulary.GENERIC
        name = key(benchmark)
        left = []
        if len(path) > 1 and self._only_column(reading, name, known, on_row=on_row):
            path = (
                tuple(part for part in path if not set(re.findall(r"[^\s,/()]+", part.casefold())) <= _TOPICS)
                or path[-1:]
            )
        for at, part in enumerate(path):
            head = self._head(part, second=False)
            inside = any(name in vocabulary.names(path[start : at + 1]) for start in range(at + 1))
            explains = head.metric or head.setting != settings.NOTHING or (known and head.benchmark == known)
            if not (explains or inside or head.words <= words or name in map(key, vocabulary.spellings(part))):
                left.append(part)
        return tuple(left)

    def _only_column(self, reading: Measurement, name: str, known: str, *, on_row: bool) -> bool:
        """Whether no other column (or row, where the columns are systems) of a table is of this benchmark, too."""
        places = {
            one.cell.column if on_row else one.cell.row
            for one in self.by_table[reading.table]
            if name in one.names or (known and one.benchmark == known)
        }
        return len(places) == 1

    def row(self, reading: Measurement) -> tuple[tuple[str, str], ...]:
        """Return the cells beside a reading, as (column, text), itself among them."""
        rows = {one.cell.column: one.cell for one in self.by_table[reading.table] if one.cell.row == reading.cell.row}
        return tuple((" ".join(cell.column_path), cell.text) for _, cell in sorted(rows.items()))

    def shared_left(self, one: Measurement, other: Measurement) -> int:
        """Count the cells to the left of both readings that say the same: a setting need not be a header."""
        edge = min(one.cell.column, other.cell.column)
        mine, theirs = self._line(one), self._line(other)
        return sum(column < edge and text == theirs.get(column) for column, text in mine.items())

    def apart(self, readings: Iterable[Measurement]) -> str:
        """Return in words what parts rows of one name, the cells to the left of their values: "budget (low, high)"."""
        rows = list(readings)
        heads = {cell.column: " ".join(cell.column_path) for one in rows[:1] for cell in self._row(one)}
        told = []
        for column, head in heads.items():
            texts = list(dict.fromkeys(self._line(one).get(column, "") for one in rows))
            if head and len(texts) > 1 and column < min(one.cell.column for one in rows):
                told.append(f"{head} ({', '.join(texts)})")
        paths = [one.cell.row_path for one in rows]
        common = set(paths[0]).intersection(*paths) if paths else set()
        rest = dict.fromkeys(" ".join(part for part in path if part not in common) for path in paths)
        return " and ".join(told) or f"row ({', '.join(rest)})" * (len(rest) > 1)

    def _row(self, reading: Measurement) -> list[TableCell]:
        """Return the cells of a reading's row."""
        cell = reading.cell
        return [one for one in reading.document.cells if (one.table, one.row) == (cell.table, cell.row)]

    def _line(self, reading: Measurement) -> Mapping[int, str]:
        """Return column → text of a reading's row, also of the cells without a number."""
        rows = self._lines.get(reading.table)
        if rows is None:
            rows = self._lines[reading.table] = defaultdict(dict)
            for cell in reading.document.cells:
                if cell.table == reading.cell.table:
                    rows[cell.row][cell.column] = cell.text
        return rows[reading.cell.row]

    def _add(self, document: Document, cell: TableCell) -> None:
        if not cell.numbers or _SIZE.fullmatch(cell.text.strip()):
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
        self, document: Document, cell: TableCell, index: int, value: Decimal, caption: _Head, around: frozenset[str]
    ) -> Measurement:  # fmt: skip
        second = index == 1
        column = self._head(" ".join(cell.column_path), second=second)
        row = self._head(" ".join(cell.row_path), second=second)
        parts = [self._head(part, second=second) for part in (*cell.row_path, *cell.column_path)]
        setting = settings.over(settings.over(column.setting, row.setting), caption.setting)
        benchmark = column.benchmark or row.benchmark or caption.benchmark
        in_parts = next((part.metric for part in parts if part.metric), "")
        metric = column.metric or row.metric or in_parts or caption.metric
        return Measurement(
            cell=cell,
            document=document,
            value=value,
            index=index,
            names=frozenset(
                name
                for path in (cell.row_path, cell.column_path)
                for name in (*vocabulary.names(path), *self._short.names(path))
            ),
            subjects=frozenset(part.subject for part in parts if part.subject)
            | self._joined(cell.row_path)
            | self._joined(cell.column_path),
            benchmark=benchmark,
            metric=metric,
            setting=setting,
            lower=self._lower((column, row), metric, benchmark, caption),
            words=column.words | row.words,
            around=around,
        )

    def _joined(self, path: tuple[str, ...]) -> frozenset[str]:
        """Return the keys of the names in a path, without those that only say a benchmark, a metric or a setting."""
        found = self._names.get(path)
        if found is None:
            runs = vocabulary.names(path).items()
            found = self._names[path] = frozenset(
                name
                for name, run in runs
                if name not in vocabulary.ORDINARY and not self._head(run.text, second=False).named
            )
        return found

    def _lower(self, heads: tuple[_Head, ...], metric: str, benchmark: str, caption: _Head) -> bool | None:
        """Return whether less is better, by the nearest that says so."""
        by_name = [self.registry.better(metric, "metrics"), self.registry.better(benchmark, "benchmarks")]
        known = [None if not one else one == "lower" for one in by_name]
        directions = (*(one.lower for one in heads), *known, caption.lower)
        return next((one for one in directions if one is not None), None)

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
    named: bool
    benchmark: str
    metric: str
    setting: MeasurementSetting
    lower: bool | None
    words: frozenset[str]


def _within(part: str, subject: str) -> bool:
    """Whether a size beside a name is a part of it already: "12B" of "Plover-12B"."""
    return bool(_SIZE.fullmatch(part.strip())) and bool(re.search(rf"(?<![\d.]){re.escape(key(part))}", subject))


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
        subject="" if subject in vocabulary.ORDINARY else subject,
        named=named,
        benchmark=next(iter(benchmarks)) if len(benchmarks) == 1 else "",
        metric=next(iter(metrics)) if len(metrics) == 1 else "",
        setting=setting,
        lower=_arrow(text),
        words=frozenset(stems(spaced)),
    )


def _arrow(text: str) -> bool | None:
    """Return what an arrow or "lower is better" says; None where both or neither stand there."""
    arrows = {bool(match["down"]) for match in _ARROW.finditer(text)}
    return arrows.pop() if len(arrows) == 1 else None


def matching(readings: Iterable[Measurement], benchmark: str, words: frozenset[str]) -> list[Measurement]:
    """Return the readings on a benchmark: by id where it is known, else those with all its words in their headers."""
    if benchmark:
        return [one for one in readings if one.benchmark == benchmark]
    return [one for one in readings if words <= one.words | one.around and (words & one.words or not one.words)]


def group(readings: Iterable[Measurement]) -> Mapping[tuple[str, int], list[Measurement]]:
    """Return the readings of each table."""
    found: dict[tuple[str, int], list[Measurement]] = defaultdict(list)
    for one in readings:
        found[one.table].append(one)
    return found
