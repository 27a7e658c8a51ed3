"""Tables on a PDF page: rules of one width bound them, words between the rules make rows, gaps make columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from operator import itemgetter
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from trimtab.documents.formats.cell_grid import RawCell
from trimtab.documents.formats.cell_text import numeric
from trimtab.documents.parts import Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TOUCHING = 1.5
HEAD_HEIGHT = 40  # points at most of heads that no rule stands above
SHORT_RULE = 8  # points at most from a head to the short rule below it
_NAME = re.compile(r"[^\W\d_]{2}")
DECIMAL = re.compile(r"[-+\u2212]?\d+\.\d+%?")
CAPTION = re.compile(r"^(?:Table|TABLE|Tab\.)$")


class Word(NamedTuple):
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

    @property
    def middle_across(self) -> float:
        """Half of its width."""
        return (self.left + self.right) / 2


@dataclass(frozen=True)
class Fragment:
    """Words of one cell, or of one line of it, from left to right; its box is that of all of them."""

    words: tuple[Word, ...]

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        lefts, tops, rights, bottoms = zip(*((w.left, w.top, w.right, w.bottom) for w in self.words), strict=True)
        return min(lefts), min(tops), max(rights), max(bottoms)

    @cached_property
    def text(self) -> str:
        """The words; what touches is one word."""
        parts = [self.words[0].text]
        for before, word in pairwise(self.words):
            apart = word.left - before.right > 0.5 or word.top > before.bottom - 1
            parts.append(f" {word.text}" if apart else word.text)
        return "".join(parts)

    @property
    def middle(self) -> float:
        """Half of its height."""
        return (self.box[1] + self.box[3]) / 2

    def over(self, left: float, right: float) -> bool:
        """Whether it stands over or under a stretch of the page's width."""
        return self.box[0] < right and left < self.box[2]


class RuledLine(NamedTuple):
    """A horizontal line."""

    top: float
    left: float
    right: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A table's place: its full rules, from top to bottom, and the words between them."""

    rules: tuple[RuledLine, ...]
    words: tuple[Word, ...]

    def holds(self, rule: RuledLine) -> bool:
        """Whether a rule lies in it."""
        first, last = self.rules[0], self.rules[-1]
        return first.top <= rule.top <= last.top and first.left - 4 <= rule.left and rule.right <= first.right + 4


def regions(words: Sequence[Word], rules: Sequence[RuledLine]) -> list[Region]:
    """Return the tables of a page: two or more rules of the same width with words between, no caption among them."""
    tables = []
    groups: dict[tuple[int, int], list[RuledLine]] = {}
    for rule in sorted(_whole(rules), key=lambda each: each.top):
        key = next(
            (edge for edge in groups if abs(edge[0] - rule.left) < 4 and abs(edge[1] - rule.right) < 4),
            (round(rule.left), round(rule.right)),
        )
        groups.setdefault(key, []).append(rule)
    captions = [word for word in words if CAPTION.match(word.text)]
    for group in groups.values():
        for run in _runs(group, captions):
            inside = _inside(words, run[0], run[-1]) if len(run) > 1 else []
            if len(inside) > 3:
                tables.append(Region(rules=tuple(run), words=tuple(inside)))
    outer = [each for each in tables if not any(other is not each and other.holds(each.rules[0]) for other in tables)]
    return [_headed(each, words) for each in sorted(outer, key=lambda each: each.rules[0].top)]


def _headed(region: Region, words: Sequence[Word]) -> Region:
    """Return a table without a rule above its heads together with them: lines of as many parts that touch its rule."""
    first = region.rules[0]
    above = _inside(words, first._replace(top=first.top - HEAD_HEIGHT), first)
    lines = [_fragments(line) for line in _lines(region.words)] if above else []
    heads: list[Word] = []
    for line in reversed(_lines([word for word in above if word.bottom < first.top + 1])):
        parts = _fragments(line)
        top = min(word.top for word in heads) if heads else first.top
        near = top - max(word.bottom for word in line) < 0.6 * (line[0].bottom - line[0].top)
        least = 2 if heads else 2 * max(map(len, lines)) / 3
        named = 2 * sum(numeric(part.text) for part in parts) < len(parts)
        if not near or not named or len(parts) < max(2, least) or any(CAPTION.match(word.text) for word in line):
            break
        heads += line
    if not heads or not any(numeric(part.text) for part in lines[0][1:]):
        return region
    border = first._replace(top=min(word.top for word in heads))
    return Region(rules=(border, *region.rules), words=(*heads, *region.words))


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


def _runs(group: list[RuledLine], captions: Sequence[Word]) -> list[list[RuledLine]]:
    """Split rules of one width where a caption stands between two of them."""
    runs = [[group[0]]]
    for above, below in pairwise(group):
        if _inside(captions, above, below):
            runs.append([])
        runs[-1].append(below)
    return runs


def _inside(words: Iterable[Word], above: RuledLine, below: RuledLine) -> list[Word]:
    """Return the words between two rules of one width."""
    top, bottom, left, right = above.top - 1, below.top + 1, above.left - 4, above.right + 4
    return [word for word in words if left < word.left and word.right < right and top < word.middle < bottom]


def read(region: Region, rules: Sequence[RuledLine], page: int) -> tuple[list[list[RawCell]], int | None]:
    """Return a table's cells by row, and the rows above its first inner rule."""
    lines = _joined_rows(_merged([_fragments(line) for line in _lines(region.words)]))
    columns = _columns(lines)
    lines = [_divided(line, columns) for line in lines]
    foot = max(word.bottom for word in region.words)
    rules = [rule for rule in rules if region.rules[0].top - 1 <= rule.top < foot + SHORT_RULE]
    rows = [_row(line, columns, rules, page) for line in lines]
    inner = next((rule.top for rule in region.rules[1:-1] if rule.top > lines[0][0].box[3]), None)
    heads = sum(line[0].middle < inner for line in lines) if inner is not None else 0
    if not 0 < heads < len(lines):
        return rows, None
    _span_labels(rows, lines, heads, [rule.top for rule in rules if rule.left < columns[0][1]])
    return rows, heads


def _lines(words: Iterable[Word]) -> list[list[Word]]:
    """Return words line by line, each from left to right; one belongs to a line where it stands at its middle."""
    lines: list[list[Word]] = []
    for word in sorted(words, key=lambda each: each.middle):
        line = lines[-1] if lines else []
        middle = (line[(len(line) - 1) // 2].middle + line[len(line) // 2].middle) / 2 if line else 0.0
        if line and abs(middle - word.middle) < 0.35 * (word.bottom - word.top):
            line.append(word)
        else:
            lines.append([word])
    return [sorted(line, key=lambda each: each.left) for line in lines]


def _fragments(line: list[Word]) -> list[Fragment]:
    """Join the words of a line that a space, not a column gap, divides; two decimals are never one cell."""
    fragments = [Fragment((line[0],))]
    for before, word in pairwise(line):
        gap, height = word.left - before.right, word.bottom - word.top
        apart = gap > 0.1 * height and DECIMAL.fullmatch(before.text) and DECIMAL.fullmatch(word.text)
        if apart or gap >= 0.75 * height:
            fragments.append(Fragment((word,)))
        else:
            fragments[-1] = Fragment((*fragments[-1].words, word))
    return fragments


def _divided(line: list[Fragment], columns: list[tuple[float, float]]) -> list[Fragment]:
    """Divide the fragments of a line that run over columns with narrow gaps."""
    spans = [sum(part.over(*column) for column in columns) for part in line]
    # Two words over two columns may be one head over both, unless no other head of a line of heads spans columns.
    heads = len(line) > 2 and not any(numeric(part.text) for part in line)
    wide = sum(span != 1 for span in spans)
    pieces: list[Fragment] = []
    for part, span in zip(line, spans, strict=True):
        pieces += _pieces(part, columns, 2 if heads and wide == (span != 1) else 3)
    return pieces


def _pieces(fragment: Fragment, columns: list[tuple[float, float]], least: int) -> list[Fragment]:
    """Divide a fragment at decimals behind a name, where parts stand over the middle of columns, or a word a column.

    Args:
        fragment: What stands together.
        columns: Left and right of each.
        least: Fewer words than that are not divided only because there are as many columns.
    """
    words = fragment.words
    if len(words) < 2 or len(columns) < 2:
        return [fragment]
    value = next(
        (at for at, word in enumerate(words) if DECIMAL.fullmatch(word.text) and word.middle_across > columns[1][0]), 0
    )
    behind_name = value and _NAME.search(words[0].text) and re.search(r"[^\W\d]$|\)$", words[value - 1].text)
    if behind_name and not any(_NAME.search(word.text) for word in words[value:]):
        return [*_pieces(Fragment(words[:value]), columns, least), *_fragments(list(words[value:]))]
    nearest = [min(columns, key=lambda column: abs(sum(column) / 2 - word.middle_across)) for word in words]
    runs = groupby(zip(nearest, words, strict=True), key=itemgetter(0))
    parts = [(sum(column) / 2, Fragment(tuple(word for _, word in run))) for column, run in runs]
    if len(parts) > 1 and all(abs(middle - sum(part.box[::2]) / 2) < 2 for middle, part in parts):
        return [part for _, part in parts]
    under = [column for column in columns if fragment.over(*column)]
    if len(under) == len(words) >= least and all(
        left - 2 < word.middle_across < right + 2 for word, (left, right) in zip(words, under, strict=True)
    ):
        return [Fragment((word,)) for word in words]
    return [fragment]


def _merged(lines: list[list[Fragment]]) -> list[list[Fragment]]:
    """Put a label centered between two lines (a merged cell) into the upper one, where nothing is in its way."""
    pitch = median([below[0].middle - above[0].middle for above, below in pairwise(lines)] or [0.0])
    merged: list[list[Fragment]] = []
    for line in lines:
        close = merged and line[0].middle - merged[-1][0].middle < 0.75 * pitch
        if close and not _overlap(line, merged[-1]):
            merged[-1] = sorted([*merged[-1], *line], key=lambda each: each.box[0])
        else:
            merged.append(line)
    return merged


def _joined_rows(lines: list[list[Fragment]]) -> list[list[Fragment]]:
    """Make one row of three lines: a name and a value, above and below them values in other columns."""
    rows: list[list[Fragment]] = []
    place = 0
    while place < len(lines):
        above, middle, below = [*lines[place : place + 3], [], [], []][:3]
        values = all(numeric(part.text) for part in (*above, *below, *middle[1:]))
        apart = values and len(middle) > 1 and len(above) == len(below) > 0 and not numeric(middle[0].text)
        if apart and middle[0].box[2] < above[0].box[0] and not _overlap(middle, [*above, *below]):
            pairs = (Fragment((*upper.words, *lower.words)) for upper, lower in zip(above, below, strict=True))
            rows.append([*middle, *pairs])
            place += 3
        else:
            rows.append(lines[place])
            place += 1
    return rows


def _overlap(line: list[Fragment], other: list[Fragment]) -> bool:
    return any(part.over(against.box[0], against.box[2]) for part in line for against in other)


def _columns(lines: list[list[Fragment]]) -> list[tuple[float, float]]:
    """Return the columns' extents, from the lines with the most fragments; measurements before names."""
    width = max(len(line) for line in lines)
    full = [line for line in lines if len(line) == width]
    measured = [line for line in full if any(numeric(part.text) for part in line[1:])] or full
    return [
        (min(part.box[0] for part in column), max(part.box[2] for part in column))
        for column in zip(*measured, strict=True)
    ]


def _row(
    line: list[Fragment], columns: list[tuple[float, float]], rules: Sequence[RuledLine], page: int
) -> list[RawCell]:
    placed = {}
    alone = len(line) == 1 and not numeric(line[0].text)
    for part in line:
        first, last = (0, len(columns) - 1) if alone else _covered(part, line, columns, rules)
        place = Position(page=page, box=part.box)
        placed[first] = RawCell(text=part.text, colspan=last - first + 1, bold=part.words[0].bold, position=place)
    row, column = [], 0
    while column < len(columns):
        cell = placed.get(column, RawCell(position=Position(page=page)))
        row.append(cell)
        column += cell.colspan
    return row


def _covered(
    part: Fragment, line: list[Fragment], columns: list[tuple[float, float]], rules: Sequence[RuledLine]
) -> tuple[int, int]:
    """Return the first and last column a fragment stands over: by overlap, or by the short rule below it alone."""
    left, _, right, bottom = part.box
    full = columns[-1][1] - columns[0][0]
    for rule in rules:
        below = 0 <= rule.top - bottom < SHORT_RULE and rule.left <= part.box[0] and part.box[2] <= rule.right
        if below and rule.right - rule.left < 0.9 * full:
            others = any(each.over(rule.left, rule.right) for each in line if each is not part)
            left, right = (left, right) if others else (rule.left, rule.right)
    over = [index for index, (start, end) in enumerate(columns) if left < end and start < right]
    if over:
        return over[0], over[-1]
    center = (left + right) / 2
    nearest = min(range(len(columns)), key=lambda index: abs(sum(columns[index]) / 2 - center))
    return nearest, nearest


def _span_labels(rows: list[list[RawCell]], lines: list[list[Fragment]], heads: int, rules: list[float]) -> None:
    """Spread a label that stands in the middle of the rows between two rules, or of the first ones, over them."""
    numbered = [(sum(top < lines[index][0].middle for top in rules), index) for index in range(heads, len(rows))]
    for _, block in groupby(numbered, key=itemgetter(0)):
        runs = [
            list(run) for _, run in groupby((index for _, index in block), key=lambda index: not rows[index][0].text)
        ]
        while len(runs) > 2 and not rows[runs[0][0]][0].text:
            above, named, below, *runs = runs
            spanned = [*above, *named, *below]
            if abs(len(above) - len(below)) > 1 or any(rows[index][0].colspan > 1 for index in spanned):
                break
            text = " ".join(rows[index][0].text for index in named)
            label = RawCell(text=text, rowspan=len(spanned), position=rows[named[0]][0].position)
            for index in spanned:
                rows[index][:1] = [label] if index == spanned[0] else []
