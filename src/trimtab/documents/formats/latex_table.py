r"""LaTeX tabulars to rows of cells: ``\multicolumn``, ``\multirow``, booktabs' rules, macros that hold whole rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trimtab.documents.formats.cell_grid import RawCell, numeric
from trimtab.documents.formats.latex_text import starts_bold
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
    rows = [row for row in _rows(environment, source) if any(_said(cell) for cell in row.cells)]
    read_rows = [[_cell(nodes, source, inline, environment.pos) for nodes in row.cells] for row in rows]
    return _uncovered(read_rows), _head_rows(rows, read_rows)


def _uncovered(rows: list[list[RawCell]]) -> list[list[RawCell]]:
    r"""Return the rows without the empty places that LaTeX writes below a ``\multirow``."""
    last: dict[int, int] = {}
    rows_kept = []
    for row, cells in enumerate(rows):
        column, line = 0, []
        for cell in cells:
            if row > last.get(column, -1) or cell.text:
                line.append(cell)
            if cell.rowspan > 1:
                under = {column + offset: row + cell.rowspan - 1 for offset in range(min(cell.colspan, 100))}
                last.update({place: max(end, last.get(place, -1)) for place, end in under.items()})
            column += cell.colspan
        rows_kept.append(line)
    return rows_kept


def _rows(environment: Node, source: LatexSource) -> list[_LatexRow]:
    rows = [_LatexRow()]
    for node in _spliced(environment.nodelist, source, 0):
        name = getattr(node, "macroname", "")
        if name in ROW_ENDS:
            rows.append(_LatexRow())
        elif name in RULES and not any(_said(cell) for cell in rows[-1].cells):
            rows[-1].ruled = True
        elif getattr(node, "specials_chars", "") == "&":
            rows[-1].cells.append([])
        elif name not in RULES and name not in NOT_IN_A_CELL:
            rows[-1].cells[-1].append(node)
    return rows


def _spliced(nodes: Sequence[Node], source: LatexSource, depth: int) -> Iterator[Node]:
    """Yield nodes, with macros that hold cells or rows replaced by what they stand for."""
    for node in nodes:
        macro = source.macros.get(getattr(node, "macroname", ""))
        if macro is not None and depth < 5 and ("&" in macro.body or "\\\\" in macro.body or "rule" in macro.body):
            yield from _spliced(source.expand(node, depth), source, depth + 1)
        elif node is not None:
            yield node


def _said(nodes: Sequence[Node]) -> bool:
    return any(getattr(node, "chars", "x").strip() and not hasattr(node, "comment") for node in nodes)


def _head_rows(rows: list[_LatexRow], cells: list[list[RawCell]]) -> int | None:
    """Return how many rows stand above the first rule inside the table, unless measurements stand there too."""
    heads = next((index for index, row in enumerate(rows) if row.ruled and index), None)
    if heads is None:
        return None
    measured = (sum(numeric(cell.text) for cell in row[1:]) * 2 > len(row) for row in cells[1:heads])
    return None if any(measured) else heads


def _cell(nodes: list[Node], source: LatexSource, inline: Inline, fallback: int) -> RawCell:
    offset = next((node.pos for node in nodes if not getattr(node, "chars", "x").isspace()), fallback)
    rowspan, colspan, inner = _spans([node for node in nodes if not hasattr(node, "comment")])
    inline.bold.clear()
    text = " ".join(inline.text(inner).split())
    return RawCell(
        text=text,
        rowspan=rowspan,
        colspan=colspan,
        bold=starts_bold(text, inline.bold),
        position=Position(line=source.line(offset)),
    )


def _spans(nodes: list[Node]) -> tuple[int, int, list[Node]]:
    r"""Return rowspan, colspan and content, through ``\multicolumn`` around ``\multirow`` and the other way round."""
    rowspan = colspan = 1
    for _ in range(2):
        visible = [node for node in nodes if not getattr(node, "chars", "x").isspace()]
        first = visible[0] if visible else None
        name = getattr(first, "macroname", "")
        if first is None or name not in {"multicolumn", "multirow"} or not first.nodeargd:
            break
        arguments = [argument for argument in first.nodeargd.argnlist if argument is not None]
        braced = [argument for argument in arguments if not argument.latex_verbatim().startswith("[")]
        count = braced[0].latex_verbatim().strip("{} ") if braced else ""
        size = abs(int(count)) if count.lstrip("-").isdecimal() and len(count) < 6 else 1
        rowspan, colspan = (rowspan, size) if name == "multicolumn" else (size, colspan)
        last = braced[-1]
        rest = [node for node in nodes if node is not first]
        nodes = [*(last.nodelist if hasattr(last, "nodelist") else [last]), *rest]
    return rowspan, colspan, nodes
