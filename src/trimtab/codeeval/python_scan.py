"""Python text looked at without parsing it: lines, strings, statements at column 0, names that are used and bound.

A parser can be brought down by a deep enough expression, and with it the process; most replies are no program anyway.
So untrusted text is only scanned, in time linear in its length, and whether it is a program is for the sandbox to find
out. What is said of names is near the truth, not the truth: where it errs, a name counts as used.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

LITERAL: Final = re.compile(r"\"\"\"|'''|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?|#[^\n]*", re.DOTALL)
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_PREFIX: Final = re.compile(r"(?<![\w.])[rRbBuUfF]{1,2}$")
_OPENING: Final = re.compile(r"[(\[{]")
_BRACKET: Final = re.compile(r"[()\[\]{}]")
_GOES_ON: Final = re.compile(r"[)\]}]|(?:else|elif|except|finally)\b")
_BELOW_DECORATORS: Final = re.compile(r"^(?:(?:async[ \t]+)?def|class)\b", re.MULTILINE)
DEFINES: Final = re.compile(r"(?:async[ \t]+)?def\b|class\b|@|import\b|from[ \t]+[\w.]+[ \t]+import\b")
_WORD: Final = re.compile(r"(?<![\w.])([A-Za-z_]\w*)")
_TARGETS: Final = re.compile(
    r"^[ \t]*(?!(?:if|elif|else|while|for|with|try|except|finally|lambda|return|assert|match|case)\b)"
    r"[(\[]?([A-Za-z_][\w, \t*()\[\].]{0,300}?)[)\]]?[ \t]{0,20}(?::[^=\n]*)?"
    r"(?:[-+*/%&|^@]|//|\*\*|<<|>>)?=(?!=)",
    re.MULTILINE,
)
_CHAINED: Final = re.compile(r"(?<![=!<>:])=[ \t]{0,20}([A-Za-z_]\w*)[ \t]{0,20}(?==(?!=))")
_OTHER_BINDING: Final = re.compile(
    r"\bfor[ \t]+([^\n]{1,200}?)[ \t]in\b|\bas[ \t]+\(?([A-Za-z_][\w, \t]*)|([A-Za-z_]\w*)[ \t]{0,20}:="
)
_IMPORT: Final = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+)?import[ \t]+(?:\(([^)]{0,4000})\)|([^\n;]*))", re.MULTILINE
)
_DEFINED: Final = re.compile(r"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
_CHANGED: Final = re.compile(
    r"^[ \t]*(?:del[ \t]+)?([A-Za-z_]\w*)[ \t]*(?:[.\[]|\([^()\n]*\)\.\w+[ \t]*=)", re.MULTILINE
)
_DELETED: Final = re.compile(r"^[ \t]*del[ \t]+([\w, \t]+)$", re.MULTILINE)
_GLOBAL: Final = re.compile(r"^[ \t]*global[ \t]+([\w, \t]+)", re.MULTILINE)


def lines(text: str) -> list[str]:
    """Split as Python counts lines: a form feed, or a separator of paragraphs within a string, ends none."""
    return _LINE.findall(text)


def inside_strings(text: str) -> set[int]:
    """Return the numbers, from 0, of lines that begin inside a string of three quotes that is closed."""
    inside: set[int] = set()
    line, counted = 0, 0
    for start, end in literals(text):
        if end - start >= 6 and text[start : start + 3] in ('"""', "'''"):
            line += text.count("\n", counted, start)
            spanned = text.count("\n", start, end)
            inside.update(range(line + 1, line + spanned + 1))
            counted, line = end, line + spanned
    return inside


def literals(text: str) -> Iterator[tuple[int, int]]:
    """Yield where strings and comments begin and end; a string of three quotes that is never closed is none."""
    at = 0
    open_ended: set[str] = set()
    while (match := LITERAL.search(text, at)) is not None:
        at = match.end()
        quote = match[0]
        if quote in ('"""', "'''"):
            if quote in open_ended:
                continue
            end = _closing(text, at, quote)
            if end < 0:
                open_ended.add(quote)
                continue
            at = end
        yield match.start(), at


def _closing(text: str, at: int, quote: str) -> int:
    """Return where a string of three quotes that began before ``at`` is over; -1 where it is not."""
    while (end := text.find(quote, at)) >= 0:
        escapes = 0
        while end - escapes > at and text[end - escapes - 1] == "\\":
            escapes += 1
        if escapes % 2 == 0:
            return end + len(quote)
        at = end + 1
    return -1


def masked(text: str) -> str:
    """Return a text of the same length with blanks for comments and for strings, f-strings excepted: they use names."""
    parts, at = [], 0
    for start, end in literals(text):
        prefix = _PREFIX.search(text, max(0, start - 3), start)
        if prefix is not None and "f" in prefix[0].lower():
            continue
        parts += [text[at:start], "".join("\n" if c == "\n" else " " for c in text[start:end])]
        at = end
    return "".join([*parts, text[at:]])


class TopStatement(NamedTuple):
    """A statement at column 0, with its decorators and all that hangs below it.

    Attributes:
        first: The number of its first line, from 0.
        after: The number of the line after its last.
        code: Its text without strings and comments.
    """

    first: int
    after: int
    code: str

    @property
    def head(self) -> str:
        """The line that says what it is: the one below its decorators."""
        match = _BELOW_DECORATORS.search(self.code) if self.code.startswith("@") else None
        return self.code[0 if match is None else match.start() :].lstrip("\n").partition("\n")[0]


def statements(text: str) -> list[TopStatement]:
    """Return the statements at column 0; text that is none, such as prose, counts line by line.

    A line goes on with the statement before it where it is indented, within brackets, after a backslash, below a
    decorator, or begins as the rest of an ``if`` or ``try`` does. A definition or import always begins a statement.
    """
    code = lines(masked(text))
    starts: list[int] = []
    depth, decorated, joined = 0, False, False
    for at, line in enumerate(code):
        definition = DEFINES.match(line)
        if line[:1].strip() and (definition or not (depth or joined)):
            depth = 0 if definition else depth
            if not decorated and not _GOES_ON.match(line):
                starts.append(at)
            decorated = line[0] == "@" or (decorated and not definition)
        if "(" in line or "[" in line or "{" in line or depth:
            for bracket in _BRACKET.findall(line):
                depth = max(0, depth + (1 if _OPENING.match(bracket) else -1))
        joined = line.rstrip("\r\n").endswith("\\")
    ends = [*starts[1:], len(code)] if starts else []
    return [TopStatement(first, after, "".join(code[first:after])) for first, after in zip(starts, ends, strict=True)]


def with_before(text: str, program: str) -> str:
    """Return a program with whole lines put before it, but behind its imports from ``__future__``, which come first."""
    after = 0
    for statement in statements(program) if text and "__future__" in program else ():
        if not re.match(r"from[ \t]+__future__\b", statement.head):
            break
        after = statement.after
    every = lines(program)
    return "".join([*every[:after], text, *every[after:]])


def used(code: str) -> set[str]:
    """Return the names that masked text mentions, other than as attributes."""
    return set(_WORD.findall(code))


def assigned(code: str) -> set[str]:
    """Return the names that masked text binds, or unbinds, otherwise than by ``def``, ``class`` or as a parameter."""
    names: set[str] = set()
    for match in _TARGETS.finditer(code):
        if "." not in match[1] and "[" not in match[1]:
            names.update(_WORD.findall(match[1]))
    names.update(_CHAINED.findall(code))
    for match in _DELETED.finditer(code):
        names.update(_WORD.findall(match[1]))
    for match in _OTHER_BINDING.finditer(code):
        names.update(_WORD.findall(match[1] or match[2] or match[3]))
    return names | imported(code).keys()


def imported(code: str) -> dict[str, str]:
    """Return the names that imports bind, and of each the top-level module that it comes from."""
    modules = {}
    for match in _IMPORT.finditer(code):
        for part in (match[2] or match[3] or "").split(","):
            name, _, alias = part.strip().partition(" as ")
            bound = alias.strip() or name.strip().partition(".")[0]
            modules[bound] = (match[1] or name).strip().partition(".")[0]
    return modules


def defined(code: str) -> set[str]:
    """Return the names of functions and classes, at any depth."""
    return set(_DEFINED.findall(code))


def changed(code: str) -> set[str]:
    """Return the names whose object a line of masked text may change: ``x.append(1)``, ``x[0] = 1``, ``x().a = 1``."""
    return set(_CHANGED.findall(code))


def parameters(code: str) -> set[str]:
    """Return the parameters of every function and lambda in masked text, as far as commas at one depth tell."""
    names: set[str] = set()
    for match in re.finditer(r"\bdef[ \t]+\w+[ \t]*\(|\blambda\b", code):
        depth, start = 1, match.end()
        expects = True
        for token in re.finditer(r"[()\[\]{},:]|[A-Za-z_]\w*", code[start : start + 2000]):
            sign = token[0]
            if sign in "([{":
                depth += 1
            elif sign in ")]}":
                depth -= 1
                if depth == 0:
                    break
            elif sign == "," and depth == 1:
                expects = True
            elif sign == ":":
                if match[0] == "lambda" and depth == 1:
                    break
                expects = False if depth == 1 else expects
            elif depth == 1 and expects:
                names.add(sign)
                expects = False
    return names


def outer_names(code: str) -> set[str]:
    """Return the names that a definition takes from outside: used, and neither parameter nor bound within."""
    words = used(code)
    stated = {name.strip() for match in _GLOBAL.finditer(code) for name in match[1].split(",")}
    return (words - parameters(code) - assigned(code)) | (stated & words)


def effects(code: str) -> set[str]:
    """Return the names outside a function that calling it may bind or change."""
    stated = {name.strip() for match in _GLOBAL.finditer(code) for name in match[1].split(",")}
    return stated | (changed(code) & outer_names(code))
