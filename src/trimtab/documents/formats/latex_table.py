r"""LaTeX tabulars to rows of cells: ``\multicolumn``, ``\multirow``, booktabs' rules, macros that hold whole rows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain
from typing import TYPE_CHECKING

from trimtab.documents.formats.cell_grid import RawCell, starts_bold
from trimtab.documents.formats.cell_text import numeric
from trimtab.documents.formats.latex_source import arguments, blank, macro_name, written
from trimtab.documents.parts import Position

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.documents.formats.latex_source import LatexSource, Node
    from trimtab.documents.formats.latex_text import Inline

ROW_ENDS = {"\\", "tabularnewline", "cr"}
RULES = {"toprule", "midrule", "bottomrule", "hline"}
NOT_IN_A_CELL = {"caption", "label", "endhead", "endfirsthead", "endfoot", "endlastfoot", "rowcolor", "hiderowcolors"}


@dataclass(slots=True)
class _LatexRow:
    cells: list[list[Node]] = field(default_factory=lambda: [[]])
    ruled: bool = False


def read(environment: Node, source: LatexSource, inline: Inline) -> tuple[list[list[RawCell]], int | None]:
    """Return a tabular's rows, and its head rows where a rule tells them.

    Args:
        environment: The tabular's node.
        source: The file.
        inline: Turns nodes into text.
    """
    rows = [row for row in _rows(environment, source) if not all(map(blank, chain(*row.cells)))]
    cells = [[_cell(nodes, source, inline, environment.pos) for nodes in row.cells] for row in rows]
    return _merged(cells), _head_rows(rows, cells)


def _merged(rows: list[list[RawCell]]) -> list[list[RawCell]]:
    r"""Return the rows without the empty places that LaTeX writes where a ``\multirow`` of another row covers them.

    One of a negative number of rows stands in the last row that it covers. Where something else is written, it ends.
    """
    grid = [dict(zip(accumulate((cell.colspan for cell in row), initial=0), row, strict=False)) for row in rows]
    left = 2 * sum(map(len, rows))  # no place is covered twice, so no table needs more looks at a row
    for row, line in enumerate(grid):
        for column, cell in [*line.items()]:
            first = last = row
            end, step = max(-1, min(row + cell.rowspan, len(grid))), 1 if cell.rowspan > 0 else -1
            for other in range(row + step, end, step)[:left]:
                left -= 1
                under = [place for place in range(column, column + min(cell.colspan, 100)) if place in grid[other]]
                if any(grid[other][place].text for place in under):
                    break
                for place in under:
                    del grid[other][place]
                first, last = min(first, other), max(last, other)
            grid[first][column] = replace(line.pop(column), rowspan=last - first + 1)
    return [[line[column] for column in sorted(line)] for line in grid]


def _rows(environment: Node, source: LatexSource) -> list[_LatexRow]:
    rows = [_LatexRow()]
    for node in _spliced(environment.nodelist, source, 0):
        name = macro_name(node)
        if name in ROW_ENDS:
            rows.append(_LatexRow())
        elif name in RULES and all(map(blank, chain(*rows[-1].cells))):
            rows[-1].ruled = True
        elif getattr(node, "specials_chars", "") == "&":
            rows[-1].cells.append([])
        elif name not in RULES and name not in NOT_IN_A_CELL:
            rows[-1].cells[-1].append(node)
    return rows


def _spliced(nodes: Sequence[Node], source: LatexSource, depth: int) -> Iterator[Node]:
    """Yield nodes, with macros that hold cells or rows replaced by what they stand for."""
    for node in nodes:
        macro = source.macros.get(macro_name(node))
        if macro is not None and depth < 5 and ("&" in macro.body or "\\\\" in macro.body or "rule" in macro.body):
            yield from _spliced(source.expand(node, depth), source, depth + 1)
        elif node is not None:
            yield node


def _head_rows(rows: list[_LatexRow], cells: list[list[RawCell]]) -> int | None:
    """Return how many rows stand above the first rule inside the table, unless measurements stand there too."""
    heads = next((index for index, row in enumerate(rows) if row.ruled and index), None)
    if heads is None:
        return None
    measured = (sum(numeric(cell.text) for cell in row[1:]) * 2 > len(row) for row in cells[1:heads])
    return None if any(measured) else heads


def _cell(nodes: list[Node], source: LatexSource, inline: Inline, fallback: int) -> RawCell:
    rowspan, colspan, inner = _spans(nodes)
    inline.bold.clear()
    text = inline.text(inner).strip()
    return RawCell(
        text=text,
        rowspan=rowspan,
        colspan=colspan,
        bold=starts_bold(" ".join(text.split()), inline.bold),
        position=Position(line=source.line(next((node.pos for node in nodes if not blank(node)), fallback))),
    )


def _spans(nodes: list[Node]) -> tuple[int, int, list[Node]]:
    r"""Return rowspan, colspan and content, through ``\multicolumn`` around ``\multirow`` and the other way round."""
    spans = {"multirow": 1, "multicolumn": 1}
    for _ in spans:
        first = next((node for node in nodes if not blank(node)), None)
        braced = [argument for argument in arguments(first) if not argument.latex_verbatim().startswith("[")]
        if macro_name(first) not in spans or not braced:
            break
        count = re.fullmatch(r"\s*(-?\d{1,5})\s*", written(braced[0]))
        spans[macro_name(first)] = int(count[1]) if count else 1
        inner = getattr(braced[-1], "nodelist", braced[-1:])
        nodes = [*inner, *(node for node in nodes if node is not first)]
    return spans["multirow"], max(1, spans["multicolumn"]), nodes
