"""What HTML, Markdown and JATS share: text as a reader sees it, and table rows.

XML is read without entities, network or DTDs: a file that declares an entity is refused, since expanding one is how
both "billion laughs" and reading of local files work, and no journal article needs one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from lxml import etree

from trimtab.documents.formats.cell_grid import MAX_SPAN, RawCell, starts_bold
from trimtab.documents.formats.hidden_text import Styles
from trimtab.documents.parts import Position
from trimtab.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element as Element

    from trimtab.documents.formats.document_builder import Builder

SUPERSCRIPT = str.maketrans("0123456789+-abcdefghijklmnoprstuvwxyz", "⁰¹²³⁴⁵⁶⁷⁸⁹+-ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ")
SUBSCRIPT = str.maketrans("0123456789+-", "\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089\u208a\u208b")
STRUCK = {"del", "s", "strike"}
STRUCK_STYLE = re.compile(r"text-decoration(?:-line)?\s*:[^;]*line-through")
LOWERED = {"sub", "small"}
SCRIPTS = {"msub": "_", "msup": "^", "msubsup": "_^", "munder": "_", "munderover": "_^"}
_WORDS = re.compile(r"[^\W\d]{4,}[^\d]*|\([^\W\d]{4,}[^\d]*\)")  # raised words, not a mark: "(Open-source LVLM)"
_NOTED = re.compile(r"(\d{1,9}):")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
UNSEEN = {"script", "style", "template", "annotation", "annotation-xml", "head", "title-hidden"}
SPACED = {"br", "break", "p", "div", "li", "td", "th", "tr"}
BOLD = {"b", "strong", "bold"}
BOLD_STYLE = re.compile(r"font-weight\s*:\s*(?:bold|[6-9]00)")


def parse_xml(raw: bytes, name: str) -> Element:
    """Return the root of an XML document.

    Raises:
        DocumentError: It is malformed, nested too deeply, or declares entities.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    refusal = f"{name} declares XML entities and is not read"
    hint = "a document that needs none expands to nothing unexpected: remove its <!ENTITY …> declarations"
    if b"<!ENTITY" in raw:
        raise DocumentError(refusal, hint=hint)
    try:
        root = etree.fromstring(raw, parser)
    except etree.XMLSyntaxError as error:
        raise DocumentError(f"{name} is not well-formed XML: {error}") from error
    internal = root.getroottree().docinfo.internalDTD
    if internal is not None and any(True for _ in internal.iterentities()):
        raise DocumentError(refusal, hint=hint)
    return root


def parse_html(raw: bytes, name: str) -> tuple[Element, str | None]:
    """Return the root of an HTML document, repaired as far as libxml2 can, and what could not be read.

    Raises:
        DocumentError: There is no element in it.
    """
    encoding: str | None = "utf-8"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        encoding = None  # libxml2 looks for a declaration
    parser = etree.HTMLParser(encoding=encoding, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(raw, parser)
    except (etree.LxmlError, ValueError) as error:
        raise DocumentError(f"{name} holds no HTML: {error}") from error
    if root is None:
        raise DocumentError(f"{name} holds no HTML: it is empty")
    fatal = next((entry for entry in parser.error_log if entry.level_name == "FATAL"), None)
    return root, f"read up to line {fatal.line} only: {fatal.message}" if fatal else None


def tag(element: Element) -> str:
    """Return an element's name without namespace, lower case; "" for comments and instructions."""
    name = element.tag
    return _local_name(name) if isinstance(name, str) else ""


@lru_cache(maxsize=1024)
def _local_name(name: str) -> str:
    """Return a name without its namespace; by hand, because QName refuses what HTML lets pass: "qwen:cite"."""
    return name.rpartition("}")[2].lower()


def place(element: Element) -> Position:
    """Return where an element is: the line a Markdown reader noted ("12:1-14:9"), else XPath and line."""
    noted = (each.get("data-sourcepos") for each in (element, *element.iterancestors()))
    if line := _NOTED.match(next(filter(None, noted), "")):
        return Position(line=int(line[1]))
    return Position(path=element.getroottree().getpath(element), line=element.sourceline)


def owner(element: Element) -> Element | None:
    """Return the table that an element stands in."""
    return next((each for each in element.iterancestors() if tag(each) == "table"), None)


def own_rows(table: Element) -> Iterator[list[Element]]:
    """Yield the cells of each row of a table, without those of tables in it."""
    for row in table.iter("{*}tr", "{*}TR"):
        cells = [cell for cell in row if tag(cell) in {"td", "th"}]
        if cells and owner(row) is table:
            yield cells


def lowered(text: str) -> str:
    """Return a subscript: a number in small digits, apart from the value before it; other text as it is.

    >>> "79.9" + lowered("0.4")
    '79.9\u2080.\u2084'
    """
    return text.translate(SUBSCRIPT) if _NUMBER.fullmatch(text.strip()) else text


def struck(element: Element) -> bool:
    """Whether an element's text is struck out: what is said there is taken back."""
    style = element.get("style")
    return tag(element) in STRUCK or (style is not None and STRUCK_STYLE.search(style) is not None)


class VisibleText:
    """Reads the visible text of elements and reports the rest.

    Args:
        builder: Told what is hidden.
        styles: The document's own rules of what is hidden.
        apart: Elements that are read by themselves.
    """

    def __init__(self, builder: Builder, styles: Styles | None = None, apart: frozenset[str] = frozenset()) -> None:
        self._builder = builder
        self._unread = UNSEEN | apart
        self._styles = styles or Styles("")

    def hidden(self, element: Element) -> bool:
        """Whether a reader does not see an element; what it says is reported."""
        reason = self._styles.reason(element)
        if reason:
            self._builder.hide(reason, "".join(element.itertext()), place(element))
        return reason is not None

    def of(self, element: Element) -> str:
        """Return an element's visible text."""
        return "".join(self._parts(element))

    def _parts(self, element: Element) -> Iterator[str]:
        yield element.text or ""
        for child in element:
            name = tag(child)
            if name == "" and isinstance(child, etree._Comment):  # noqa: SLF001 - lxml names its classes so
                self._builder.hide("comment", child.text or "", place(element))
            elif name and name not in self._unread and not struck(child) and not self.hidden(child):
                if name in SPACED:
                    yield " "
                yield self.shifted(child, name)
                if name in SPACED:
                    yield " "
            yield child.tail or ""

    def shifted(self, element: Element, name: str) -> str:
        """Return an element's visible text, raised or lowered as its name says."""
        if name in SCRIPTS:
            base, *scripts = [each for each in element if tag(each)] or [element]
            texts = (self.of(each) for each in scripts)
            return self.of(base) + "".join(
                text.translate(SUPERSCRIPT) if way == "^" else lowered(text)
                for way, text in zip(SCRIPTS[name], texts, strict=False)
            )
        inner = self.of(element)
        if name == "table":
            return ""  # a table inside a cell is read by itself
        if name == "sup" and not _WORDS.fullmatch(inner):
            return inner.translate(SUPERSCRIPT)
        return lowered(inner) if name in LOWERED else inner

    def rows(self, table: Element) -> tuple[list[list[RawCell]], int | None]:
        """Return a table's cells by row, and its head rows where the markup says."""
        rows: list[list[RawCell]] = []
        heads = places = 0
        for own in own_rows(table):
            row, cells = own[0].getparent(), [cell for cell in own if not self.hidden(cell)]
            if not cells or self.hidden(row):
                continue
            written = [self._cell(cell) for cell in cells]
            all_heads = all(cell.header or not cell.text for cell in written) and any(cell.header for cell in written)
            if heads == len(rows) and (tag(row.getparent()) == "thead" or all_heads):
                heads += 1
            rows.append(written)
            places += len(written)
            if places > self._builder.limits.table_cells:
                break  # the grid says that it was cut
        return rows, heads or None

    def _cell(self, element: Element) -> RawCell:
        text = self.of(element).strip()
        return RawCell(
            text=text,
            rowspan=_span(element.get("rowspan")),
            colspan=_span(element.get("colspan")),
            header=tag(element) == "th",
            bold=self._bold(element, " ".join(text.split())),
            position=place(element),
        )

    def _bold(self, element: Element, text: str) -> bool:
        if not len(element) and not element.get("style") and not element.get("class"):
            return False
        bold = (
            each
            for each in element.iter("*")
            if tag(each) in BOLD
            or BOLD_STYLE.search(each.get("style") or "")
            or "ltx_font_bold" in (each.get("class") or "").split()
        )
        return starts_bold(text, (" ".join("".join(each.itertext()).split()) for each in bold))


def _span(text: str | None) -> int:
    return min(int(text), MAX_SPAN) if text and text.strip().isdecimal() and len(text) < 9 else 1
