"""Which installed packages the programs of some problems need, found from the problems' own texts.

No problem of HumanEval, MBPP or their self-invoking sets needs any; BigCodeBench's mostly do. Nothing is imported here.
What a package needs itself goes with it, by the metadata it was installed with. A package that is not installed is left
out, and then the problem's reference fails, which makes the problem unsound.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Final

from trimtab.sandbox import source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trimtab.codeeval.problem import Problem

_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*")
_IMPORTING: Final = re.compile(r"\bfrom[ \t]+([\w.]+)[ \t]+import\b|\bimport[ \t]+([\w., \t]+)")


def packages(problems: Iterable[Problem]) -> tuple[str, ...]:
    """Return the import names of installed packages that references and tests import, and of what those need."""
    texts = {text for problem in problems for text in (problem.prompt + problem.canonical_solution, problem.test)}
    return needed(name for text in texts for name in _imported(text) if _installed(name))


def needed(names: Iterable[str]) -> tuple[str, ...]:
    """Return the import names of packages and of what those need, as far as that is installed."""
    closed: dict[str, None] = {}
    waiting = sorted(set(names) - sys.stdlib_module_names)
    while waiting:
        name = waiting.pop()
        if name not in closed:
            closed[name] = None
            waiting += filter(_installed, _needed(name))
    return tuple(sorted(closed))


def _imported(text: str) -> set[str]:
    lists = [match[1] or match[2] for match in _IMPORTING.finditer(text)]
    words = {name.strip().partition(".")[0].partition(" ")[0] for names in lists for name in names.split(",")}
    if words <= sys.stdlib_module_names and "\\\n" not in text:
        return set()  # what lines seem to import includes whatever statements do
    try:
        nodes = list(ast.walk(source.parse(text)))
    except SyntaxError:
        return set()
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in plain | named}


def _installed(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


@functools.cache
def _modules() -> Mapping[str, Sequence[str]]:
    """Top-level modules of each distribution, by its normalized name."""
    modules: dict[str, list[str]] = {}
    for module, distributions in importlib.metadata.packages_distributions().items():
        for distribution in distributions:
            modules.setdefault(_normal(distribution), []).append(module)
    return modules


def _needed(name: str) -> list[str]:
    """Return modules of what a module's distribution requires without any extra."""
    try:
        if not importlib.metadata.requires(name):
            return []  # most are called like their distribution, and looking for the others reads all that is installed
    except importlib.metadata.PackageNotFoundError:
        pass
    distributions = importlib.metadata.packages_distributions().get(name, [])
    requirements = [line for distribution in distributions for line in importlib.metadata.requires(distribution) or []]
    plain = [match[0] for line in requirements if "extra ==" not in line and (match := _NAME.match(line))]
    return [module for distribution in plain for module in _modules().get(_normal(distribution), [])]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
