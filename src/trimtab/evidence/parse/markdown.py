"""Markdown: rendered by markdown-it with each block's line noted, then read as HTML: both give the same cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from trimtab.evidence.parse import html

if TYPE_CHECKING:
    from trimtab.evidence.parse.builder import Builder


def read(raw: bytes, name: str, builder: Builder) -> None:
    """Read a Markdown document into ``builder``; positions are lines of the Markdown file.

    Raises:
        DocumentError: There is nothing in it.
    """
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
    environment: dict[str, object] = {}
    tokens = markdown.parse(raw.decode("utf-8", errors="replace"), environment)
    for token in tokens:
        if token.map is not None and token.nesting >= 0:
            token.attrSet("data-line", str(token.map[0] + 1))
    rendered = markdown.renderer.render(tokens, markdown.options, environment)
    html.read(rendered.encode(), name, builder, format_="markdown")
