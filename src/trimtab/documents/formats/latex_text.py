"""LaTeX nodes to the text a reader sees: accents, symbols, the author's macros, citations; white text is reported."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from pylatexenc.latex2text import LatexNodes2Text

from trimtab.documents.formats import latex_macros
from trimtab.documents.formats.latex_source import arguments, environment_name, macro_name, written
from trimtab.documents.formats.limits import TINY_PT
from trimtab.documents.formats.markup import SUPERSCRIPT, lowered
from trimtab.documents.parts import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trimtab.documents.formats.document_builder import Builder
    from trimtab.documents.formats.latex_source import LatexSource, Node

BOLD_FROM_HERE = {"bf", "bfseries", "boldmath"}
ACCENTS = set("'`^\"~=.uvHtcdbkr")
CITATION = re.compile(r"^cite|cite$")
WHITE = re.compile(r"white(?:!\d+)?|\w+!0(?:!white)?|1,1,1|[fF]{6}|255,255,255|0,0,0,0")
SCRIPT = re.compile(r"([\^_])(\w)")
SPACED = {"±", "×", "≈", "≥", "≤"}  # noqa: RUF001
SMALLER = {"tiny", "scriptsize", "ssmall"}
FROM_HERE = BOLD_FROM_HERE | SMALLER | {"color", "fontsize"}


class Inline:
    r"""Turns nodes into text.

    Args:
        source: The file, for its macros and lines.
        builder: Told of hidden text.
        labels: What ``\ref`` prints.

    Attributes:
        citations: Who and when, for the key of each work of the bibliography that says so.
        bold: What was printed in bold since somebody emptied it.
        footnotes: What stands below the text that was read.
    """

    def __init__(self, source: LatexSource, builder: Builder, labels: Mapping[str, str]) -> None:
        self._source = source
        self._builder = builder
        self._labels = labels
        self.citations: Mapping[str, tuple[str, str]] = {}
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
            "replaced": lambda given: self.text(given[-2:-1]),
        }
        self.bold: list[str] = []
        self.footnotes: list[str] = []

    def text(self, nodes: Sequence[Node]) -> str:
        """Return the text of a list of nodes."""
        out: list[str] = []
        raised = ""
        for index, node in enumerate(nodes):
            if node is None:
                continue
            name = macro_name(node)
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
            if self._math and SCRIPT.search(getattr(node, "chars", "")):  # as in x^2
                piece = SCRIPT.sub(lambda match: _shift(match[1], match[2]), piece)
            if self._math and piece[-1:] in {"^", "_"} and not hasattr(node, "macroname"):
                piece, raised = piece[:-1], piece[-1]
            out.append(piece)
        return "".join(out)

    def _node(self, node: Node) -> str:
        if hasattr(node, "chars"):
            return str(node.chars)
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
        return inner.strip() if formula else f" {inner} " if environment_name(node) else inner

    def _macro(self, node: Node) -> str:
        name = macro_name(node)
        if name in self._source.macros:
            self._depth += 1
            expanded = self.text(self._source.expand(node, self._depth))
            self._depth -= 1
            return expanded + str(node.macro_post_space)
        given = [argument for argument in arguments(node) if getattr(argument, "chars", "") != "*"]
        spaced = name in latex_macros.SPACE or name in {"\\", " "}
        if spaced or name in latex_macros.SILENT or (name in latex_macros.ALL and not given):
            return "\u2009" if name == "," else " " if spaced else ""  # it may group digits
        handler = self._handlers.get(name) or (partial(self._citation, name) if CITATION.search(name) else None)
        if handler and given:
            return handler(given)
        if given and name not in ACCENTS:
            return self.text(given[-1:] if name in latex_macros.LAST_ARGUMENT else given)
        try:
            symbol = str(self._symbols.nodelist_to_text([node]))
        except (AttributeError, LookupError, TypeError):  # a macro of pylatexenc's whose argument is missing
            symbol = ""
        return f" {symbol.strip()} " if self._math and symbol.strip() in SPACED else symbol

    def _marked_bold(self, text: str) -> str:
        self.bold.append(" ".join(text.split()))
        return text

    def _footnote(self, given: list[Node]) -> str:
        self.footnotes.append(self.text(given[-1:]))
        return ""

    def _colored(self, given: list[Node]) -> str:
        if self._on_color or not _white(given[:-1]):
            return self.text(given[-1:])
        return self._hide("white", given[-1:])

    def _boxed(self, given: list[Node]) -> str:
        before, self._on_color = self._on_color, True
        inner = self.text(given[-1:])
        self._on_color = before
        return inner

    def _citation(self, name: str, given: list[Node]) -> str:
        """Return a citation as natbib prints it where the bibliography says who and when, else its keys in brackets."""
        keys = [key.strip() for key in self.text(given[-1:]).strip("{}").split(",")]
        notes = [self.text([argument]).strip("[]") for argument in given[:-1]]
        known = [self.citations[key] for key in keys if key in self.citations]
        if len(known) < len(keys):
            return f"[{', '.join(keys)}]"
        if name in {"citet", "textcite"}:
            return ", ".join(f"{who} ({year})" for who, year in known)
        inside = "; ".join(f"{who}, {year}" for who, year in known)
        before = f"{notes[0]} " if len(notes) == 2 and notes[0] else ""
        return f"({before}{inside})"

    def _hiding(self, node: Node) -> str:
        """Return why a declaration hides what follows it in its group, or ""."""
        given = arguments(node)
        if node.macroname == "color":
            return "white" if _white(given) else ""
        size = re.match(r"\d*\.?\d+", written(given[0])) if given else None
        return "tiny" if size and float(size[0]) < TINY_PT else ""

    def _hide(self, reason: str, nodes: Sequence[Node]) -> str:
        offset = next((node.pos for node in nodes if hasattr(node, "pos")), 0)
        self._builder.hide(reason, self.text(nodes), Position(line=self._source.line(offset)))
        return ""


def is_table(node: Node) -> bool:
    """Whether a tabular has rows and columns; one without breaks the lines of a cell or sets parts of it apart."""
    if environment_name(node) not in latex_macros.TABULARS:
        return False
    marks = [getattr(each, "specials_chars", "") or macro_name(each) for each in node.nodelist]
    ends = {"\\", "tabularnewline"}
    return "&" in marks and any(mark in ends and "&" in marks[place:] for place, mark in enumerate(marks))


def _white(given: Sequence[Node]) -> bool:
    """Whether color arguments, ``[model]{value}`` or ``{name}``, mean white."""
    *models, value = [written(argument).replace(" ", "").replace(".0", "") for argument in given] or [""]
    return models == ["gray"] if value == "1" else WHITE.fullmatch(value) is not None


def _shift(direction: str, text: str) -> str:
    """Return raised or lowered text: exponents as superscript letters, a lowered deviation as plain text."""
    stripped = text.strip()
    if "±" in stripped:
        return f" {stripped}"
    if direction == "^":
        return stripped.translate(SUPERSCRIPT)
    low = lowered(stripped)
    return low if low != stripped or not stripped else f"_{stripped}"
