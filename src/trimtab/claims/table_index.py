"""The numbers of all tables, to look them up by system, benchmark or word, and the headers as names in sentences."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from trimtab.claims import vocabulary
from trimtab.claims.header_reader import HeaderReader
from trimtab.claims.measured_table import MeasuredTable
from trimtab.claims.setting_phrases import SettingHead
from trimtab.claims.vocabulary import SHAPED, HeaderTerm, HeaderVocabulary
from trimtab.claims.wording import key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trimtab.claims.header_reader import Measurement
    from trimtab.claims.name_registry import Registry
    from trimtab.documents.parts import Document


class TableIndex:
    """All numbers of some documents.

    Args:
        documents: Read in full; their order is kept.
        registry: Known names.
    """

    def __init__(self, documents: Iterable[Document], registry: Registry) -> None:
        self.registry = registry
        self.headers = HeaderReader(registry)
        self.all: list[Measurement] = []
        self.by_subject: dict[str, list[Measurement]] = defaultdict(list)
        self.by_benchmark: dict[str, list[Measurement]] = defaultdict(list)
        self.by_word: dict[str, list[Measurement]] = defaultdict(list)
        self._tables: dict[tuple[str, int], MeasuredTable] = defaultdict(lambda: MeasuredTable(self.headers))
        for document in documents:
            for label in document.labels:
                lines = self._tables[document.sha256, label.table].lines
                lines.add(label.row, label.column, label.head, label.text)
                lines.labels.add(label.column)
            said_by_heads = {cell.table for cell in document.cells if self.headers.says_its_measure(cell)}
            for cell in document.cells:
                table = self._tables[document.sha256, cell.table]
                table.lines.add(cell.row, cell.column, " ".join(cell.column_path), cell.text)
                for reading in self.headers.measurements(document, cell, by_caption=cell.table not in said_by_heads):
                    table.readings.append(reading)
                    self._add(reading)

    def _add(self, reading: Measurement) -> None:
        self.all.append(reading)
        for subject in reading.subjects:
            self.by_subject[subject].append(reading)
        for word in reading.words | reading.around:
            self.by_word[word].append(reading)
        self.by_benchmark[reading.benchmark].append(reading)

    def of(self, reading: Measurement) -> MeasuredTable:
        """Return the table that a number stands in."""
        return self._tables[reading.table]

    @property
    def tables(self) -> list[MeasuredTable]:
        """The tables with numbers."""
        return [table for table in self._tables.values() if table.readings]

    def subject_id(self, text: str) -> str:
        """Return the id a subject is looked up by."""
        text = vocabulary.called(text)
        return self.registry.id_of(text, "models") or key(text)

    def vocabulary(self) -> HeaderVocabulary:
        """Return every header that can be a name in a sentence: systems, and what they were measured on."""
        said: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        values: dict[tuple[str, ...], set[str]] = defaultdict(set)
        told_of: set[str] = set()
        for table in self.tables:
            rows, columns = (
                {getattr(result.cell, f"{axis}_path") for result in table.readings} for axis in ("row", "column")
            )
            for axis, paths in (("row", rows), ("column", columns)):
                for name, run in ((name, run) for path in paths for name, run in vocabulary.names(path).items()):
                    kind = "models" if axis == table.axis and run.text not in table.measured else "benchmarks"
                    if run.text in table.measured:
                        # "Legal queries score 71.3 on nDCG": what is measured on is told of like a system.
                        told_of.add(name)
                    if vocabulary.nameable(name) and not (kind == "models" and self.headers.read(run.text).named):
                        said[name][kind].add(run.text)
                for path in paths if axis != table.axis else ():
                    for name, text in self.headers.short.names(path).items():
                        said[name]["benchmarks"].add(text)
            for column in table.settings:
                values[column.name].update(column.texts.values())
        terms = {
            name: HeaderTerm(
                kind="models" if "models" in kinds and (len(kinds) == 1 or SHAPED.search(name)) else "benchmarks",
                spellings=frozenset().union(*kinds.values()),
                either=len(kinds) > 1 or name in told_of,
            )
            for name, kinds in said.items()
        }
        return HeaderVocabulary(
            terms, [SettingHead(name=name, values=frozenset(texts)) for name, texts in values.items()]
        )

    def heads(self, path: tuple[str, ...]) -> frozenset[tuple[str, str]]:
        """Return the known benchmarks and metrics that a header names, as (kind, id)."""
        heads = [self.headers.read(part) for part in (*path, " ".join(path))]
        named = [("benchmarks", head.benchmark) for head in heads] + [("metrics", head.metric) for head in heads]
        return frozenset((kind, known) for kind, known in named if known)

    def shared_left(self, result: Measurement, other: Measurement) -> int:
        """Count what stands to the left of two numbers and is the same: a setting need not be a header."""
        edge = min(result.cell.column, other.cell.column)
        mine, theirs = (self.of(reading).lines.rows[reading.cell.row] for reading in (result, other))
        return sum(column < edge and text == theirs.get(column) for column, text in mine.items())


def matching(readings: Iterable[Measurement], benchmark: str, words: frozenset[str]) -> list[Measurement]:
    """Return the readings on a benchmark: by id where it is known, else those with all its words in their headers."""
    if benchmark:
        return [result for result in readings if result.benchmark == benchmark]
    return [
        result
        for result in readings
        if words <= result.words | result.around and (words & result.words or not result.words)
    ]
