"""Tables on a PDF page: rules of one width bound them, words between the rules make rows, gaps make columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from trimtab.documents.formats.cell_grid import RawCell, numeric
from trimtab.documents.parts import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

TOUCHING = 1.5
_NAME = re.compile(r"[^\W\d_]{2}")
CAPTION = re.compile(r"^(?:Table|TABLE|Tab\.)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word on a page: text and box in points from the top left, and whether it is bold."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    bold: bool = False

    @property
    def middle(self) -> float:
        """Half of its height."""
        return (self.top + self.bottom) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RuledLine:
    """A horizontal line."""

    top: float
    left: float
    right: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A table's place: its full rules, from top to bottom, and the words between them."""

    rules: tuple[RuledLine, ...]
    words: tuple[Word, ...]


def regions(words: Sequence[Word], rules: Sequence[RuledLine]) -> list[Region]:
    """Return the tables of a page: two or more rules of the same width with words between, no caption among them."""
    found = []
    groups: dict[tuple[int, int], list[RuledLine]] = {}
    for rule in sorted(_whole(rules), key=lambda each: each.top):
        key = next(
            (edge for edge in groups if abs(edge[0] - rule.left) < 4 and abs(edge[1] - rule.right) < 4),
            (round(rule.left), round(rule.right)),
        )
        groups.setdefault(key, []).append(rule)
    for group in groups.values():
        for run in _runs(group, words):
            inside = tuple(word for word in words if _inside(word, run[0], run[-1]))
            if len(run) > 1 and len(inside) > 3:
                found.append(Region(rules=tuple(run), words=inside))
    outer = [each for each in found if not any(other is not each and _within(each, other) for other in found)]
    return sorted(outer, key=lambda each: each.rules[0].top)


def _whole(rules: Sequence[RuledLine]) -> list[RuledLine]:
    """Join the rules of one height that touch: a border drawn cell by cell is one line."""
    whole: list[RuledLine] = []
    for rule in sorted(rules, key=lambda each: (round(each.top), each.left)):
        last = whole[-1] if whole else None
        if last and abs(last.top - rule.top) < 1.5 and rule.left < last.right + TOUCHING:
            whole[-1] = RuledLine(top=last.top, left=last.left, right=max(last.right, rule.right))
        else:
            whole.append(rule)
    return whole


def looks_tabular(rows: Sequence[Sequence[RawCell]]) -> bool:
    """Whether rows between two lines are a table although no caption says so: named columns, named rows, numbers.

    A chart, a list of references, a formula or a framed text has lines around it, too, and is none.
    """
    filled = [[cell.text for cell in row] for row in rows]
    measured = [index for index, row in enumerate(filled) if any(map(numeric, row[1:]))]
    if len(measured) < 2 or measured[0] == 0:
        return False
    heads = [text for row in filled[: measured[0]] for text in row[1:] if text]
    named = [filled[index][0] for index in measured if _NAME.search(filled[index][0])]
    numbers = [sum(map(numeric, filled[index][1:])) for index in measured]
    same = max(numbers.count(count) for count in numbers)
    filled_cells = sum(bool(text) for index in measured for text in filled[index][1:])
    return (
        bool(heads)
        and 2 * sum(numbers) >= filled_cells
        and len(named) * 4 >= len(measured) * 3
        and same * 2 >= len(measured)
    )


def _runs(group: list[RuledLine], words: Sequence[Word]) -> list[list[RuledLine]]:
    """Split rules of one width where a caption stands between two of them."""
    runs = [[group[0]]]
    for above, below in pairwise(group):
        between = [word for word in words if _inside(word, above, below)]
        if any(CAPTION.match(word.text) for word in between):
            runs.append([])
        runs[-1].append(below)
    return runs


def _inside(word: Word, above: RuledLine, below: RuledLine) -> bool:
    return above.top - 1 < word.middle < below.top + 1 and above.left - 4 < word.left and word.right < above.right + 4


def _within(inner: Region, outer: Region) -> bool:
    first, last = outer.rules[0], outer.rules[-1]
    rule = inner.rules[0]
    return first.top <= rule.top <= last.top and first.left - 4 <= rule.left and rule.right <= first.right + 4


def read(region: Region, rules: Sequence[RuledLine], page: int) -> tuple[list[list[RawCell]], int | None]:
    """Return a table's cells by row, and the rows above its first inner rule."""
    lines = _merged([_fragments(line) for line in _lines(region.words)])
    columns = _columns(lines)
    rows = [_row(line, columns, rules, page) for line in lines]
    inner = next((rule.top for rule in region.rules[1:-1] if rule.top > lines[0][0].bottom), None)
    heads = sum(line[0].middle < inner for line in lines) if inner is not None else None
    return rows, heads if heads and heads < len(lines) else None


def _lines(words: Sequence[Word]) -> list[list[Word]]:
    lines: list[list[Word]] = []
    for word in sorted(words, key=lambda each: each.middle):
        height = word.bottom - word.top
        if lines and abs(median(each.middle for each in lines[-1]) - word.middle) < 0.35 * height:
            lines[-1].append(word)
        else:
            lines.append([word])
    return [sorted(line, key=lambda each: each.left) for line in lines]


def _fragments(line: list[Word]) -> list[Word]:
    """Join the words of a line that a space, not a column gap, divides."""
    joined = [line[0]]
    for word in line[1:]:
        last = joined[-1]
        if word.left - last.right < 0.75 * (word.bottom - word.top):
            space = " " if word.left - last.right > 0.5 else ""
            joined[-1] = Word(
                text=f"{last.text}{space}{word.text}",
                left=last.left,
                top=min(last.top, word.top),
                right=word.right,
                bottom=max(last.bottom, word.bottom),
                bold=last.bold,
            )
        else:
            joined.append(word)
    return joined


def _merged(lines: list[list[Word]]) -> list[list[Word]]:
    """Put a label centered between two lines (a merged cell) into the upper one, where nothing is in its way."""
    pitch = median([below[0].middle - above[0].middle for above, below in pairwise(lines)] or [0.0])
    kept: list[list[Word]] = []
    for line in lines:
        close = kept and line[0].middle - kept[-1][0].middle < 0.75 * pitch
        if close and not any(_overlap(one, other) for one in line for other in kept[-1]):
            kept[-1] = sorted([*kept[-1], *line], key=lambda each: each.left)
        else:
            kept.append(line)
    return kept


def _overlap(one: Word, other: Word) -> bool:
    return one.left < other.right and other.left < one.right


def _columns(lines: list[list[Word]]) -> list[tuple[float, float]]:
    """Return the columns' extents, from the lines with the most fragments; measurements before names."""
    width = max(len(line) for line in lines)
    full = [line for line in lines if len(line) == width]
    measured = [line for line in full if any(numeric(word.text) for word in line[1:])] or full
    columns = [[word.left, word.right] for word in measured[0]]
    for line in measured[1:]:
        for extent, word in zip(columns, line, strict=True):
            extent[0], extent[1] = min(extent[0], word.left), max(extent[1], word.right)
    return [(left, right) for left, right in columns]


def _row(line: list[Word], columns: list[tuple[float, float]], rules: Sequence[RuledLine], page: int) -> list[RawCell]:
    placed = {}
    alone = len(line) == 1 and not numeric(line[0].text)
    for word in line:
        first, last = (0, len(columns) - 1) if alone else _covered(word, columns, rules)
        box = (word.left, word.top, word.right, word.bottom)
        placed[first] = RawCell(
            text=word.text, colspan=last - first + 1, bold=word.bold, position=Position(page=page, box=box)
        )
    row, column = [], 0
    while column < len(columns):
        cell = placed.get(column, RawCell(position=Position(page=page)))
        row.append(cell)
        column += cell.colspan
    return row


def _covered(word: Word, columns: list[tuple[float, float]], rules: Sequence[RuledLine]) -> tuple[int, int]:
    """Return the first and last column a fragment stands over: by overlap, or by the short rule below it."""
    left, right = word.left, word.right
    if len(columns) > 1:
        below = [
            rule
            for rule in rules
            if 0 <= rule.top - word.bottom < 8 and rule.left <= word.left and word.right <= rule.right
        ]
        full = columns[-1][1] - columns[0][0]
        short = min((rule.right - rule.left for rule in below), default=full)
        if short < 0.9 * full:
            rule = min(below, key=lambda each: each.right - each.left)
            left, right = rule.left, rule.right
    over = [index for index, (start, end) in enumerate(columns) if left < end and start < right]
    center = (left + right) / 2
    nearest = min(range(len(columns)), key=lambda index: abs(sum(columns[index]) / 2 - center))
    return (over[0], over[-1]) if over else (nearest, nearest)
