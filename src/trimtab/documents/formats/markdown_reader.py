"""Markdown: rendered by markdown-it with each block's line noted, then read as HTML: both give the same cells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from trimtab.documents.formats import html_reader
from trimtab.documents.formats.limits import past

if TYPE_CHECKING:
    from trimtab.documents.formats.document_builder import Builder

TABLE = re.compile(r"(?:^[^\n]*\|[^\n]*(?:\n|\Z))+", re.MULTILINE)
BAR = re.compile(r"\|")


def read(raw: bytes, name: str, builder: Builder) -> None:
    """Read a Markdown document into ``builder``; positions are lines of the Markdown file.

    Raises:
        DocumentError: There is nothing in it.
    """
    markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    environment: dict[str, object] = {}
    tokens = markdown.parse(_bounded(raw.decode("utf-8", errors="replace"), builder), environment)
    for token in tokens:
        if token.map is not None and token.nesting >= 0:
            token.attrSet("data-line", str(token.map[0] + 1))
    rendered = markdown.renderer.render(tokens, markdown.options, environment)
    html_reader.read(rendered.encode(), name, builder, format_="markdown")


def _bounded(text: str, builder: Builder) -> str:
    """Return the text with its tables cut where no more of them is read, before the renderer lays them out."""
    pieces, done = [], 0
    for table in TABLE.finditer(text):
        end = past(table[0], BAR, 2 * builder.limits.table_cells)
        if end is None:
            continue
        builder.warn(f"a table was cut unread after {2 * builder.limits.table_cells} bars")
        # Its lines stay, empty, so that what follows keeps its line numbers.
        last = table[0].rfind("\n", 0, end) + 1
        pieces += [text[done : table.start() + last], "\n" * table[0].count("\n", last)]
        done = table.end()
    return "".join([*pieces, text[done:]])
