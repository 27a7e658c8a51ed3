"""LaTeX source made ready for the parser: what is never printed is blanked, and the author's macros are known.

Blanking keeps every offset, so that lines still lead into the file.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pylatexenc.latexwalker import LatexToken, LatexWalker, LatexWalkerParseError, get_default_latex_context_db
from pylatexenc.macrospec import EnvironmentSpec, MacroSpec

from trimtab.documents.formats import latex_macros
from trimtab.documents.formats.limits import bounded
from trimtab.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

# pylatexenc ships no type information.
Node = Any

PLAIN = re.compile(r"([ \n]?)([\w.,;:=+/])(?:[ \n]? *[\w.,;:=+/]+)*")
MAX_EXPANDED = 200_000
NEVER_PRINTED = re.compile(
    # No piece runs over its own beginning, so that a thousand without an end cost no more than one.
    r"\\iffalse\b(?:(?!\\iffalse\b).)*?\\fi\b|\\begin\{comment\}(?:(?!\\begin\{comment).)*?\\end\{comment\}"
    r"|\\makeatletter(?:(?!\\makeatletter).)*?\\makeatother"
    r"|\\(?:cmidrule|cline|addlinespace|morecmidrules|cdashline|arrayrulecolor|noalign|cmidrulekern)"
    r"(?:\[[^\]\n]*\])?(?:\([^)\n]*\))?(?:\{[^{}\n]*\})*",
    re.DOTALL,
)
TABULAR_EDGE = re.compile(r"(\\(?:begin|end)\{(?:tabular[*xy]?|tabu|longtable|longtabu|supertabular|array)\})")
CELL_END = re.compile(r"(?<!\\)&|\\\\")
RULES = re.compile(r"\\(?:specialrule|hhline|Xhline|thickhline|heavyrule)(?:\{[^{}\n]*\})*")
DEFINITION = re.compile(
    r"\\(?:(?:re|provide)?newcommand\*?|DeclareRobustCommand\*?|DeclareMathOperator\*?)\s*\{?\s*\\(?P<name>[A-Za-z]+)\s*\}?\s*"
    r"(?:\[(?P<count>\d)\])?\s*(?:\[(?P<default>[^\]]*)\])?\s*(?=\{)|\\def\s*\\(?P<plain>[A-Za-z]+)(?P<marks>(?:#\d)*)\s*(?=\{)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Macro:
    """An author's own macro.

    Args:
        body: Its source, ``#1`` … where arguments go.
        count: How many arguments it takes.
        default: Of the first argument, if that is optional.
    """

    body: str
    count: int
    default: str | None

    @property
    def arguments(self) -> str:
        """What follows it, as in :mod:`~trimtab.documents.formats.latex_macros`."""
        return ("{" if self.default is None else "[") + "{" * (self.count - 1) if self.count else ""


class _Walker(LatexWalker):  # type: ignore[misc]
    """pylatexenc's parser, spared the look at plain characters for all that could begin there."""

    def get_token(self, pos: int, *args: Any, **options: Any) -> LatexToken:  # noqa: ANN401 - handed on as they come
        plain = PLAIN.match(self.s, pos)
        if plain is None:
            return super().get_token(pos, *args, **options)
        # Plain text is one token; where one character may be a macro's argument, no environment can begin.
        chars = plain[0].removeprefix(plain[1]) if options.get("environments", True) else plain[2]
        return LatexToken(tok="char", arg=chars, pos=plain.start(2), len=len(chars), pre_space=plain[1])


class LatexSource:
    """The source of one LaTeX file.

    Args:
        raw: The file's bytes.
        name: The file's name, for messages.
        table_cells: Of one tabular; what is behind is not parsed, and ``cut`` counts such tabulars.

    Raises:
        DocumentError: The parser cannot make sense of it.
    """

    def __init__(self, raw: bytes, name: str, table_cells: int = 100_000) -> None:
        self.name = name
        self._expanded = 0
        text = raw.decode("utf-8", errors="replace")
        text, self.cut = bounded(TABULAR_EDGE.split(text), CELL_END, 2 * table_cells)
        self._lines = [match.start() for match in re.finditer("\n", text)]
        text = NEVER_PRINTED.sub(lambda match: _blanked(match[0]), text)
        text = RULES.sub(lambda match: "\\hline".ljust(len(match[0])), text)
        self.macros, text = _take_definitions(text)
        # What the author defines comes before what everybody knows.
        known = latex_macros.ALL | {name: macro.arguments for name, macro in self.macros.items()}
        self._context = get_default_latex_context_db()
        self._context.add_context_category(
            "trimtab",
            macros=[MacroSpec(name, args_parser=arguments) for name, arguments in known.items()],
            environments=[
                EnvironmentSpec(name, args_parser=arguments) for name, arguments in latex_macros.ENVIRONMENTS.items()
            ],
            prepend=True,
        )
        self.nodes = self.parse(text)

    def line(self, offset: int) -> int:
        """Return the line, from 1, of an offset of the source."""
        return bisect_right(self._lines, offset - 1) + 1 if offset else 1

    def parse(self, text: str) -> list[Node]:
        """Return the nodes of a piece of source.

        Raises:
            DocumentError: The parser gives up.
        """
        walker = _Walker(text, latex_context=self._context, tolerant_parsing=True)
        try:
            return list(walker.get_latex_nodes()[0])
        except LatexWalkerParseError as error:
            raise DocumentError(f"{self.name} is not LaTeX that can be parsed: {error}") from error

    def expand(self, node: Node, depth: int) -> list[Node]:
        """Return the nodes an author's macro stands for; none past a depth of 20 or 200,000 characters in all."""
        macro = self.macros[node.macroname]
        given = [macro.default if argument is None else written(argument) for argument in _given(node)]
        given += [macro.default] * (9 - len(given))
        body = re.sub(r"#([1-9])", lambda match: given[int(match[1]) - 1] or "", macro.body)
        self._expanded += len(body) + 20
        return [] if depth > 20 or self._expanded > MAX_EXPANDED else self.parse(body)


def macro_name(node: Node) -> str:
    """Return a macro's name without a star, "" for any other node."""
    return str(getattr(node, "macroname", "")).rstrip("*")


def environment_name(node: Node) -> str:
    """Return an environment's name, "" for any other node."""
    return str(getattr(node, "environmentname", ""))


def blank(node: Node) -> bool:
    """Whether a node prints no more than space: a remark, or characters that are none."""
    return hasattr(node, "comment") or not getattr(node, "chars", "x").strip()


def _given(node: Node) -> list[Node]:
    return list((node.nodeargd.argnlist if getattr(node, "nodeargd", None) else None) or ())


def arguments(node: Node) -> list[Node]:
    """Return the arguments that a macro or an environment was given."""
    return [argument for argument in _given(node) if argument is not None]


def written(node: Node) -> str:
    """Return the source of an argument without what encloses it."""
    return re.sub(r"\A[{\[](.*)[}\]]\Z", r"\1", node.latex_verbatim(), flags=re.DOTALL)


def descendants(node: Node, *, into: bool = True) -> Iterator[Node]:
    """Yield what is in a node, in order; only its children unless ``into``."""
    for child in (*(getattr(node, "nodelist", None) or ()), *_given(node)):
        if child is not None:
            yield child
            if into:
                yield from descendants(child)


def _blanked(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _take_definitions(text: str) -> tuple[dict[str, Macro], str]:
    """Return the author's macros and the text with their definitions blanked."""
    macros: dict[str, Macro] = {}
    pieces, done = [], 0
    for match in DEFINITION.finditer(text):
        closing = (brace.start() for brace, depth in braces(text, match.end(), match.end() + 20_000) if not depth)
        end = next(closing, None)
        if match.start() < done or end is None:
            continue
        count = int(match["count"] or 0) if match["name"] else match["marks"].count("#")
        name = match["name"] or match["plain"]
        macros[name] = Macro(body=text[match.end() + 1 : end], count=count, default=match["default"])
        pieces += [text[done : match.start()], _blanked(text[match.start() : end + 1])]
        done = end + 1
    return macros, "".join([*pieces, text[done:]])


def braces(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[re.Match[str], int]]:
    """Yield braces, quotation marks and ``#`` that are not escaped, each with how many braces are open behind it."""
    depth = 0
    for match in re.compile(r'\\.|[{}"#]', re.DOTALL).finditer(text, start, len(text) if end is None else end):
        depth += (match[0] == "{") - (match[0] == "}")
        yield match, depth
