"""Mutants of what a program does with calls, filters and slices: for code that has no operator or number to change.

Where :mod:`trimtab.codeeval.mutate` replaces one token, these take a part of an expression away: a call is replaced by
its first argument, a method by its object, a slice by the whole, a comprehension loses its filter, a call a keyword, a
text its content, an ``if`` is turned round, a statement that changes something is left out. The rest of the text stays
as it is. Most of two-line solutions, as MBPP has them, is made of these (arXiv 2412.21199's base problems).
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from trimtab.sandbox import source

if TYPE_CHECKING:
    from collections.abc import Iterator

_SWAPS: Final = {"In": "not in", "NotIn": "in", "Is": "is not", "IsNot": "is"}

Change = tuple[ast.AST, ast.AST | None, str]


def mutants(prompt: str, solution: str, *, limit: int = 8) -> list[str]:
    """Return at most ``limit`` mutants of ``solution``, spread evenly over its text; the same ones every time.

    Args:
        prompt: What comes before the solution; never mutated.
        solution: The text to mutate; ``prompt + solution`` is a program, else there are none.
        limit: How many to return at most.
    """
    try:
        tree = source.parse(prompt + solution)
    except SyntaxError:
        return []
    text = (prompt + solution).encode()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    first = len(prompt.encode())
    programs = [_changed(text, starts, change) for change in _changes(tree) if _span(starts, change[0])[0] >= first]
    texts = [made for made in dict.fromkeys(new[first:].decode() for new in programs) if source.parses(prompt + made)]
    step = max(1, -(-len(texts) // limit)) if limit > 0 else 1
    return texts[::step][: max(0, limit)]


def _changes(tree: ast.Module) -> Iterator[Change]:
    """Yield, in the order of the text, a part to replace, the part that takes its place, and words around that part."""
    nodes = list(ast.walk(tree))
    modules = {alias.asname or alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names}
    statements = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    calls = [node for node in nodes if isinstance(node, ast.Call) and id(node) not in statements]
    texts = [n for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in statements]
    changes = [change for node in nodes for change in _of(node)]
    changes += [change for node in calls for change in _of_call(node, modules)]
    changes += [(node, None, "''" if node.value else "'x'") for node in texts]
    yield from sorted(changes, key=lambda change: (change[0].lineno, change[0].col_offset))  # type: ignore[attr-defined]


def _of(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Subscript(value=inner, slice=ast.Slice()):
            yield node, inner, "{}"
        case ast.If(test=test) | ast.IfExp(test=test):
            yield test, test, "(not ({}))"
        case ast.Compare(ops=[op], left=left, comparators=[right]) if type(op).__name__ in _SWAPS:
            yield node, None, f"({ast.unparse(left)} {_SWAPS[type(op).__name__]} {ast.unparse(right)})"
        case ast.AugAssign() | ast.Continue() | ast.Break() | ast.Expr(value=ast.Call()):
            yield node, None, "pass"
        case ast.comprehension(ifs=tests):
            yield from ((test, None, "True") for test in tests)


def _of_call(node: ast.Call, modules: set[str]) -> Iterator[Change]:
    """Yield a call's object or first argument in its place, and the call without each of its keywords."""
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    if owner is not None and not (isinstance(owner, ast.Name) and owner.id in modules):
        yield node, owner, "{}"
    elif node.args and not isinstance(node.args[0], ast.Starred):
        yield node, node.args[0], "({})"
    yield from ((node, None, _without(node, at)) for at in range(len(node.keywords)))


def _without(call: ast.Call, at: int) -> str:
    keywords = [keyword for number, keyword in enumerate(call.keywords) if number != at]
    return ast.unparse(ast.Call(func=call.func, args=call.args, keywords=keywords))


def _span(starts: list[int], node: ast.AST) -> tuple[int, int]:
    """Return where a part begins and ends, in bytes."""
    begin = starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
    return begin, starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]


def _changed(text: bytes, starts: list[int], change: Change) -> bytes:
    old, new, words = change
    begin, end = _span(starts, old)
    inner = b""
    if new is not None:
        start, stop = _span(starts, new)
        inner = text[start:stop]
    before, _, after = words.partition("{}")
    return text[:begin] + before.encode() + inner + after.encode() + text[end:]
