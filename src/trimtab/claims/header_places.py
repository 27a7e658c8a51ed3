"""Where the headers of tables stand that a sentence names, and the cells of which it names row and column.

Every header is looked for, on either axis: as printed, in other letters, as a short form ("Halluc." for
hallucination), with its metric in any spelling, and "average" for any row or column of means.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

from trimtab.claims import vocabulary
from trimtab.claims.result_words import plain
from trimtab.claims.text_range import TextRange
from trimtab.claims.wording import MEANS, SAYING, content, key, name_words, stems

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from trimtab.claims.header_reader import Measurement
    from trimtab.claims.number_kinds import TextNumber
    from trimtab.claims.table_index import TableIndex

HeaderLine = tuple[tuple[str, int], str, int]
"""A table, "row" or "column", and which."""
_LONGEST: Final = 8
_SUFFIX: Final = re.compile(r"-(?:based|level)\b")
_WORD_BEFORE: Final = re.compile(r"(?:^([A-Za-z][\w-]*)|(?<![\w-])([a-z][\w-]*))\s+$")
_MEASURES: Final = frozenset({"rate", "rates", "score", "scores", "accuracy", "acc", "time", "value", "values"})
_JOINING_WORDS: Final = """
between versus vs than comparing among because aggregate total final below above beyond against near zero both toward
"""
_JOINING: Final = frozenset(_JOINING_WORDS.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderMention(TextRange):
    """A header named in a sentence: its characters, the rows and columns it may be, and how surely it is meant.

    ``sure`` is 2 for a name as it is printed, 1 for one in other letters or in a longer word, 0 for an ordinary word.
    ``modified``: a word that may make another thing of it stands before it, "quantized Foo-7B".
    ``loose`` are the lines whose headers say more than the name, "SQuAD F1" for F1: they may be meant, or not.
    """

    lines: frozenset[HeaderLine]
    sure: int
    modified: bool = False
    loose: frozenset[HeaderLine] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCell:
    """A cell of which a sentence names row and column; ``loose`` where a header says more."""

    reading: Measurement
    row: HeaderMention
    column: HeaderMention
    loose: bool = False

    @property
    def lines(self) -> frozenset[HeaderLine]:
        """Its row and its column."""
        table, cell = self.reading.table, self.reading.cell
        return frozenset({(table, "row", cell.row), (table, "column", cell.column)})

    def away(self, number: Decimal) -> Decimal:
        """Return by how much its number differs from another one."""
        return abs(abs(number) - abs(self.reading.value))

    def distance(self, value: TextNumber) -> int:
        """Return how many characters stand between its names and a value."""
        return sum(max(mention.start - value.end, value.start - mention.end) for mention in (self.row, self.column))


class HeaderPlaces:
    """Where each header stands: key of a name → rows and columns of tables."""

    def __init__(self, index: TableIndex) -> None:
        self._lines: dict[str, set[HeaderLine]] = defaultdict(set)
        self._spelled: dict[str, set[str]] = defaultdict(set)
        self._short: dict[str, set[str]] = defaultdict(set)
        self._cells: dict[tuple[tuple[str, int], int, int], list[Measurement]] = defaultdict(list)
        self.index = index
        self.by_table: dict[tuple[str, int], list[Measurement]] = defaultdict(list)
        headers: dict[tuple[tuple[str, ...], HeaderLine], None] = {}
        for reading in index.all:
            cell = reading.cell
            self.by_table[reading.table].append(reading)
            self._cells[reading.table, cell.row, cell.column].append(reading)
            headers[cell.row_path, (reading.table, "row", cell.row)] = None
            headers[cell.column_path, (reading.table, "column", cell.column)] = None
        for path, line in headers:
            self._add(path, line)

    def _add(self, path: tuple[str, ...], line: HeaderLine) -> None:
        """Add one header under everything it may be called."""
        registry = self.index.registry
        for name, run in vocabulary.names(path).items():
            self._lines[name].add(line)
            self._spelled[name].add(run.text)
            if run.text.rstrip().endswith(".") and name.isalpha() and len(name) >= 3:
                self._short[name[:3]].add(name)
            if name in MEANS:
                self._lines["average"].add(line)
        for alias in _in_full(path, self.index):
            self._lines[alias].add(line)
        for kind, known in self.index.heads(path):
            self._lines[f"{kind}:{known}"].add(line)
            if len(path) == 1 and registry.id_of(path[0], kind) == known:
                for text in registry.entries[kind][known].names:
                    self._lines[key(text)].add(line)

    def mentions(self, text: str) -> list[HeaderMention]:
        """Return the headers that a sentence names, the longest at each place."""
        words, at = name_words(text), 0
        named: list[HeaderMention] = []
        registered = {
            (mention.start, mention.end): f"{mention.kind}:{mention.id}"
            for mention in self.index.registry.find(text, ("metrics", "benchmarks"))
        }
        while at < len(words):
            longest = True
            for size in range(min(_LONGEST, len(words) - at), 0, -1):
                start, end = words[at][1], words[at + size - 1][2]
                if not _whole(text, start, end):
                    continue
                squashed = "".join(word for word, _, _ in words[at : at + size]).casefold()
                lines, exact = self._found(squashed, alone=size == 1)
                loose = self._lines.get(registered.get((start, end), ""), set()) - lines
                lines |= loose
                if lines:
                    inside = not longest or any(mention.start <= start and end <= mention.end for mention in named)
                    ordinary = (
                        squashed.isdigit()
                        or len(squashed) < 2
                        or (squashed in SAYING and squashed not in MEANS and (start, end) not in registered)
                    )
                    printed = exact and (not text[start:end].isalpha() or text[start:end] in self._spelled[squashed])
                    changed = modified(text, start) and not (inside and squashed in _MEASURES)
                    named.append(
                        HeaderMention(
                            start=start,
                            end=end,
                            lines=frozenset(lines),
                            sure=0 if ordinary or (changed and inside) else 2 if printed and not inside else 1,
                            modified=changed,
                            loose=frozenset(loose),
                        )
                    )
                    longest = False
            at += 1
        return named

    def sharing(self, words: Iterable[str]) -> set[HeaderLine]:
        """Return the lines whose headers share a stem with some words that not all lines beside them have."""
        return set().union(*(self._stems.get(word, ()) for word in set(words)))

    @cached_property
    def _stems(self) -> dict[str, set[HeaderLine]]:
        """Stem of a header → its lines, where it tells them from others."""
        by_stem: dict[str, set[HeaderLine]] = defaultdict(set)
        sides: dict[tuple[tuple[str, int], str], set[HeaderLine]] = defaultdict(set)
        for reading in self.index.all:
            for axis, path, at in (
                ("row", reading.cell.row_path, reading.cell.row),
                ("column", reading.cell.column_path, reading.cell.column),
            ):
                line = (reading.table, axis, at)
                sides[line[:2]].add(line)
                for part in path:
                    for word in stems(part.replace("_", " ")):
                        if not word.isdigit() and len(word) > 1:
                            by_stem[word].add(line)
        return {
            word: {line for line in lines if sides[line[:2]] == {line} or not sides[line[:2]] <= lines}
            for word, lines in by_stem.items()
        }

    def _found(self, name: str, *, alone: bool) -> tuple[set[HeaderLine], bool]:
        """Return the lines of a name, and whether a header has it in just these words."""
        lines = set(self._lines.get(name, ()))
        exact = bool(lines)
        if alone:
            lines |= self._lines.get("average", set()) if name in MEANS else set()
            if not lines and len(name) > 3:
                lines |= self._lines.get(name.removesuffix("s"), set())
                for short in self._short.get(name[:3], ()):
                    lines |= self._lines[short] if name.startswith(short) else set()
        return lines, exact

    def cells(self, named: Sequence[HeaderMention]) -> list[NamedCell]:
        """Return the cells of which two different mentions name row and column."""
        # In one order, so that of cells that are equally near the same one is taken in each run.
        lines = [(*line, mention) for mention in named for line in sorted(mention.lines)]
        columns: dict[tuple[str, int], list[tuple[int, HeaderMention]]] = defaultdict(list)
        for table, axis, line, mention in lines:
            if axis == "column":
                columns[table].append((line, mention))
        return [
            NamedCell(
                reading=reading,
                row=row,
                column=column,
                loose=(table, "row", line) in row.loose or (table, "column", at) in column.loose,
            )
            for table, axis, line, row in lines
            for at, column in columns.get(table, ())
            if axis == "row" and column is not row
            for reading in self._cells.get((table, line, at), ())
        ]


@lru_cache(maxsize=65536)
def _spelled_out(text: str, metrics: tuple[tuple[int, int, tuple[str, ...]], ...]) -> frozenset[str]:
    return frozenset(key(text[:start] + name + text[end:]) for start, end, names in metrics for name in names)


def _in_full(path: tuple[str, ...], index: TableIndex) -> frozenset[str]:
    """Return the keys of a header's parts with their metrics in every spelling: "Base Acc" is base accuracy."""
    keys: set[str] = set()
    for part in path:
        known = index.registry.entries["metrics"]
        metrics = tuple(
            (mention.start, mention.end, known[mention.id].names)
            for mention in index.registry.find(part, ("metrics",))
            if mention.end - mention.start < len(part.strip())
        )
        keys |= _spelled_out(part, metrics) if metrics else frozenset()
    return frozenset(keys)


def _whole(text: str, start: int, end: int) -> bool:
    """Whether [start, end) is no part of a longer hyphenated name; "-based" makes no other name."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if re.fullmatch(r"[A-Za-z0-9][-@/._]", before):
        return False
    return not re.match(r"[-@/_][A-Za-z0-9]|\.\d", after) or bool(_SUFFIX.match(text, end))


def modified(text: str, start: int) -> bool:
    """Whether a word that no sentence about results is made of stands right before a name: "quantized Foo-7B"."""
    before = _WORD_BEFORE.search(text[:start])
    word = (before[1] or before[2]).casefold() if before else ""
    return bool(word) and not (plain(word) or not content(word) or word.endswith("s") or word in _JOINING)
