"""From what a model wrote to a program; every step taken is named.

Decisions: text that already parses is never touched, so no transformation can turn a right answer wrong; a completion
that does not parse is cut where it leaves the function it was continuing, which is what stop strings do for models that
have them. Linear in the length of the text.
"""

from __future__ import annotations

import io
import tokenize
from dataclasses import dataclass

from trimtab.sandbox import source


@dataclass(frozen=True, slots=True)
class Extracted:
    """The completion to run, and the names of the steps that made it: "cut" or none."""

    completion: str
    steps: tuple[str, ...] = ()


def extract(prompt: str, completion: str) -> Extracted:
    """Return ``completion`` such that ``prompt + completion`` is a program, if cutting its tail makes it one."""
    if _parses(prompt + completion):
        return Extracted(completion)
    end = _body_end(prompt, completion)
    if 0 < end < len(completion) and _parses(prompt + completion[:end]):
        return Extracted(completion[:end], ("cut",))
    return Extracted(completion)


def _parses(program: str) -> bool:
    try:
        source.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _body_end(prompt: str, completion: str) -> int:
    """Return where in ``completion`` the first line at column 0 begins that is not inside the prompt's function."""
    lines = (prompt + completion).splitlines(keepends=True)
    first = prompt.count("\n") + 1
    starts_line = True
    try:
        for token in tokenize.generate_tokens(io.StringIO("".join(lines)).readline):
            if token.type in (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
                starts_line = starts_line or token.type == tokenize.NEWLINE
                continue
            if starts_line and token.start[1] == 0 and token.start[0] > first and token.type != tokenize.COMMENT:
                return _offset(lines, token.start[0]) - len(prompt)
            starts_line = False
    except IndentationError:
        return len(completion)  # a line that fits no level does not leave the function
    except (tokenize.TokenError, SyntaxError) as error:
        return _offset(lines, _last_line(error)) - len(prompt)
    return len(completion)


def _last_line(error: Exception) -> int:
    """Return the line a tokenizer's error begins at: what comes before it is whole."""
    if isinstance(error, SyntaxError):
        return error.lineno or 1
    return int(error.args[1][0])


def _offset(lines: list[str], number: int) -> int:
    return sum(map(len, lines[: number - 1]))
