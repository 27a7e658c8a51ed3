"""LaTeX nodes to the text a reader sees: accents, symbols, the author's macros, citations; white text is reported."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pylatexenc.latex2text import LatexNodes2Text

from trimtab.documents.formats.markup import SUPERSCRIPT, lowered
from trimtab.documents.parts import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trimtab.documents.formats.document_builder import Builder
    from trimtab.documents.formats.latex_source import LatexSource, Node

if TYPE_CHECKING:
    Handler = Callable[[str, list[Node]], str]


BOLD = {"textbf", "mathbf", "bm", "boldsymbol"}
BOLD_FROM_HERE = {"bf", "bfseries", "boldmath"}
SILENT = {
    *(
        "label",
        "vspace",
        "hspace",
        "setlength",
        "addtolength",
        "setcounter",
        "cellcolor",
        "rowcolor",
        "columncolor",
        "index",
    ),
    *(
        "centering",
        "small",
        "footnotesize",
        "scriptsize",
        "tiny",
        "large",
        "normalsize",
        "noindent",
        "maketitle",
        "toprule",
    ),
    *(
        "midrule",
        "bottomrule",
        "hline",
        "hfill",
        "vfill",
        "smallskip",
        "medskip",
        "bigskip",
        "newpage",
        "clearpage",
        "left",
    ),
    *(
        "right",
        "big",
        "Big",
        "bigg",
        "Bigg",
        "displaystyle",
        "selectfont",
        "protect",
        "raggedright",
        "arraybackslash",
        "it",
    ),
    *(
        "rm",
        "sf",
        "tt",
        "sc",
        "em",
        "itshape",
        "usepackage",
        "documentclass",
        "includegraphics",
        "pagestyle",
        "thispagestyle",
    ),
    *(
        "bibliographystyle",
        "bibliography",
        "appendix",
        "item",
        "input",
        "include",
        "author",
        "date",
        "limits",
        "nonumber",
    ),
    *(
        "tablefootnote",
        "footnotetext",
        "footnotemark",
        "rule",
        "vskip",
        "hskip",
        "fontsize",
        "color",
        "endhead",
        "endfoot",
    ),
    *("endfirsthead", "endlastfoot", "tnote", "thanks"),
}
LAST_ARGUMENT = {
    *(
        "href",
        "textcolor",
        "colorbox",
        "fcolorbox",
        "scalebox",
        "resizebox",
        "multirow",
        "multicolumn",
        "parbox",
        "raisebox",
    ),
    *("rotatebox", "makebox", "adjustbox", "num", "makecell", "thead", "shortstack", "captionof"),
}
SPACES = {
    "quad",
    "qquad",
    "newline",
    "linebreak",
    "par",
    "hspace",
    "\\",
    ",",
    ";",
    ":",
    " ",
    "enspace",
    "tabularnewline",
}
ACCENTS = set("'`^\"~=.uvHtcdbkr")
FRACTIONS = {"frac", "dfrac", "tfrac", "nicefrac", "sfrac"}
CITATION = re.compile(r"^cite|cite$")
WHITE_NAMES = {"white", "1,1,1", "ffffff", "FFFFFF", "255,255,255", "1", "0,0,0,0"}
SCRIPT = re.compile(r"([\^_])(\w)")
REFERENCES = {"ref", "cref", "Cref", "autoref", "eqref"}
BOXES = {"colorbox", "fcolorbox"}
SPACED = {"±", "×", "≈", "≥", "≤"}  # noqa: RUF001
PHANTOMS = {"phantom", "hphantom", "vphantom"}
STRUCK = {"sout", "st", "xout", "cancel", "bcancel", "xcancel", "strike", "hcancel"}
SMALLER = {"tiny", "scriptsize", "ssmall"}
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
        self._handlers: dict[str, Handler] = {
            **dict.fromkeys(BOLD, self._bold),
            **dict.fromkeys(FRACTIONS, self._fraction),
            **dict.fromkeys(REFERENCES, self._reference),
            **dict.fromkeys(PHANTOMS, self._phantom),
            **dict.fromkeys(BOXES, self._boxed),
            "footnote": self._footnote,
            "textsuperscript": self._superscript,
            "textsubscript": self._subscript,
            **dict.fromkeys(STRUCK, lambda _name, _arguments: ""),
            "textcolor": self._colored,
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
            if self._hides_the_rest(node):
                self._hide(self._hiding(node), nodes[index + 1 :])
                break
            if getattr(node, "macroname", "") in SMALLER:
                out.append(lowered(self.text(nodes[index + 1 :])))
                break
            if getattr(node, "macroname", "") in BOLD_FROM_HERE:
                rest = self.text(nodes[index + 1 :])
                self.bold.append(" ".join(rest.split()))
                out.append(rest)
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
        formula = hasattr(node, "displaytype")
        before, self._math = self._math, self._math or formula
        inner = self.text(getattr(node, "nodelist", None) or ())
        self._math = before
        return inner.strip() if formula else f" {inner} " if hasattr(node, "environmentname") else inner

    def _macro(self, node: Node) -> str:
        name = node.macroname.rstrip("*")
        if name in self._source.macros:
            return self._expand(node) + str(node.macro_post_space)
        if name in SILENT or name in SPACES:
            return " " if name in SPACES else ""
        given = (node.nodeargd.argnlist if node.nodeargd else ()) or ()
        arguments = [argument for argument in given if argument is not None and getattr(argument, "chars", "") != "*"]
        handler = self._handlers.get(name) or (self._citation if CITATION.search(name) else None)
        if handler and arguments:
            return handler(name, arguments)
        if arguments and name not in ACCENTS:
            return self.text(arguments[-1:] if name in LAST_ARGUMENT else arguments)
        symbol = str(self._symbols.nodelist_to_text([node]))
        return f" {symbol.strip()} " if self._math and symbol.strip() in SPACED else symbol

    def _bold(self, _name: str, arguments: list[Node]) -> str:
        inner = self.text(arguments)
        self.bold.append(" ".join(inner.split()))
        return inner

    def _fraction(self, _name: str, arguments: list[Node]) -> str:
        return "/".join(self.text([argument]) for argument in arguments)

    def _reference(self, _name: str, arguments: list[Node]) -> str:
        return self._labels.get(self.text(arguments[-1:]), "")

    def _footnote(self, _name: str, arguments: list[Node]) -> str:
        self.footnotes.append(self.text(arguments[-1:]))
        return ""

    def _superscript(self, _name: str, arguments: list[Node]) -> str:
        return self.text(arguments).translate(SUPERSCRIPT)

    def _subscript(self, _name: str, arguments: list[Node]) -> str:
        return lowered(self.text(arguments))

    def _phantom(self, _name: str, arguments: list[Node]) -> str:
        self._hide("phantom", arguments[-1:])
        return ""

    def _colored(self, _name: str, arguments: list[Node]) -> str:
        if self._on_color or not _white(arguments[:-1]):
            return self.text(arguments[-1:])
        self._hide("white", arguments[-1:])
        return ""

    def _boxed(self, _name: str, arguments: list[Node]) -> str:
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

    def _hides_the_rest(self, node: Node) -> bool:
        return bool(self._hiding(node)) and not self._on_color

    def _hiding(self, node: Node) -> str:
        """Return why a declaration hides what follows it in its group, or ""."""
        name = getattr(node, "macroname", "")
        if name not in {"color", "fontsize"} or not node.nodeargd:
            return ""
        arguments = [argument for argument in node.nodeargd.argnlist if argument is not None]
        if name == "color":
            return "white" if _white(arguments) else ""
        size = re.match(r"[\d.]+", arguments[0].latex_verbatim().strip("{}")) if arguments else None
        return "tiny" if size and float(size[0].strip(".") or 9) < TINY_PT else ""

    def _hide(self, reason: str, nodes: Sequence[Node]) -> None:
        offset = next((node.pos for node in nodes if hasattr(node, "pos")), 0)
        self._builder.hide(reason, self.text(nodes), Position(line=self._source.line(offset)))


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
