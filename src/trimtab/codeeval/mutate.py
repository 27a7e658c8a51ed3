"""Wrong versions of a right program: what a lazy model writes, and mutants.

Tests that let a stub or many mutants pass measure little; and a model can be asked whether it finds a mutant likelier.

One token is replaced at a time, so formatting and length stay as they were and likelihoods compare fairly. Mutants are
syntactically valid; that they are semantically wrong is likely, not proven (a flipped bound may never matter).
"""

from __future__ import annotations

import ast
import io
import tokenize
from typing import Final

_SWAPS: Final = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
    "+": "-", "-": "+", "*": "+", "//": "*", "%": "//", "+=": "-=", "-=": "+=",
    "and": "or", "or": "and", "True": "False", "False": "True", "min": "max", "max": "min",
}  # fmt: skip

# What a lazy or broken model returns whatever the task, over ``arguments``: none of these may pass any test.
STUBS: Final = ("None", "True", "False", "0", "1", "''", "[]", "arguments[0]")


def stub(name: str, expression: str) -> str:
    """Return a function that ignores its task: ``expression`` may look at ``arguments``."""
    return f"def {name}(*arguments):\n    return {expression}\n"


def mutants(prompt: str, solution: str, *, limit: int = 8) -> list[str]:
    """Return at most ``limit`` mutants of ``solution``, spread evenly over its text; the same ones every time.

    Args:
        prompt: What comes before the solution; never mutated.
        solution: The text to mutate; ``prompt + solution`` is a program.
        limit: How many to return at most.
    """
    found = []
    for start, end, text in _replacements(prompt, solution):
        mutant = solution[:start] + text + solution[end:]
        if _parses(prompt + mutant):
            found.append(mutant)
    step = max(1, -(-len(found) // limit))
    return found[::step][:limit]


def _replacements(prompt: str, solution: str) -> list[tuple[int, int, str]]:
    """Return (start, end, new text) within the solution for every token that has a swap."""
    program = prompt + solution
    starts = [0]
    for line in program.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    result = []
    for token in _tokens(program):
        start = starts[token.start[0] - 1] + token.start[1] - len(prompt)
        new = _swap(token)
        if start >= 0 and new is not None:
            result.append((start, start + len(token.string), new))
    return result


def _tokens(program: str) -> list[tokenize.TokenInfo]:
    try:
        return list(tokenize.generate_tokens(io.StringIO(program).readline))
    except (tokenize.TokenError, SyntaxError):
        return []


def _swap(token: tokenize.TokenInfo) -> str | None:
    if token.type == tokenize.NUMBER and token.string.isdecimal():
        return str(int(token.string) + 1)
    return _SWAPS.get(token.string) if token.type in {tokenize.OP, tokenize.NAME} else None


def _parses(program: str) -> bool:
    try:
        ast.parse(program)
    except SyntaxError:
        return False
    return True
