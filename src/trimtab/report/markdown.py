"""A document as Markdown, for a pull request or a repository; its drawings are SVG files beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from trimtab.report.document import Bullets, Code, Figure, Highlight, Link, Listing, Paragraph, ReportTable, Strong

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trimtab.report.document import Block, Inline, ReportCell, ReportDocument

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|#~])")


def render(document: ReportDocument) -> str:
    """Return the Markdown text."""
    facts = " · ".join(f"{plain(name)} {plain(value)}" for name, value in document.chips)
    parts = [f"# {plain(document.title)}", plain(document.subtitle), facts]
    for section in document.sections:
        parts.append(f"## {plain(section.title)}")
        parts.extend(_block(block) for block in section.blocks)
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _block(block: Block) -> str:
    match block:
        case Paragraph():
            return _inline(block.parts)
        case Bullets():
            return "\n".join(f"- {_inline(item)}" for item in block.items)
        case Figure():
            return f"![{plain(block.name)}]({block.name}.svg)\n\n{plain(block.caption)}"
        case Listing():
            fence = "`" * (max(map(len, re.findall("`+", block.text)), default=2) + 1)
            return f"{plain(block.summary)}:\n\n{fence}\n{block.text.rstrip()}\n{fence}"
        case ReportTable():
            return _table(block)


def _table(table: ReportTable) -> str:
    head = [f"| {' | '.join(plain(name) for name in table.head)} |", "|" + " --- |" * len(table.head)]
    rows = [f"| {' | '.join(map(_cell, row))} |" for row in table.rows]
    above = plain(table.folded or table.caption)
    return (f"{above}\n\n" if above else "") + "\n".join((*head, *rows))


def _cell(cell: ReportCell) -> str:
    return "<br>".join(written for line in cell.lines if (written := _inline(line)))


def _inline(parts: Iterable[Inline]) -> str:
    return "".join(map(_part, parts))


def _part(part: Inline) -> str:
    match part:
        case Code() | Strong() | Highlight():
            mark = "" if isinstance(part, Code) else "**"
            return f"{mark}{plain(part.text)}{mark}"
        case Link():
            return f"[{plain(part.text)}]({part.target})"
        case str():
            # Spaces at the ends separate this part from its neighbors.
            lead, tail = " " * part.startswith(" "), " " * part.endswith(" ")
            return f"{lead}{plain(part)}{tail}" if part.strip() else " " * bool(part)
