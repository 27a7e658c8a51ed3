"""Markdown: rendered by comrak with each block's line noted, then read as HTML: both give the same cells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trimtab.documents.formats import html_reader
from trimtab.documents.formats.limits import past
from trimtab.errors import MissingExtraError

try:
    from comrak import ExtensionOptions, RenderOptions, render_markdown
except ImportError as error:
    raise MissingExtraError("comrak", extra="evidence") from error

if TYPE_CHECKING:
    from trimtab.documents.formats.document_builder import Builder

TABLE = re.compile(r"(?:^[^\n]*\|[^\n]*(?:\n|\Z))+", re.MULTILINE)
BAR = re.compile(r"\|")
# Between two single tildes GitHub strikes text out; authors write them for "about" and "to": "5~10 and 20~30".
TILDE = re.compile(r"(?<!~)~(?!~)")
_STAND_IN = "\ue07e"


def read(raw: bytes, name: str, builder: Builder) -> None:
    """Read a Markdown document into ``builder``; positions are lines of the Markdown file.

    Raises:
        DocumentError: There is nothing in it.
    """
    text = _bounded(raw.decode("utf-8", errors="replace"), builder).replace("\0", "")
    text = TILDE.sub(_STAND_IN, text)
    extensions, render = ExtensionOptions(), RenderOptions()
    extensions.table = extensions.strikethrough = True
    render.sourcepos = True
    render.unsafe_ = True  # HTML in it is read as HTML
    rendered = render_markdown(text, extension_options=extensions, render_options=render)
    html_reader.read(rendered.replace(_STAND_IN, "~").encode(), name, builder, format_="markdown")


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
