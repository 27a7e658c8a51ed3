"""Markdown: rendered by comrak with each block's line noted, then read as HTML: both give the same cells."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from comrak import ExtensionOptions, RenderOptions, render_markdown

from trimtab.documents.formats import html_reader
from trimtab.documents.formats.limits import bounded
from trimtab.documents.parts import Position

if TYPE_CHECKING:
    from trimtab.documents.formats.document_builder import Builder

TABLE = re.compile(r"((?:^[^\n]*\|[^\n]*(?:\n|\Z))+)", re.MULTILINE)
BAR = re.compile(r"\|")
# Between two single tildes GitHub strikes text out; authors write them for "about" and "to": "5~10 and 20~30".
TILDE = re.compile(r"(?<!~)~(?!~)")
_STAND_IN = "\ue07e"
# What MDX has beside Markdown: definitions to the next empty line, remarks, and lines that are tags of components.
MDX = re.compile(
    r"^ {0,3}(?P<fence>```+|~~~+)(?:.*?)^ {0,3}(?P=fence)"
    r"|(?:\A|(?<=\n\n)|(?<=\n\r\n)|(?<=---\n))(?P<definition>(?:import|export)\b.*?)(?=\r?\n[ \t]*\r?\n|\Z)"
    r"|(?P<remark>\{/\*(?:(?!\{/\*).)*?\*/\})"
    r'|(?P<component>^[ \t]*</?[A-Z][\w.]*(?:\s(?:[^<>"]|=>|"[^"]*")*)?>[ \t]*$)',
    re.MULTILINE | re.DOTALL,
)


def read(raw: bytes, name: str, builder: Builder) -> None:
    """Read a Markdown document into ``builder``; positions are lines of the Markdown file.

    Of MDX the Markdown is read and the text between its components; what they compute is not.

    Raises:
        DocumentError: There is nothing in it.
    """
    bars = 2 * builder.limits.table_cells
    text, cut = bounded(TABLE.split(raw.decode("utf-8", errors="replace")), BAR, bars)
    if cut:
        builder.warn(f"a table was cut unread after {bars} bars")
    text = text.replace("\0", "")
    if PurePath(name).suffix.lower() == ".mdx":
        text = MDX.sub(lambda match: _without_jsx(match, builder), text)
    extensions, render = ExtensionOptions(), RenderOptions()
    extensions.table = extensions.strikethrough = True
    render.sourcepos = True
    render.unsafe_ = True  # HTML in it is read as HTML
    rendered = render_markdown(TILDE.sub(_STAND_IN, text), extension_options=extensions, render_options=render)
    html_reader.read(rendered.replace(_STAND_IN, "~").encode(), name, builder, format_="markdown")


def _without_jsx(match: re.Match[str], builder: Builder) -> str:
    """Return a block of code as it is, and of anything else its empty lines."""
    if match.lastgroup == "fence":
        return match[0]
    if match.lastgroup == "remark":
        builder.hide("comment", match[0], Position(line=match.string.count("\n", 0, match.start()) + 1))
    elif match.lastgroup == "component":
        builder.warn("what the components of this page show is not read")
    return "\n" * match[0].count("\n")
