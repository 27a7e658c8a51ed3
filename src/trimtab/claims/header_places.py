"""Where the headers of tables stand that a sentence names, and the cells of which it names row and column.

Every header is looked for, on either axis: as printed, in other letters, as a short form ("Halluc." for
hallucination), with its metric in any spelling, and "average" for any row or column of means.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from trimtab.claims import vocabulary
from trimtab.claims.header_reader import AXES, HeaderLine
from trimtab.claims.number_kinds import numbers
from trimtab.claims.result_words import plain
from trimtab.claims.text_range import TextRange
from trimtab.claims.wording import MEANS, SAYING, content, key, keys_from, name_words, stems, word_set

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from trimtab.claims.header_reader import Measurement
    from trimtab.claims.name_registry import Registry
    from trimtab.claims.number_kinds import TextNumber
    from trimtab.claims.table_index import TableIndex
    from trimtab.claims.vocabulary import Axis

_LONGEST: Final = 8
"""Words of a header that is looked for in a sentence."""
_SUFFIX: Final = re.compile(r"-(?:based|level)\b")
_WORD_BEFORE: Final = re.compile(r"(?:^([A-Za-z][\w-]*)|(?<![\w-])([a-z][\w-]*))\s+$")
_MEASURES: Final = word_set("rate rates score scores accuracy acc time value values")
_JOINING: Final = word_set("""
between versus vs than comparing among because aggregate total final below above beyond against near zero both toward
""")

MANY: Final = 20
"""Values that no sentence of prose has."""


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

    @property
    def sides(self) -> set[tuple[tuple[str, int], Axis]]:
        """The tables in which it is a header, and on which axis."""
        return {line.side for line in self.lines}


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
        return frozenset(map(self.reading.line, AXES))

    def away(self, number: Decimal) -> Decimal:
        """Return by how much its number differs from another one."""
        return abs(abs(number) - abs(self.reading.value))

    def distance(self, value: TextNumber) -> int:
        """Return how many characters stand between its names and a value."""
        return self.row.gap(value) + self.column.gap(value)


class HeaderPlaces:
    """Where each header stands: key of a name → rows and columns of tables."""

    def __init__(self, index: TableIndex) -> None:
        self._lines: dict[str, set[HeaderLine]] = defaultdict(set)
        self._spelled: dict[str, set[str]] = defaultdict(set)
        self._short: dict[str, set[str]] = defaultdict(set)
        self._cells: dict[tuple[HeaderLine, HeaderLine], list[Measurement]] = defaultdict(list)
        self.index = index
        self.by_table: dict[tuple[str, int], list[Measurement]] = defaultdict(list)
        for reading in index.all:
            self.by_table[reading.table].append(reading)
            self._cells[reading.line("row"), reading.line("column")].append(reading)
        # In the order of the tables, each once.
        self._paths = dict.fromkeys((reading.path(axis), reading.line(axis)) for reading in index.all for axis in AXES)
        for path, line in self._paths:
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
        for alias in _in_full(path, registry):
            self._lines[alias].add(line)
        for kind, known in self.index.heads(path):
            self._lines[f"{kind}:{known}"].add(line)
            if len(path) == 1 and registry.id_of(path[0], kind) == known:
                for text in registry.entries[kind][known].names:
                    self._lines[key(text)].add(line)

    def mentions(self, text: str) -> list[HeaderMention]:
        """Return the headers that a sentence names, the longest at each place."""
        words = name_words(text)
        named: list[HeaderMention] = []
        registered = {
            (mention.start, mention.end): f"{mention.kind}:{mention.id}"
            for mention in self.index.registry.find(text, ("metrics", "benchmarks"))
        }
        for first, word in enumerate(words):
            longest, keys = True, keys_from(words, first)[:_LONGEST]
            for size in range(len(keys), 0, -1):
                start, end, squashed = word.start, words[first + size - 1].end, keys[size - 1]
                if not _whole(text, start, end):
                    continue
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
        return named

    def sharing(self, words: Iterable[str]) -> set[HeaderLine]:
        """Return the lines whose headers share a stem with some words that not all lines beside them have."""
        return set().union(*(self._stems.get(word, ()) for word in set(words)))

    @cached_property
    def _stems(self) -> dict[str, set[HeaderLine]]:
        """Stem of a header → its lines, where it tells them from others."""
        by_stem: dict[str, set[HeaderLine]] = defaultdict(set)
        sides: dict[object, set[HeaderLine]] = defaultdict(set)
        for path, line in self._paths:
            sides[line.side].add(line)
            for word in stems(" ".join(path).replace("_", " ")):
                if not word.isdigit() and len(word) > 1:
                    by_stem[word].add(line)
        return {
            word: {line for line in lines if sides[line.side] == {line} or not sides[line.side] <= lines}
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
        lines = [(line, mention) for mention in named for line in sorted(mention.lines)]
        columns: dict[tuple[str, int], list[tuple[HeaderLine, HeaderMention]]] = defaultdict(list)
        for line, mention in lines:
            if line.axis == "column":
                columns[line.table].append((line, mention))
        return [
            NamedCell(reading=reading, row=row, column=column, loose=line in row.loose or across in column.loose)
            for line, row in lines
            for across, column in columns[line.table]
            if line.axis == "row" and column is not row
            for reading in self._cells.get((line, across), ())
        ]


def _in_full(path: tuple[str, ...], registry: Registry) -> set[str]:
    """Return the keys of a header's parts with their metrics in every spelling: "Base Acc" is base accuracy."""
    return {
        key(part[: metric.start] + text + part[metric.end :])
        for part in path
        for metric in registry.find(part, ("metrics",))
        if metric.end - metric.start < len(part.strip())
        for text in registry.entries["metrics"][metric.id].names
    }


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


def numbers_outside(text: str, named: Iterable[HeaderMention]) -> list[TextNumber]:
    """Return the numbers of a sentence that are no part of a header it names."""
    spans = [
        mention
        for mention in named
        if mention.sure or re.search(r"[A-Za-z].*\d|\d.*[A-Za-z]", text[mention.start : mention.end])
    ]
    return numbers(text, spans)
