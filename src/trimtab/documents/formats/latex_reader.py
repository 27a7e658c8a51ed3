"""LaTeX source of one file: sections, paragraphs, captions, tables and bibliography, with the lines they stand on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trimtab.documents.formats import latex_table
from trimtab.documents.formats.cell_grid import RawTable
from trimtab.documents.formats.latex_macros import TABULARS
from trimtab.documents.formats.latex_source import LatexSource
from trimtab.documents.formats.latex_text import Inline, is_table
from trimtab.documents.parts import Position

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.documents.formats.document_builder import Builder
    from trimtab.documents.formats.latex_source import Node

LEVELS = {"part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5, "subparagraph": 6}
FLOAT = re.compile(r"(?:wrap|sideways|sub|long)?table\*?|longtabu|(?:wrap|sub)?figure\*?")
NUMBERED = re.compile(r"(?:wrap|sideways|long)?(?P<kind>table)\*?|(?:wrap)?figure\*?")
BLOCK = re.compile("document|abstract|itemize|enumerate|description|quote|center|minipage|thebibliography")
MARKS = {"label", "vspace", "noindent", "maketitle", "centering"}
UNREAD = {"tikzpicture", "comment", "CCSXML", "filecontents", "filecontents*"}
AUTHOR_YEAR = re.compile(r"^(?P<who>.+?)\s*\((?P<year>\d{4}[a-z]?)\)")


def read(raw: bytes, name: str, builder: Builder) -> None:
    """Read a LaTeX file into ``builder``.

    Raises:
        DocumentError: The file cannot be parsed.
        MissingExtraError: pylatexenc is not installed.
    """
    source = LatexSource(raw, name, builder.limits.table_cells)
    if source.cut:
        builder.warn(f"tables cut unread after {2 * builder.limits.table_cells} cells: {source.cut}")
    Paper(source, builder).walk(source.nodes)


class Paper:
    """Walks the nodes of one file.

    Args:
        source: The file.
        builder: Receives the pieces.
    """

    def __init__(self, source: LatexSource, builder: Builder) -> None:
        self._source = source
        self._builder = builder
        self._floats = list(_numbered(source.nodes))
        self._numbers = {label: number for _, number, node in self._floats for label in _labels(node)}
        self._inline = Inline(source, builder, self._numbers, {})
        self._inline = Inline(source, builder, self._numbers, self._citations(source.nodes))
        self._run: list[Node] = []

    def walk(self, nodes: Sequence[Node]) -> None:
        """Read nodes and what is in them."""
        for node in nodes:
            if node is not None and not hasattr(node, "comment"):
                self._node(node)
        self._flush()

    def _node(self, node: Node) -> None:
        environment = getattr(node, "environmentname", "")
        macro = getattr(node, "macroname", "").rstrip("*")
        if environment in UNREAD:
            return
        if environment in TABULARS or FLOAT.fullmatch(environment):
            self._flush()
            self._float(node)
        elif BLOCK.fullmatch(environment) or (hasattr(node, "nodelist") and _holds_blocks(node)):
            self._flush()
            self._block(node, environment)
        elif macro in LEVELS:
            self._flush()
            self._builder.heading(self._argument(node), LEVELS[macro], self._position(node))
        elif macro == "title":
            self._builder.title = self._builder.clean(self._argument(node), self._position(node))
        elif macro in {"item", "par", "input", "include"}:
            self._flush()
        elif hasattr(node, "chars"):
            self._chars(node)
        else:
            self._run.append(node)

    def _block(self, node: Node, environment: str) -> None:
        if environment == "abstract":
            self._builder.heading("Abstract", 2, self._position(node))
        if environment == "thebibliography":
            for key, entry in _entries(node.nodelist):
                text = self._inline.text(entry[1:])
                self._builder.reference(f"[{key}] {text}", self._position(entry[0]))
            return
        self.walk(node.nodelist)

    def _float(self, node: Node) -> None:
        tabulars = list(_tabulars(node))
        captions = [each for each in _descend(node) if getattr(each, "macroname", "") in {"caption", "captionof"}]
        texts = [self._argument(caption) for caption in captions]
        number = next((self._numbers[label] for label in _labels(node) if label in self._numbers), "")
        if "figure" in node.environmentname and not tabulars:
            for text, caption in zip(texts, captions, strict=True):
                self._builder.caption(f"Figure {number}: {text}".replace(" :", ":"), self._position(caption))
            return
        for index, tabular in enumerate(tabulars):
            before = [text for text, caption in zip(texts, captions, strict=True) if caption.pos < tabular.pos]
            own = before[-1] if before else texts[min(index, len(texts) - 1)] if texts else ""
            rows, heads = latex_table.read(tabular, self._source, self._inline)
            before_it = sum(kind == "table" and other.pos < node.pos for kind, _, other in self._floats)
            label = f"Table {number or before_it + 1}" if texts else ""
            if rows:
                self._builder.table(
                    RawTable(rows=rows, caption=own, label=label, head_rows=heads, position=self._position(tabular))
                )

    def _chars(self, node: Node) -> None:
        """Take plain text, and end a paragraph at each empty line."""
        first, *others = re.split(r"\n[ \t]*\n\s*", node.chars)
        self._run.append((node.pos, first))
        offset = node.pos
        for text in others:
            self._flush()
            offset = node.pos + node.chars.index(text, offset - node.pos) if text else offset
            self._run.append((offset, text))

    def _flush(self) -> None:
        run, self._run = self._run, []
        parts = [
            part
            for part in run
            if (part[1].strip() if isinstance(part, tuple) else getattr(part, "macroname", "") not in MARKS)
        ]
        if not parts:
            return
        first = parts[0]
        offset = first[0] + len(first[1]) - len(first[1].lstrip()) if isinstance(first, tuple) else first.pos
        position = Position(line=self._source.line(offset))
        self._builder.paragraph(
            self._inline.text([part[1] if isinstance(part, tuple) else part for part in run]), position
        )
        notes, self._inline.footnotes = self._inline.footnotes, []
        for note in notes:
            self._builder.paragraph(note, position)

    def _argument(self, node: Node) -> str:
        arguments = [each for each in node.nodeargd.argnlist if each is not None] if node.nodeargd else []
        return " ".join(self._inline.text(arguments[-1:]).split())

    def _position(self, node: Node) -> Position:
        return Position(line=self._source.line(node.pos))

    def _citations(self, nodes: Sequence[Node]) -> dict[str, tuple[str, str]]:
        """Return what natbib's labels say of each key: who and when."""
        authors = {}
        everything = (each for node in nodes if node is not None for each in (node, *_descend(node)))
        for bibliography in everything:
            if getattr(bibliography, "environmentname", "") == "thebibliography":
                for key, entry in _entries(bibliography.nodelist):
                    label = entry[0].nodeargd.argnlist[0]
                    match = AUTHOR_YEAR.match(self._inline.text([label]).strip("[]")) if label is not None else None
                    if match:
                        authors[key] = (" ".join(match["who"].split()), match["year"])
        return authors


def _numbered(nodes: Sequence[Node]) -> Iterator[tuple[str, str, Node]]:
    """Yield what LaTeX numbers, in order of appearance: "table" or "figure", the number, the float."""
    counts = {"table": 0, "figure": 0}
    waiting = list(reversed(nodes))
    while waiting:
        node = waiting.pop()
        match = NUMBERED.fullmatch(getattr(node, "environmentname", ""))
        if match and any(getattr(each, "macroname", "") == "caption" for each in _descend(node)):
            kind = match["kind"] or "figure"
            counts[kind] += 1
            yield kind, str(counts[kind]), node
        elif node is not None:
            waiting += reversed(_children(node))


def _labels(node: Node) -> Iterator[str]:
    for each in _descend(node):
        if getattr(each, "macroname", "") == "label" and each.nodeargd:
            yield each.nodeargd.argnlist[-1].latex_verbatim().strip("{}")


def _entries(nodes: Sequence[Node]) -> Iterator[tuple[str, list[Node]]]:
    """Yield each entry of a bibliography: its key, its ``\\bibitem`` and what follows it."""  # noqa: D301
    entry: list[Node] = []
    for node in [*nodes, None]:
        if node is None or getattr(node, "macroname", "") == "bibitem":
            if entry:
                yield entry[0].nodeargd.argnlist[-1].latex_verbatim().strip("{}"), entry
            entry = []
        if node is not None and (entry or getattr(node, "macroname", "") == "bibitem"):
            entry.append(node)


def _holds_blocks(node: Node) -> bool:
    names = (getattr(each, "environmentname", "") for each in _descend(node))
    return any(name in TABULARS or FLOAT.fullmatch(name) or BLOCK.fullmatch(name) for name in names)


def _tabulars(node: Node, *, inside: bool = False) -> Iterator[Node]:
    """Yield the tabulars of a float, each before the tables that stand in its cells."""
    tabular = getattr(node, "environmentname", "") in TABULARS
    if tabular and (not inside or is_table(node)):
        yield node
    for child in _children(node):
        yield from _tabulars(child, inside=inside or tabular)


def _children(node: Node) -> list[Node]:
    data = getattr(node, "nodeargd", None)
    inner = [*(getattr(node, "nodelist", None) or ()), *((data.argnlist or ()) if data else ())]
    return [child for child in inner if child is not None]


def _descend(node: Node) -> Iterator[Node]:
    for child in _children(node):
        yield child
        yield from _descend(child)
