"""The numbers of all tables, by system, benchmark or word; which of them hold the tuple of a fact; headers as names."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from trimtab.claims import settings, vocabulary
from trimtab.claims.claim_verdict import Evidence, EvidenceTarget
from trimtab.claims.header_reader import ACROSS, AXES, HeaderReader
from trimtab.claims.measured_table import MeasuredTable
from trimtab.claims.scope_words import above_line, lines_above
from trimtab.claims.setting_columns import DESCRIBES, SettingHead
from trimtab.claims.vocabulary import SHAPED, HeaderTerm, HeaderVocabulary
from trimtab.claims.wording import any_case, key, stems

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.claims.claim_model import Fact
    from trimtab.claims.claim_verdict import Stance
    from trimtab.claims.header_reader import Measurement
    from trimtab.claims.name_registry import Registry
    from trimtab.claims.scope_words import AboveLine
    from trimtab.documents.parts import Document

_AMOUNT: Final = any_case(
    r"\b(?:memory|vram|ram|latency|times?|seconds?|minutes?|hours?|days|g?flops|macs|costs?|price|param\w*|sizes?|tokens?"
    r"|steps?|epochs?|energy|power|carbon|[kmg]i?b|ms|errors?|loss(?:es)?|drops?|ranks?|gaps?|distances?|violations?"
    r"|attack|asr|toxicity|hallucinations?|bias|variance|deviations?|std|p-?values?|overhead|refusals?)\b"
)
"""Heads of which nobody says that more is better, nor, without an arrow, that less is."""
_SEVERAL: Final = any_case(r"\b(?:and|or|but|while|as well as)\b|[;&+/]")
_PER_TIME: Final = any_case(r"/\s?s(?:ec)?\b|per second|\bthroughput\b|\bspeed\b|\bfps\b|\baccuracy\b")


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
        self._lines: dict[str, list[AboveLine]] = {}
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
                    self.all.append(reading)
        for reading in self.all:
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
        kinds_of: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        values: dict[tuple[str, ...], set[str]] = defaultdict(set)
        told_of: set[str] = set()
        for table in self.tables:
            for axis in AXES:
                paths = {result.path(axis) for result in table.readings}
                for name, run in ((name, run) for path in paths for name, run in vocabulary.names(path).items()):
                    kind = "models" if axis == table.axis and run.text not in table.measured else "benchmarks"
                    if run.text in table.measured:
                        # "Legal queries score 71.3 on nDCG": what is measured on is told of like a system.
                        told_of.add(name)
                    named_otherwise = kind == "models" and self.headers.read(run.text).named
                    if vocabulary.nameable(name, run.text) and not named_otherwise:
                        kinds_of[name][kind].update(
                            text for text in vocabulary.spellings(run.text) if key(text) == name
                        )
                for path in paths if axis != table.axis else ():
                    for name, text in self.headers.short_names(path).items():
                        kinds_of[name]["benchmarks"].add(text)
            for column in table.settings:
                values[column.name].update(column.texts.values())
        terms = {
            name: HeaderTerm(
                kind="models" if "models" in kinds and (len(kinds) == 1 or SHAPED.search(name)) else "benchmarks",
                spellings=frozenset().union(*kinds.values()),
                either=len(kinds) > 1 or name in told_of,
            )
            for name, kinds in kinds_of.items()
        }
        return HeaderVocabulary(
            terms, [SettingHead(name=name, values=frozenset(texts)) for name, texts in values.items()]
        )

    def lower_is_better(self, reading: Measurement) -> bool | None:
        """Return whether less of a number is better; None where its table leaves that open.

        More is, unless something says otherwise. What stands above a table may say it of one of its columns, and of an
        amount of time, memory or work nobody knows which is meant to be better.
        """
        heads = " ".join((*reading.cell.row_path, *reading.cell.column_path))
        amount = _AMOUNT.search(heads) and not _PER_TIME.search(heads)
        if amount and not self.headers.says_its_measure(reading.cell):
            return None
        if reading.lower is not None:
            return reading.lower
        above = self.above(reading)
        caption = self.headers.read(reading.cell.caption)
        texts = [
            text for text in (reading.cell.caption, above.section, *above.sentences) if self.headers.read(text).lower
        ]
        has_its_column = any(other.metric == caption.metric for other in self.of(reading).readings)
        lower_metric = self.registry.better(caption.metric, "metrics") == "lower" and not has_its_column
        # "Word error rate (lower is better)" is of all columns; of "word error rate and naturalness" one is another.
        of_all = any(
            self.registry.better(self.headers.read(text).metric, "metrics") == "lower" and not _SEVERAL.search(text)
            for text in texts
        )
        if of_all and not any(self.headers.says_its_measure(other.cell) for other in self.of(reading).readings):
            return True
        return None if lower_metric or texts else False

    def above(self, reading: Measurement) -> AboveLine:
        """Return what stands above the table of a number."""
        document = reading.document
        if document.sha256 not in self._lines:
            self._lines[document.sha256] = lines_above(document)
        return above_line(self._lines[document.sha256], reading.cell.position.line)

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

    def candidates(self, fact: Fact) -> list[Measurement]:
        """Return the cells that hold the tuple of a fact: system, benchmark or metric, and no other setting."""
        known, words = self.place(fact.benchmark)
        if fact.subject:
            cells = self.by_subject.get(self.subject_id(fact.subject), [])
        elif known:
            cells = self.by_benchmark.get(known, [])
        else:
            cells = min((self.by_word.get(word, []) for word in words), key=len, default=[])
        metric = self.registry.id_of(fact.metric, "metrics")
        if fact.benchmark:
            cells = self._on(cells, fact.benchmark)
        elif metric:
            cells = [result for result in cells if result.metric == metric]
        elif fact.metric:
            cells = matching(cells, "", frozenset(stems(fact.metric)))
        if not DESCRIBES.search(f"{fact.benchmark} {fact.metric}"):
            cells = [result for result in cells if not self._describes(result, known)]
        settings_of_rows = {result for result in cells if self.of(result).is_setting(result)}
        if not any(key(" ".join(result.cell.column_path)) == key(fact.benchmark) for result in settings_of_rows):
            cells = [result for result in cells if result not in settings_of_rows]
        # A table with a measure a row has its values in one column; what else stands in the row describes them.
        values = {result for result in cells if result.cell.column_path and key(result.cell.column_path[-1]) == "value"}
        long = {result.table for result in values}
        cells = [result for result in cells if result.table not in long or result in values]
        return [
            result
            for result in (self._closest(cells, fact.subject) if fact.subject else cells)
            if not settings.conflicts(fact.setting, self.of(result).setting_of(result, fact.setting))
            and not (metric and result.metric and metric != result.metric)
        ]

    def place(self, benchmark: str) -> tuple[str, frozenset[str]]:
        """Return a benchmark's id, empty where it is not known, and the stems of its words."""
        return self.registry.id_of(benchmark, "benchmarks"), frozenset(stems(benchmark))

    def _describes(self, result: Measurement, benchmark: str) -> bool:
        """Whether a number is of the system itself, in a table whose caption alone names the benchmark."""
        text = " ".join(result.path(ACROSS[self.of(result).axis]))
        described = DESCRIBES.search(text) is not None
        return described and all(mark.id != benchmark for mark in self.registry.find(text, ("benchmarks",)))

    def _on(self, cells: Sequence[Measurement], benchmark: str) -> list[Measurement]:
        """Return the cells on a benchmark: under a header of this very name where there is one, else by id or words."""
        name, (known, words) = key(benchmark), self.place(benchmark)
        # What a header is called without its measure leaves nothing else open.
        names = {result: [vocabulary.names(result.path(axis)).get(name) for axis in AXES] for result in cells}
        exact = [
            (min((run.open for run in names[result] if run), default=0), result)
            for result in cells
            if name in result.names
        ]
        if exact and not known:
            return _least(exact)
        # "micro_pass1" is that column alone, although "micro_drop" is of the same benchmark.
        whole = [result for left_open, result in exact if left_open == 0]
        has_it = {result.table for result in whole}
        return [*whole, *(result for result in matching(cells, known, words) if result.table not in has_it)]

    def _closest(self, pool: Sequence[Measurement], subject: str) -> list[Measurement]:
        """Return of a system's cells, in a table that has it with and without a variant, those without.

        Where a table prints the very name, marks and brackets included, only those of that name.
        """
        name, printed = self.subject_id(subject), "".join(subject.split()).casefold()

        def prints(result: Measurement) -> bool:
            """Whether the name is a header or its last parts."""
            ends = ("".join(path[start:]) for path in map(result.path, AXES) for start in range(len(path)))
            return any("".join(end.split()).casefold() == printed for end in ends)

        same = {result.table for result in pool if prints(result)}
        exact = [result for result in pool if result.table not in same or prints(result)]
        return _least([(self.of(result).behind(result, name), result) for result in exact])

    def target(self, reading: Measurement) -> EvidenceTarget:
        """Return the exact place of a reading."""
        cell, document = reading.cell, reading.document
        table = cell.label or f"table {cell.table}"
        row, column = " > ".join(cell.row_path), " > ".join(cell.column_path)
        return EvidenceTarget(
            kind="cell",
            document=document.path,
            sha256=document.sha256,
            work=document.work,
            location=f"{table}, row {row}, column {column} ({cell.position})",
            table=cell.table,
            row=cell.row,
            column=cell.column,
            quote=cell.text,
            beside=self.of(reading).row(reading),
        )

    def evidence(self, reading: Measurement, stance: Stance, why: str, home: Measurement | None = None) -> Evidence:
        """Return what a cell says; ``home`` is the cell that has the value instead."""
        place = self.target(home) if home else None
        return Evidence(backend="table", stance=stance, why=why, target=self.target(reading), home=place)


def _least(behind: Sequence[tuple[int, Measurement]]) -> list[Measurement]:
    """Return the cells of each table whose headers leave least open."""
    least: dict[tuple[str, int], int] = {}
    for count, result in behind:
        least[result.table] = min(count, least.get(result.table, count))
    return [result for count, result in behind if count == least[result.table]]


def matching(readings: Iterable[Measurement], benchmark: str, words: frozenset[str]) -> list[Measurement]:
    """Return the readings on a benchmark: by id where it is known, else those with all its words in their headers."""
    if benchmark:
        return [result for result in readings if result.benchmark == benchmark]
    return [
        result
        for result in readings
        if words <= result.words | result.around and (words & result.words or not result.words)
    ]
