"""HTML, arXiv's HTML included: blocks in reading order, tables with their captions, hidden text taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml.html import defs

from trimtab.documents.formats import markup
from trimtab.documents.formats.cell_grid import RawTable
from trimtab.documents.formats.document_builder import TABLE_LABEL, Builder
from trimtab.documents.formats.hidden_text import Styles
from trimtab.documents.formats.markup import owner, place, tag

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

    from trimtab.documents.parts import Format

HEADINGS = {f"h{level}": level for level in range(1, 7)}
SECTIONS = {"article", "aside", "body", "details", "figcaption", "figure", "footer", "header", "html", "main", "nav"}
BLOCKS = defs.block_tags - {"del", "ins", "table", "option", "optgroup", *HEADINGS} | SECTIONS | {"section", "summary"}


def read(raw: bytes, name: str, builder: Builder, *, format_: Format = "html") -> None:
    """Read an HTML document into ``builder``.

    Args:
        raw: The file.
        name: Its name, for messages.
        builder: Receives the pieces.
        format_: ``markdown`` when the HTML was rendered from it.

    Raises:
        DocumentError: There is no element in it.
    """
    root, warning = markup.parse_html(raw, name)
    if warning:
        builder.warn(warning)
    sheet = "\n".join(style.text or "" for style in root.iter("style"))
    PageWalk(builder, Styles(sheet)).walk(root)
    title = root.findtext(".//title")
    if title and format_ == "html":
        builder.title = " ".join(title.split())


class PageWalk:
    """Walks one page.

    Args:
        builder: Receives the pieces.
        styles: What the page's own style sheet hides.
    """

    def __init__(self, builder: Builder, styles: Styles) -> None:
        self._builder = builder
        self._text = markup.VisibleText(builder, styles)
        self._buffer: list[str] = []
        self._before = ""
        self._captions: set[Element] = set()

    def walk(self, element: Element) -> None:
        """Read an element and what is in it."""
        self._children(element)
        self._flush(element)

    def _children(self, element: Element) -> None:
        self._buffer.append(element.text or "")
        for child in element:
            self._child(child, element)
            self._buffer.append(child.tail or "")

    def _child(self, child: Element, parent: Element) -> None:
        name = tag(child)
        if not name:
            self._builder.hide("comment", child.text or "", place(parent))
        elif name in markup.UNSEEN or child in self._captions or markup.struck(child) or self._text.hidden(child):
            pass
        elif name in HEADINGS:
            self._flush(parent)
            self._before = self._text.of(child)
            self._builder.heading(self._before, HEADINGS[name], place(child))
        elif name == "table" and (not any(True for _ in child.iterdescendants("table")) or _tabular(child)):
            self._flush(parent)
            self._table(child)
            for nested in child.iterdescendants("table"):
                if owner(nested) is child:
                    self._child(nested, child)
        elif name == "pre":
            self._flush(parent)
            self._builder.add("code", self._text.of(child), place(child))
        elif name in BLOCKS or name == "table":
            self._block(child, parent)
        elif any(tag(each) in BLOCKS or tag(each) == "table" for each in child.iterdescendants()):
            self._children(child)
        else:
            inner = self._text.shifted(child, name)
            self._buffer.append(f" {inner} " if name == "br" else inner)

    def _block(self, element: Element, parent: Element) -> None:
        """Read a block; what stood before it in its parent is a paragraph of its own."""
        self._flush(parent)
        if "ltx_bibitem" in (element.get("class") or "").split():
            self._builder.add("reference", self._text.of(element), place(element))
        else:
            self.walk(element)

    def _flush(self, element: Element) -> None:
        text = "".join(self._buffer)
        self._buffer.clear()
        if text and not text.isspace():
            self._before = text
            self._builder.add("sentence", text, place(element))

    def _table(self, element: Element) -> None:
        rows, heads = self._text.rows(element)
        if not rows:
            return
        caption = self._caption(element)
        self._builder.table(RawTable(rows=rows, caption=caption, head_rows=heads, position=place(element)))
        self._before = ""

    def _caption(self, table: Element) -> str:
        """Return the caption: in the table, in its figure, or a block beside it that begins "Table N"."""
        figure = next((each for each in table.iterancestors() if tag(each) == "figure"), None)
        inside = [*table.iterchildren("caption"), *(figure.iterchildren("figcaption") if figure is not None else ())]
        if inside:
            self._captions.update(inside)
            return self._text.of(inside[0])
        if TABLE_LABEL.match(self._before):
            return self._before
        following = next((each for each in table.itersiblings() if tag(each)), None)
        if following is not None and tag(following) in {"p", "div", "figcaption"}:
            text = self._text.of(following)
            if TABLE_LABEL.match(text):
                self._captions.add(following)
                return text
        return ""


def _tabular(table: Element) -> bool:
    """Whether a table with others in it has data of its own, and is not there for the layout of the page."""
    rows = list(markup.own_rows(table))
    cells = [cell for row in rows for cell in row]
    plain = sum(not any(tag(each) in BLOCKS | {"table"} for each in cell.iterdescendants()) for cell in cells)
    return len(rows) >= 2 and max(map(len, rows)) >= 2 and 2 * plain > len(cells)
