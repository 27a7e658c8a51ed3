"""LaTeX source of one file: sections, paragraphs, captions, tables and bibliography, with the lines they stand on."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from trimtab.documents.formats import latex_table
from trimtab.documents.formats.cell_grid import RawTable
from trimtab.documents.formats.latex_macros import TABULARS
from trimtab.documents.formats.latex_source import (
    LatexSource,
    arguments,
    blank,
    descendants,
    environment_name,
    macro_name,
    written,
)
from trimtab.documents.formats.latex_text import Inline, is_table
from trimtab.documents.parts import Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trimtab.documents.formats.document_builder import Builder
    from trimtab.documents.formats.latex_source import Node

LEVELS = {"part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5, "subparagraph": 6}
FLOAT = re.compile(r"(?:wrap|sideways|sub|long)?(?:table|figure)\*?|longtabu")
NUMBERED = re.compile(r"(?:wrap|sideways|long)?(?P<kind>table|figure|tabu)\*?")
PARAGRAPH_END = re.compile(r"\n[ \t]*\n\s*")
BLOCK = re.compile("document|abstract|itemize|enumerate|description|quote|center|minipage|thebibliography")
MARKS = {"label", "vspace", "noindent", "maketitle", "centering"}
UNREAD = {"tikzpicture", "comment", "CCSXML", "filecontents", "filecontents*"}
AUTHOR_YEAR = re.compile(r"^(?P<who>.+?)\s*\((?P<year>\d{4}[a-z]?)\)")


def read(raw: bytes, name: str, builder: Builder) -> None:
    """Read a LaTeX file into ``builder``.

    Raises:
        DocumentError: The file cannot be parsed.
    """
    source = LatexSource(raw, name, builder.limits.table_cells)
    if source.cut:
        builder.warn(f"tables cut unread after {2 * builder.limits.table_cells} cells: {source.cut}")
    Paper(source, builder).walk(source.nodes)


class Characters(NamedTuple):
    """A part of a node of characters, as a node."""

    pos: int
    chars: str


class Paper:
    """Walks the nodes of one file.

    Args:
        source: The file.
        builder: Receives the pieces.
    """

    def __init__(self, source: LatexSource, builder: Builder) -> None:
        self._source = source
        self._builder = builder
        floats = list(_floats(source.nodes))
        self._labels = {node.pos: label for node, label in floats}
        numbers = {  # what \ref calls a float and its parts
            written(arguments(each)[-1]): label.split()[1]
            for node, label in floats
            for each in descendants(node)
            if macro_name(each) == "label" and arguments(each)
        }
        self._inline = Inline(source, builder, numbers)
        self._inline.citations = self._citations(source.nodes)
        self._run: list[Node] = []

    def walk(self, nodes: Sequence[Node]) -> None:
        """Read nodes and what is in them."""
        for node in nodes:
            if node is not None and not hasattr(node, "comment"):
                self._node(node)
        self._flush()

    def _node(self, node: Node) -> None:
        environment, macro = environment_name(node), macro_name(node)
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
            self._builder.title = self._argument(node)
        elif macro in {"item", "par", "input", "include"}:
            self._flush()
        elif hasattr(node, "chars"):
            start = 0
            for gap in PARAGRAPH_END.finditer(node.chars):
                self._run.append(Characters(node.pos + start, node.chars[start : gap.start()]))
                self._flush()
                start = gap.end()
            self._run.append(Characters(node.pos + start, node.chars[start:]))
        else:
            self._run.append(node)

    def _block(self, node: Node, environment: str) -> None:
        if environment == "abstract":
            self._builder.heading("Abstract", 2, self._position(node))
        if environment != "thebibliography":
            self.walk(node.nodelist)
            return
        for item, *entry in _entries(node):
            text = f"[{written(arguments(item)[-1])}] {self._inline.text(entry)}"
            self._builder.add("reference", text, self._position(item))

    def _float(self, node: Node) -> None:
        captions = [(each.pos, self._argument(each), self._position(each)) for each in _captions(node)]
        label = self._labels.get(node.pos, "")
        tabulars = list(_tabulars(node))
        if "figure" in environment_name(node) and not tabulars:
            for _, text, position in captions:
                self._builder.add("caption", f"{label or 'Figure'}: {text}".replace(" :", ":"), position)
            return
        for index, tabular in enumerate(tabulars):
            before = [text for start, text, _ in captions if start < tabular.pos]
            own = before[-1:] or [text for _, text, _ in captions[index:] or captions[-1:]]
            rows, heads = latex_table.read(tabular, self._source, self._inline)
            position = self._position(tabular)
            caption = own[0] if own else ""
            self._builder.table(RawTable(rows=rows, caption=caption, label=label, head_rows=heads, position=position))

    def _flush(self) -> None:
        run, self._run = self._run, []
        first = next((node for node in run if not blank(node) and macro_name(node) not in MARKS), None)
        if first is None:
            return
        space = len(first.chars) - len(first.chars.lstrip()) if hasattr(first, "chars") else 0
        position = Position(line=self._source.line(first.pos + space))
        self._builder.add("sentence", self._inline.text(run), position)
        notes, self._inline.footnotes = self._inline.footnotes, []
        for note in notes:
            self._builder.add("sentence", note, position)

    def _argument(self, node: Node) -> str:
        return self._builder.clean(self._inline.text(arguments(node)[-1:]), self._position(node))

    def _position(self, node: Node) -> Position:
        return Position(line=self._source.line(node.pos))

    def _citations(self, nodes: Sequence[Node]) -> dict[str, tuple[str, str]]:
        """Return what natbib's labels say of each key: who and when."""
        authors = {}
        for bibliography in _all(nodes):
            if environment_name(bibliography) == "thebibliography":
                for item, *_ in _entries(bibliography):
                    *label, key = arguments(item)
                    if match := AUTHOR_YEAR.match(self._inline.text(label).strip("[]")):
                        authors[written(key)] = (" ".join(match["who"].split()), match["year"])
        return authors


def _all(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        if node is not None:
            yield node
            yield from descendants(node)


def _captions(node: Node) -> list[Node]:
    return [each for each in descendants(node) if macro_name(each) in {"caption", "captionof"}]


def _floats(nodes: Sequence[Node]) -> Iterator[tuple[Node, str]]:
    """Yield each float that LaTeX numbers, in order of appearance, and what it is called: "Table 1", "Figure 1"."""
    counts: Counter[str] = Counter()
    end = 0
    for node in _all(nodes):
        match = NUMBERED.fullmatch(environment_name(node))
        if match and node.pos >= end and _captions(node):
            kind = "Figure" if match["kind"] == "figure" else "Table"
            counts[kind] += 1
            end = node.pos + node.len
            yield node, f"{kind} {counts[kind]}"


def _entries(bibliography: Node) -> Iterator[list[Node]]:
    r"""Yield each entry of a bibliography, its ``\bibitem`` first."""
    nodes = bibliography.nodelist
    starts = [place for place, node in enumerate(nodes) if macro_name(node) == "bibitem" and arguments(node)]
    for start, end in pairwise([*starts, len(nodes)]):
        yield nodes[start:end]


def _holds_blocks(node: Node) -> bool:
    names = map(environment_name, descendants(node))
    return any(name in TABULARS or FLOAT.fullmatch(name) or BLOCK.fullmatch(name) for name in names)


def _tabulars(node: Node, *, inside: bool = False) -> Iterator[Node]:
    """Yield the tabulars of a float, each before the tables that stand in its cells."""
    tabular = environment_name(node) in TABULARS
    if tabular and (not inside or is_table(node)):
        yield node
    for child in descendants(node, into=False):
        yield from _tabulars(child, inside=inside or tabular)
