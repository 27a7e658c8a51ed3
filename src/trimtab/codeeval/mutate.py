"""Wrong versions of a right program: what a lazy model writes, and mutants.

Tests that let a stub or many mutants pass measure little; and a model can be asked whether it finds a mutant likelier.

One token is replaced at a time, so formatting and length stay as they were and likelihoods compare fairly. Mutants are
syntactically valid; that they are semantically wrong is likely, not proven (a flipped bound may never matter).
"""

from __future__ import annotations

import builtins
import io
import keyword
import tokenize
from typing import Final

from trimtab.sandbox import source

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
    tokens = _placed(prompt, solution)
    return _spread(prompt, solution, [(at, token.string, new) for at, token in tokens if (new := _swap(token))], limit)


def misnamed(prompt: str, solution: str, *, limit: int = 8) -> list[str]:
    """Return at most ``limit`` texts in which one variable stands for another: for solutions without an operator.

    Args:
        prompt: What comes before the solution.
        solution: The text to change; ``prompt + solution`` is a program.
        limit: How many to return at most.
    """
    tokens = _placed(prompt, solution)
    names = [name if _is_variable(before, token, after) else "" for before, token, after, name in _neighbours(tokens)]
    known = sorted({name for name in names if name})
    changes = [
        (at, name, known[(known.index(name) + 1) % len(known)])
        for (at, _), name in zip(tokens, names, strict=True)
        if name and len(known) > 1
    ]
    return _spread(prompt, solution, changes, limit)


def _neighbours(tokens: list[tuple[int, tokenize.TokenInfo]]) -> list[tuple[str, tokenize.TokenInfo, str, str]]:
    """Return each token with the text before and after it, and its own."""
    texts = ["", *(token.string for _, token in tokens), ""]
    return [(texts[n], token, texts[n + 2], token.string) for n, (_, token) in enumerate(tokens)]


def _is_variable(before: str, token: tokenize.TokenInfo, after: str) -> bool:
    """Tell whether a token reads a variable, by what stands around it: no attribute, no call, no target."""
    known = keyword.iskeyword(token.string) or hasattr(builtins, token.string)
    target = before in {".", "for", "def", "as", "import", "lambda"} or after in {"=", "(", ":="}
    return token.type == tokenize.NAME and not known and not target


def _spread(prompt: str, solution: str, changes: list[tuple[int, str, str]], limit: int) -> list[str]:
    """Return what the changes (position, old, new) make, those that are programs, at most ``limit``, evenly spread."""
    made = [solution[:at] + new + solution[at + len(old) :] for at, old, new in changes]
    programs = [text for text in made if source.parses(prompt + text)]
    step = max(1, -(-len(programs) // limit))
    return programs[::step][:limit]


def _placed(prompt: str, solution: str) -> list[tuple[int, tokenize.TokenInfo]]:
    """Return the tokens of the solution, each with its position there."""
    program = prompt + solution
    starts = [0]
    for line in program.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    placed = ((starts[token.start[0] - 1] + token.start[1] - len(prompt), token) for token in _tokens(program))
    return [(at, token) for at, token in placed if at >= 0]


def _tokens(program: str) -> list[tokenize.TokenInfo]:
    try:
        return list(tokenize.generate_tokens(io.StringIO(program).readline))
    except (tokenize.TokenError, SyntaxError):
        return []


def _swap(token: tokenize.TokenInfo) -> str | None:
    if token.type == tokenize.NUMBER and token.string.isdecimal():
        return str(int(token.string) + 1)
    return _SWAPS.get(token.string) if token.type in {tokenize.OP, tokenize.NAME} else None
