"""Imports and helpers that a program uses and does not have: from the problem's own prompt, or from a fixed list.

Names are found by scanning, not by parsing, so one may be supplied that is not needed; that changes nothing a program
computes. Nothing is supplied that the program binds itself.
"""

from __future__ import annotations

import ast
import functools
import re
from typing import Final

from trimtab.codeeval import python_scan
from trimtab.sandbox import source

_MODULES: Final = (
    "bisect", "cmath", "collections", "copy", "datetime", "functools", "hashlib", "heapq", "itertools", "json", "math",
    "operator", "random", "re", "statistics", "string", "sys", "time",
)  # fmt: skip
_NAMES: Final = {
    "typing": ("Any", "Callable", "Deque", "Dict", "FrozenSet", "Generator", "Iterable", "Iterator", "List", "Optional",
               "Sequence", "Set", "Tuple", "Union"),
    "collections": ("Counter", "OrderedDict", "defaultdict", "deque"),
    "functools": ("cmp_to_key", "lru_cache", "reduce"),
    "itertools": ("accumulate", "chain", "combinations", "groupby", "permutations", "product", "zip_longest"),
}  # fmt: skip
_WORD: Final = re.compile(r"(?<![\w.])([A-Za-z_]\w*)(\s*=(?!=))?")
_AS_MODULE: Final = re.compile(r"(?<![\w.])([a-z]+)\.[A-Za-z_]")
_BOUND: Final = re.compile(r"(?<![\w.])(?:def|class|as|for|global)[ \t]+([A-Za-z_]\w*)")
_IMPORT: Final = re.compile(
    r"^[ \t]*(?:from[ \t]+[\w.]+[ \t]+)?import[ \t]+(?:\(([^)]{0,4000})\)|([^\n;]*))", re.MULTILINE
)
_FROM: Final = {name: module for module, names in _NAMES.items() for name in names}


def supply(program: str, prompt: str) -> str:
    """Return a program with the imports, and the prompt's helpers, that it uses and lacks put before it."""
    bound = _bound(program)
    used = {match[1] for match in _WORD.finditer(program)} - bound
    lines = [part for name, part in preamble(prompt) if name in used]
    given = {name for name, _ in preamble(prompt)}
    modules = {match[1] for match in _AS_MODULE.finditer(program)} - bound - given
    lines += [f"import {name}" for name in _MODULES if name in modules]
    lines += [f"from {module} import {name}" for name, module in _FROM.items() if name in used - given]
    return python_scan.with_before("".join(f"{line}\n" for line in dict.fromkeys(lines)), program)


def _bound(program: str) -> set[str]:
    """Return the names a program seems to bind."""
    names = {match[1] for match in _BOUND.finditer(program)}
    names |= {match[1] for match in _WORD.finditer(program) if match[2]}
    for match in _IMPORT.finditer(program):
        for part in (match[1] or match[2] or "").split(","):
            names.add(part.split(" as ")[-1].strip().partition(".")[0])
    return names


@functools.lru_cache(maxsize=4096)
def preamble(prompt: str) -> tuple[tuple[str, str], ...]:
    """Return what a prompt has before the function it asks for: pairs of a name and the source that binds it.

    The function itself, the last one, is left out; a prompt may end with its bare header.
    """
    for text in (prompt, f"{prompt.rstrip()}\n    pass\n"):
        try:
            body = source.parse(text).body
        except SyntaxError:
            continue
        if body and isinstance(body[-1], ast.FunctionDef | ast.AsyncFunctionDef):
            body = body[:-1]
        return tuple((name, ast.unparse(node)) for node in body for name in _names(node))
    return ()


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]
