"""From what a model wrote to a program, when the text as it stands is not one.

Decisions: text that is a program is never touched, so no transformation turns a right answer wrong; a completion that
is a syntax error is cut where it leaves the function it was continuing, which is what stop strings do for models that
have them; untrusted text is never parsed here, only split into tokens (a deep enough expression can bring down the
parser, and with it the process), so whether the rest is a program is for the sandbox to find out. Linear in the length.
"""

from __future__ import annotations

import tokenize
from typing import Final

_LAYOUT: Final = (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT)


def cut(prompt: str, completion: str) -> str | None:
    """Return ``completion`` without what follows the prompt's function; None when there is nothing to cut, or no rest.

    The end is the first line at column 0 that neither continues a bracket or a string nor is a comment, or the line
    from which on the text cannot be split into tokens.
    """
    lines = (prompt + completion).splitlines(keepends=True)
    end = sum(map(len, lines[: _end(lines, prompt.count("\n") + 1) - 1])) - len(prompt)
    kept = completion[: max(0, end)]
    return kept if kept.strip() and kept != completion else None


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
