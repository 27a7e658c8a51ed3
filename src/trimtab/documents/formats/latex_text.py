"""LaTeX nodes to the text a reader sees: accents, symbols, the author's macros, citations; white text is reported."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from pylatexenc.latex2text import LatexNodes2Text

from trimtab.documents.formats import latex_macros
from trimtab.documents.formats.markup import SUPERSCRIPT, lowered
from trimtab.documents.parts import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trimtab.documents.formats.document_builder import Builder
    from trimtab.documents.formats.latex_source import LatexSource, Node

BOLD_FROM_HERE = {"bf", "bfseries", "boldmath"}
ACCENTS = set("'`^\"~=.uvHtcdbkr")
CITATION = re.compile(r"^cite|cite$")
WHITE_NAMES = {"white", "1,1,1", "ffffff", "FFFFFF", "255,255,255", "1", "0,0,0,0"}
SCRIPT = re.compile(r"([\^_])(\w)")
SPACED = {"±", "×", "≈", "≥", "≤"}  # noqa: RUF001
SMALLER = {"tiny", "scriptsize", "ssmall"}
FROM_HERE = BOLD_FROM_HERE | SMALLER | {"color", "fontsize"}
TINY_PT = 2.0


class Inline:
    r"""Turns nodes into text.

    Args:
        source: The file, for its macros and lines.
        builder: Told of hidden text.
        labels: What ``\ref`` prints.
        citations: What a citation of a key prints.
    """

    def __init__(
        self, source: LatexSource, builder: Builder, labels: Mapping[str, str], citations: Mapping[str, tuple[str, str]]
    ) -> None:
        self._source = source
        self._builder = builder
        self._labels = labels
        self._citations = citations
        self._symbols = LatexNodes2Text(math_mode="text", keep_comments=False, strict_latex_spaces=False)
        self._depth = 0
        self._math = False
        self._on_color = False
        self._handlers: dict[str, Callable[[list[Node]], str]] = {
            **dict.fromkeys(latex_macros.BOLD, lambda given: self._marked_bold(self.text(given))),
            **dict.fromkeys(latex_macros.FRACTIONS, lambda given: "/".join(self.text([each]) for each in given)),
            **dict.fromkeys(latex_macros.REFERENCES, lambda given: self._labels.get(self.text(given[-1:]), "")),
            **dict.fromkeys(latex_macros.PHANTOMS, lambda given: self._hide("phantom", given[-1:])),
            **dict.fromkeys(("colorbox", "fcolorbox"), self._boxed),
            **dict.fromkeys(latex_macros.FOOTNOTES, self._footnote),
            "textsuperscript": lambda given: self.text(given).translate(SUPERSCRIPT),
            "textsubscript": lambda given: lowered(self.text(given)),
            "textcolor": self._colored,
            "added": lambda given: self.text(given[-1:]),
            "replaced": lambda given: self.text(given[-2:-1]),
        }
        self.bold: list[str] = []
        self.footnotes: list[str] = []

    def text(self, nodes: Sequence[Node]) -> str:
        """Return the text of a list of nodes (or strings)."""
        out: list[str] = []
        raised = ""
        for index, node in enumerate(nodes):
            if node is None:
                continue
            name = getattr(node, "macroname", "")
            if name in FROM_HERE:
                rest, hiding = nodes[index + 1 :], self._hiding(node)
                if name in SMALLER:
                    out.append(lowered(self.text(rest)))
                elif name in BOLD_FROM_HERE:
                    out.append(self._marked_bold(self.text(rest)))
                elif hiding and not self._on_color:
                    self._hide(hiding, rest)
                else:
                    continue
                break
            piece = self._node(node)
            if raised:
                piece, raised = _shift(raised, piece), ""
            if self._math and raised_inside(node):
                piece = SCRIPT.sub(lambda match: _shift(match[1], match[2]), piece)
            if self._math and piece[-1:] in {"^", "_"} and len(piece) and not hasattr(node, "macroname"):
                piece, raised = piece[:-1], piece[-1]
            out.append(piece)
        return "".join(out)

    def _node(self, node: Node) -> str:
        if isinstance(node, str) or hasattr(node, "chars"):
            return str(getattr(node, "chars", node))
        if hasattr(node, "macroname"):
            return self._macro(node)
        if hasattr(node, "specials_chars"):
            return " " if node.specials_chars in {"~", "&"} else str(self._symbols.nodelist_to_text([node]))
        if is_table(node):
            return ""  # a table inside a cell is read by itself
        formula = hasattr(node, "displaytype")
        before, self._math = self._math, self._math or formula
        inner = self.text(getattr(node, "nodelist", None) or ())
        self._math = before
        return inner.strip() if formula else f" {inner} " if hasattr(node, "environmentname") else inner

    def _macro(self, node: Node) -> str:
        name = node.macroname.rstrip("*")
        if name in self._source.macros:
            return self._expand(node) + str(node.macro_post_space)
        given = (node.nodeargd.argnlist if node.nodeargd else ()) or ()
        arguments = [argument for argument in given if argument is not None and getattr(argument, "chars", "") != "*"]
        spaced = name in latex_macros.SPACE or name in {"\\", " "}
        if spaced or name in latex_macros.SILENT or (name in latex_macros.ALL and not arguments):
            return " " if spaced else ""
        handler = self._handlers.get(name) or (partial(self._citation, name) if CITATION.search(name) else None)
        if handler and arguments:
            return handler(arguments)
        if arguments and name not in ACCENTS:
            return self.text(arguments[-1:] if name in latex_macros.LAST_ARGUMENT else arguments)
        return self._symbol(node)

    def _symbol(self, node: Node) -> str:
        try:
            symbol = str(self._symbols.nodelist_to_text([node]))
        except (AttributeError, LookupError, TypeError):  # a macro of pylatexenc's whose argument is missing
            symbol = ""
        return f" {symbol.strip()} " if self._math and symbol.strip() in SPACED else symbol

    def _marked_bold(self, text: str) -> str:
        self.bold.append(" ".join(text.split()))
        return text

    def _footnote(self, arguments: list[Node]) -> str:
        self.footnotes.append(self.text(arguments[-1:]))
        return ""

    def _colored(self, arguments: list[Node]) -> str:
        if self._on_color or not _white(arguments[:-1]):
            return self.text(arguments[-1:])
        return self._hide("white", arguments[-1:])

    def _boxed(self, arguments: list[Node]) -> str:
        before, self._on_color = self._on_color, True
        inner = self.text(arguments[-1:])
        self._on_color = before
        return inner

    def _expand(self, node: Node) -> str:
        self._depth += 1
        try:
            return self.text(self._source.expand(node, self._depth))
        finally:
            self._depth -= 1

    def _citation(self, name: str, arguments: list[Node]) -> str:
        """Return a citation as natbib prints it where the bibliography says who and when, else its keys in brackets."""
        keys = [key.strip() for key in self.text(arguments[-1:]).strip("{}").split(",")]
        notes = [self.text([argument]).strip("[]") for argument in arguments[:-1]]
        known = [self._citations[key] for key in keys if key in self._citations]
        if len(known) < len(keys):
            return f"[{', '.join(keys)}]"
        if name in {"citet", "textcite"}:
            return ", ".join(f"{who} ({year})" for who, year in known)
        inside = "; ".join(f"{who}, {year}" for who, year in known)
        before = f"{notes[0]} " if len(notes) == 2 and notes[0] else ""
        return f"({before}{inside})"

    def _hiding(self, node: Node) -> str:
        """Return why a declaration hides what follows it in its group, or ""."""
        given = (node.nodeargd.argnlist if node.nodeargd else ()) or ()
        arguments = [argument for argument in given if argument is not None]
        if node.macroname == "color":
            return "white" if _white(arguments) else ""
        size = re.match(r"[\d.]+", arguments[0].latex_verbatim().strip("{}")) if arguments else None
        return "tiny" if size and float(size[0].strip(".") or 9) < TINY_PT else ""

    def _hide(self, reason: str, nodes: Sequence[Node]) -> str:
        offset = next((node.pos for node in nodes if hasattr(node, "pos")), 0)
        self._builder.hide(reason, self.text(nodes), Position(line=self._source.line(offset)))
        return ""


def is_table(node: Node) -> bool:
    """Whether a tabular has rows and columns; one without breaks the lines of a cell or sets parts of it apart."""
    if getattr(node, "environmentname", "") not in latex_macros.TABULARS:
        return False
    marks = [getattr(each, "specials_chars", "") or getattr(each, "macroname", "") for each in node.nodelist]
    ends = {"\\", "tabularnewline"}
    return "&" in marks and any(mark in ends and "&" in marks[place:] for place, mark in enumerate(marks))


def _white(arguments: Sequence[Node]) -> bool:
    """Whether color arguments, ``[model]{value}`` or ``{name}``, mean white."""
    texts = [argument.latex_verbatim().strip("{}[]").replace(" ", "").replace(".0", "") for argument in arguments]
    if not texts:
        return False
    if texts[-1] == "1":
        return texts[:-1] == ["gray"]
    return texts[-1] in WHITE_NAMES or re.fullmatch(r"white!\d+|\w+!0(?:!white)?", texts[-1]) is not None


def _shift(direction: str, text: str) -> str:
    """Return raised or lowered text: exponents as superscript letters, a lowered deviation as plain text."""
    stripped = text.strip()
    if "±" in stripped:
        return f" {stripped}"
    if direction == "^":
        return stripped.translate(SUPERSCRIPT)
    low = lowered(stripped)
    return low if low != stripped or not stripped else f"_{stripped}"


def raised_inside(node: Node) -> bool:
    """Whether plain characters of a formula raise or lower one of themselves, as in ``x^2``."""
    return hasattr(node, "chars") and SCRIPT.search(node.chars) is not None


def starts_bold(text: str, bold: Sequence[str]) -> bool:
    """Whether a cell's text begins in bold, as in **97.6** (90.2)."""
    return any(part and text.startswith(part) for part in bold)
