"""JATS XML of journals and PubMed Central: sections, paragraphs, tables with label and caption, references."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimtab.documents.formats import markup
from trimtab.documents.formats.cell_grid import RawTable
from trimtab.documents.formats.markup import place, tag

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

    from trimtab.documents.formats.document_builder import Builder

FLOATING = frozenset({"table-wrap", "fig", "list"})  # beside the text of the paragraph they stand in
PARAGRAPHS = {"p", "verse-group", "disp-quote", "def", "attrib"}
UNREAD = {"front", "journal-meta", "table-wrap-foot", "graphic", "media", "processing-meta"}


def read(raw: bytes, name: str, builder: Builder) -> None:
    """Read a JATS article into ``builder``.

    Raises:
        DocumentError: It is not well-formed, nested too deeply, or declares entities.
    """
    root = markup.parse_xml(raw, name)
    Article(builder).read(root)


class Article:
    """Walks one article.

    Args:
        builder: Receives the pieces.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._text = markup.VisibleText(builder, apart=FLOATING)

    def read(self, root: Element) -> None:
        """Read the title, the abstract, then the body and what follows it."""
        for title in root.iterfind(".//{*}article-meta//{*}article-title"):
            self._builder.title = self._builder.clean(self._text.of(title), place(title))
            break
        for abstract in root.iterfind(".//{*}article-meta/{*}abstract"):
            self._builder.heading("Abstract", 1, place(abstract))
            self._children(abstract, 2)
        self._children(root, 0)

    def _children(self, element: Element, level: int) -> None:
        for child in element:
            if tag(child) and tag(child) not in UNREAD:
                self._child(child, level)

    def _child(self, child: Element, level: int) -> None:
        name = tag(child)
        if name == "title":
            self._builder.heading(self._text.of(child), max(1, level), place(child))
        elif name in {"table-wrap", "table"}:
            caption = self._caption(child)
            for table in [child] if name == "table" else child.iter("{*}table", "table"):
                rows, heads = self._text.rows(table)
                self._builder.table(RawTable(rows=rows, caption=caption, head_rows=heads, position=place(table)))
        elif name == "fig":
            self._builder.add("caption", self._caption(child), place(child))
        elif name == "ref":
            self._builder.add("reference", " ".join(self._text.of(part) for part in child if tag(part)), place(child))
        elif name in PARAGRAPHS:
            self._paragraph(child, level)
        else:
            self._children(child, level + (name in {"sec", "app", "ref-list", "ack"}))

    def _paragraph(self, element: Element, level: int) -> None:
        """Read a paragraph; tables, figures and lists inside it are read after its text, as they stand beside it."""
        self._builder.add("sentence", self._text.of(element), place(element))
        floating = [each for each in element.iterdescendants() if tag(each) in FLOATING]
        for each in floating:
            if not any(above in floating for above in each.iterancestors()):
                self._child(each, level)

    def _caption(self, element: Element) -> str:
        """Return the label and the caption of a table or a figure in one line: "Table 1: Losses."."""
        parts = (self._text.of(part) for name in ("label", "caption") for part in element.iterfind(f"{{*}}{name}"))
        label, *rest = [text for part in parts if (text := part.strip())] or [""]
        return " ".join([f"{label.rstrip('.:')}:", *rest]) if rest else label
