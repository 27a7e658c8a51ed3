"""From what a model wrote to a program.

Decisions: every transformation has a name, and its name is part of the verdict; none looks at tests or outcomes. What
is unconditional (:func:`clean`) leaves what the tested function computes as it is: text around a code block,
statements after it that only check or show, imports that are lacking. What guesses (:func:`repair`) is for text that
is no program, or has no function of the name. Untrusted text is never parsed here, only scanned (a deep enough
expression can bring down the parser, and with it the process), so whether the rest is a program is for the sandbox to
find out. Everything is linear in the length.
"""

from __future__ import annotations

import itertools
import re
import textwrap
import tokenize
from typing import TYPE_CHECKING, Final, NamedTuple

from trimtab.codeeval import lacking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.codeeval.problem import Problem

_LAYOUT: Final = (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT)
_FENCE: Final = re.compile(r"[ \t]*(```|~~~)[ \t]*([\w+-]*)([^\n]*)")
_PYTHON: Final = ("", "python", "py", "python3", "python2", "code")
_STARTS: Final = re.compile(r"(?:def|class|import|from|async|@)\b|@")
# At column 0 these only check or show; what is read from the input, of which there is none, ends a program.
_DEMO_WORDS: Final = (
    r"(?:assert\b|(?:print|main|unittest\.main|doctest\.testmod)[ \t]*\("
    r"|[A-Za-z_][\w, \t]*=[^=\n][^\n]*\binput[ \t]*\()"
)
_DEMO: Final = re.compile(_DEMO_WORDS)
_DEMO_LINE: Final = re.compile(rf"^{_DEMO_WORDS}", re.MULTILINE)
# Two words that no operator or keyword joins, as prose has them and a statement at column 0 has not.
_PROSE: Final = re.compile(
    r"(?!(?:def|class|import|from|async|if|for|while|with|try|return|assert|del|global|raise|lambda|not|await|yield)\b)"
    r"(?:[#*>-]+[ \t]|\d+\.[ \t])?[A-Za-z][\w'-]*,?[ \t]+(?!(?:in|is|and|or|not|if|for)\b)[A-Za-z`]"
)
_LITERAL: Final = re.compile(r"\"\"\"|'''|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?|#[^\n]*", re.DOTALL)
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_LEVEL: Final = 4  # spaces before a function's body
_DRAFTS: Final = 3  # definitions of the function that a repair tries
_LONGEST: Final = 1 << 20  # characters; a program is shorter, a runaway generation need not be


class Extracted(NamedTuple):
    """A program and the names of what was done to get it."""

    program: str
    steps: tuple[str, ...]


def raw(problem: Problem, text: str, *, continues: bool) -> str:
    """Return the program that the text is as it stands."""
    return problem.prompt + text if continues else text


def clean(problem: Problem, text: str, *, continues: bool) -> Extracted:
    """Take the program out of what surrounds it.

    Args:
        problem: What was asked.
        text: What the model wrote.
        continues: Whether it continues ``problem.prompt``, or is a program or a text with one.
    """
    steps: list[str] = []
    text = _step(steps, "truncated", text, text[:_LONGEST])
    text = _step(steps, "reasoning", text, text.rpartition("</think>")[2])
    found = _code_of(text, problem.entry_point, continues=continues)
    if found is not None:
        text, continues = found.code, continues and not found.opened
        steps.append("fence")
    program = raw(problem, text, continues=continues)
    if not continues and _is_body(text):
        program = problem.prompt + text
        steps.append("prompt")
    program = _step(steps, "demo", program, _without_demo(program, problem.entry_point))
    program = _step(steps, "imports", program, lacking.supply(program, problem))
    return Extracted(program, tuple(steps))


def repair(problem: Problem, cleaned: Extracted) -> Extracted | None:
    """Guess the program in a text that is none; None where there is nothing to guess."""
    steps, program = list(cleaned.steps), cleaned.program
    body = program.startswith(problem.prompt)
    if body:
        text = program[len(problem.prompt) :]
        text = _step(steps, "indent", text, _indented(text))
        kept = cut(problem.prompt, text)
        if kept is not None:
            steps.append("cut")
        program = problem.prompt + (text if kept is None else kept)
    else:
        program = _step(steps, "dedent", program, textwrap.dedent(program))
        program = _step(steps, "prose", program, _from_first_definition(program))
        program = _step(steps, "cut", program, cut_program(program) or program)
    return None if program == cleaned.program else Extracted(program, tuple(steps))


def repairs(problem: Problem, cleaned: Extracted) -> Iterator[Extracted]:
    """Yield guesses, the one that keeps most first: :func:`repair`, then programs that end with the function asked for.

    Where a text defines it several times, the last one is tried first, as Python would use it.
    """
    guess = repair(problem, cleaned)
    if guess is not None:
        yield guess
    if not cleaned.program.startswith(problem.prompt):
        text = _from_first_definition(textwrap.dedent(cleaned.program))
        for program in _through(text, problem.entry_point):
            yield Extracted(program, (*cleaned.steps, "tail"))


def cut(prompt: str, completion: str) -> str | None:
    """Return ``completion`` without what follows the prompt's function; None when there is nothing to cut, or no rest.

    The end is the first line at column 0 that neither continues a bracket or a string nor is a comment, or the line
    from which on the text cannot be split into tokens.
    """
    lines = _lines(prompt + completion)
    end = sum(map(len, lines[: _end(lines, prompt.count("\n") + 1) - 1])) - len(prompt)
    return _shorter(completion, end)


def cut_program(program: str) -> str | None:
    """Return a program without the prose after it or, if there is none, without its last statement at column 0."""
    lines = _lines(program)
    tops = _tops(program, lines)
    first = next((at for at in tops if _STARTS.match(lines[at])), len(lines))
    prose = next((at for at in tops if at > first and _PROSE.match(lines[at])), None)
    end = prose if prose is not None else tops[-1] if tops else 0
    return _shorter(program, sum(map(len, lines[:end])))


def _through(program: str, entry_point: str) -> Iterator[str]:
    """Yield beginnings of a program that end with a definition of the function, the last one first."""
    lines = _lines(program)
    tops = _tops(program, lines)
    defines = re.compile(rf"(?:async[ \t]+)?def[ \t]+{re.escape(entry_point)}\b")
    found = [(at, after) for at, after in itertools.pairwise([*tops, len(lines)]) if defines.match(lines[at])]
    for _, after in found[: -_DRAFTS - 1 : -1]:
        if after < len(lines):
            yield "".join(lines[:after])


def _tops(program: str, lines: list[str]) -> list[int]:
    """Return the numbers of lines at which a statement at column 0 begins."""
    inside = _inside_strings(program)
    return [at for at, line in enumerate(lines) if at not in inside and line[:1].strip() and line[0] not in ")]}#"]


def _shorter(text: str, end: int) -> str | None:
    kept = text[: max(0, end)]
    return kept if kept.strip() and kept != text else None


def _end(lines: list[str], first: int) -> int:
    """Return the number of the line at which the function that line ``first`` continues is over."""
    starts_line = True
    try:
        for token in tokenize.generate_tokens(iter([*lines, ""]).__next__):
            if token.type in _LAYOUT:
                starts_line = starts_line or token.type == tokenize.NEWLINE
                continue
            if starts_line and token.start[1] == 0 and token.start[0] > first and token.type != tokenize.COMMENT:
                return token.start[0]
            starts_line = False
    except IndentationError:
        return len(lines) + 1  # a line that fits no level does not leave the function
    except SyntaxError as error:
        return error.lineno or len(lines) + 1
    except tokenize.TokenError as error:
        return int(error.args[1][0])
    return len(lines) + 1


class _Code(NamedTuple):
    """The text of a code block, and whether the block was opened in the text itself."""

    code: str
    opened: bool


def _code_of(text: str, entry_point: str, *, continues: bool) -> _Code | None:
    """Return the block that defines the function, or else the first of Python; None without any fence."""
    lines = _lines(text)
    inside = _inside_strings(text)
    fences = [(at, match) for at, line in enumerate(lines) if at not in inside and (match := _FENCE.match(line))]
    if not fences:
        return None
    blocks: list[_Code] = []
    at, opened = 0, False
    # A text that continues code, or begins within a block that was opened for it, starts inside one.
    within = continues or bool(lines[: fences[0][0]] and _looks_like_code(lines[: fences[0][0]], fences[0][1]))
    python = within
    for number, match in fences:
        if python:
            blocks.append(_Code("".join(lines[at:number]), opened))
        at, opened = number + 1, True
        # A fence with a language opens a block even where another was not closed.
        within = not within or bool(match[2] and not match[3].strip())
        python = within and match[2].lower() in _PYTHON
    if python:
        blocks.append(_Code("".join(lines[at:]), opened))
    blocks = [block for block in blocks if block.code.strip()]
    defines = re.compile(rf"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+{re.escape(entry_point)}\b", re.MULTILINE)
    chosen = next((block for block in blocks if defines.search(block.code)), blocks[0] if blocks else None)
    if chosen is None:
        return _Code("", opened=False) if continues else None  # what was begun was ended at once
    first = next(line for line in chosen.code.splitlines() if line.strip())
    starts = _STARTS.match(first.lstrip()) or defines.search(chosen.code)  # the inside of a function stays indented
    whole = chosen.opened and starts is not None
    return _Code(textwrap.dedent(chosen.code) if whole else chosen.code, chosen.opened)


def _looks_like_code(lines: list[str], fence: re.Match[str]) -> bool:
    """Tell whether what comes before a bare fence is code whose opening fence the text does not hold."""
    return not fence[2] and any(_STARTS.match(line) for line in lines)


def _is_body(text: str) -> bool:
    """Tell whether a text is the inside of a function: its first line of code is indented."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return first[:1] in (" ", "\t")


def _without_demo(program: str, entry_point: str) -> str:
    """Return a program without assertions and prints at column 0 after the function: they only check or show."""
    start = program.find(f"def {entry_point}")
    if start < 0 or not (_DEMO_LINE.search(program, start)):
        return program
    kept: list[str] = []
    inside, first, dropping = _inside_strings(program), program.count("\n", 0, start), False
    for at, line in enumerate(_lines(program)):
        if at > first and at not in inside and line[:1].strip() and line[0] not in ")]}":
            dropping = bool(_DEMO.match(line))
        if not dropping:
            kept.append(line)
    return "".join(kept)


def _indented(text: str) -> str:
    """Return a function's body that lost the indentation of its first line, or of all, with it."""
    lines = _lines(text)
    first = next((at for at, line in enumerate(lines) if line.strip()), None)
    if first is None or lines[first][0] in " \t" or _STARTS.match(lines[first]):
        return text
    later = [line for line in lines[first + 1 :] if line.strip()]
    # Under a line that opens a block, only what is deeper than a body kept its place.
    opens = lines[first].rstrip().endswith(":")
    if later and later[0][0] in " \t" and (not opens or len(later[0]) - len(later[0].lstrip()) > _LEVEL):
        lines[first] = "    " + lines[first]
        return "".join(lines)
    return "".join(f"    {line}" if line.strip() else line for line in lines)


def _from_first_definition(program: str) -> str:
    """Return a text from its first line at column 0 on that begins as a program does."""
    at = 0
    for line in _lines(program):
        if _STARTS.match(line) and not _PROSE.match(line):
            return program[at:]
        at += len(line)
    return program


def _inside_strings(text: str) -> set[int]:
    """Return the numbers, from 0, of lines that begin inside a string of three quotes."""
    inside: set[int] = set()
    at, line = 0, 0
    counted = 0
    while (match := _LITERAL.search(text, at)) is not None:
        at = match.end()
        if match[0] in ('"""', "'''"):
            end = _closing(text, at, match[0])
            line += text.count("\n", counted, at)
            spanned = text.count("\n", at, end)
            inside.update(range(line + 1, line + spanned + 1))
            counted = at
            at = end
    return inside


def _closing(text: str, at: int, quote: str) -> int:
    """Return where a string of three quotes that began before ``at`` is over."""
    while (end := text.find(quote, at)) >= 0:
        escapes = 0
        while end - escapes > at and text[end - escapes - 1] == "\\":
            escapes += 1
        if escapes % 2 == 0:
            return end + len(quote)
        at = end + 1
    return len(text)


def _lines(text: str) -> list[str]:
    """Split as Python counts lines: a form feed, or a separator of paragraphs within a string, ends none."""
    return _LINE.findall(text)


def _step(steps: list[str], name: str, before: str, after: str) -> str:
    """Note a step that changed something; return what it made."""
    if after != before:
        steps.append(name)
    return after
