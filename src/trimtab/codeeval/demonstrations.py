"""What a program does at column 0 that its function does not need: demonstrations, checks, questions to a user.

Decisions: definitions stay, so does what the tested function uses or what changes that; of the rest a statement goes,
and an import of a package that nothing left uses. A demonstration that raises, reads input, ends the process or needs a
package then undoes no right function. Before the function only what reads input or calls the function goes: a program
that ends itself there never defines the function, and without that line it would be another program. Nothing that the
function computes changes, as far as names tell (:mod:`trimtab.codeeval.python_scan`); where a program looks names up by
their text, only what checks or shows goes.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

from trimtab.codeeval import code_blocks, python_scan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trimtab.codeeval.python_scan import TopStatement

_SHOWS: Final = re.compile(
    r"(?<![\w.])(?:assert\b|raise\b|(?:print|pprint|display|input|exit|quit|breakpoint|main)[ \t]*\("
    r"|(?:sys\.(?:exit|stdin|stdout)|os\._exit|unittest\.main|doctest\.testmod)\b)"
)
_ASKS: Final = re.compile(r"(?<![\w.])input[ \t]*\(|\bsys\.stdin\b")
_WORD_ALONE: Final = re.compile(r"\w+\s*\Z")  # such as the language that a fence said
_PACKAGE: Final = re.compile(r"^(?:import|from)[ \t]+(\w+)", re.MULTILINE)
_PERHAPS: Final = re.compile(
    r"^(?!(?:def|class|async|import|from)[ \t]|[ \t\r\n#@)\]}])[^\n]|^(?:im|fr)[^\n]*;", re.MULTILINE
)
_GUARD: Final = re.compile(r"if[ \t]*\(?[ \t]*__name__\b")
_NOTHING: Final = re.compile(r"(?:pass\b|\.\.\.)?\s*\Z")
# Modules whose settings reach every function of a process, whether it names them or not.
_REACHES_ALL: Final = frozenset(
    {"builtins", "decimal", "gc", "locale", "random", "resource", "sys", "threading", "warnings"}
)
_CALLED: Final = re.compile(r"([A-Za-z_]\w*)[ \t]*\(")
_HANDED: Final = re.compile(r"(?<![\w.])([A-Za-z_]\w*)\b(?![ \t]*\()")  # a name that is not called itself
_BY_TEXT: Final = re.compile(r"(?<![\w.])(?:globals|eval|exec)[ \t]*\(")


def without(program: str, entry_point: str) -> str:
    """Return a program without the statements at column 0 that its function does not need.

    Args:
        program: Its text.
        entry_point: The function; a program that does not define it at column 0 is returned as it is.
    """
    if not _PERHAPS.search(program) and all(name in sys.stdlib_module_names for name in _PACKAGE.findall(program)):
        return program  # nothing but definitions and imports, as most programs are
    every = python_scan.statements(program)
    defines = code_blocks.definition(entry_point)
    own = [at for at, statement in enumerate(every) if defines.match(statement.head)]
    if not own:
        return program
    needed, by_text = _needed(every, own, entry_point)
    dropped = _demonstrations(every, own, needed, entry_point, by_text=by_text)
    if not by_text:
        dropped |= _idle_imports(every, needed, dropped)
    if not dropped:
        return program
    lines = python_scan.lines(program)
    gone = {line for at in dropped for line in range(every[at].first, every[at].after)}
    return "".join(line for number, line in enumerate(lines) if number not in gone)


def _demonstrations(
    every: Sequence[TopStatement], own: Sequence[int], needed: set[str], entry_point: str, *, by_text: bool
) -> set[int]:
    """Return the numbers of statements that are neither definitions nor imports and that the function does not need."""
    functions = {
        name: statement.code
        for statement in every
        for name in python_scan.defined(statement.head)
        if name not in needed
    }
    objects = _objects(every) - {entry_point}
    settable = {
        name
        for statement in every
        for name, module in python_scan.imported(statement.code).items()
        if module in _REACHES_ALL
    }
    calls = re.compile(rf"(?<![\w.])(?:{re.escape(entry_point)})[ \t]*\(")
    dropped: set[int] = set()
    for at, statement in enumerate(every):
        if not _loose(statement) or at in own:
            continue
        code = statement.code
        shows = bool(_SHOWS.search(code) or calls.search(code) or _calls_what_shows(code, functions, calls))
        if at < own[0]:
            asks = _ASKS.search(code) or calls.search(code) or _WORD_ALONE.match(code)
            drop = bool(asks) and not _changes(code, functions) & needed
        elif by_text:
            drop = shows
        else:
            changes = _changes(code, functions) if shows else _changes(code, functions) | _handed(code, objects)
            drop = not changes & needed and (shows or not _sets(statement, settable))
        if drop:
            dropped.add(at)
    return dropped


def _objects(every: Sequence[TopStatement]) -> set[str]:
    """Return the names that are bound to values and classes, which whoever gets them may change."""
    names: set[str] = set()
    for statement in every:
        if statement.head.startswith("class"):
            names |= python_scan.defined(statement.head)
        elif not python_scan.DEFINES.match(statement.head):
            names |= python_scan.assigned(statement.code)
    return names


def _handed(code: str, objects: set[str]) -> set[str]:
    """Return the objects that a statement hands to something else, or asks to do something: either may change them."""
    return objects & set(_HANDED.findall(code))


def _sets(statement: TopStatement, settable: set[str]) -> bool:
    """Tell whether a statement sets something that reaches every function, as ``sys.setrecursionlimit`` does."""
    call = _CALLED.match(statement.head)
    return bool((python_scan.changed(statement.head) | {call[1] if call else ""}) & settable)


def _idle_imports(every: Sequence[TopStatement], needed: set[str], dropped: set[int]) -> set[int]:
    """Return the numbers of imports, of packages beside the standard library, that only a demonstration uses.

    With them go decorated definitions that the function does not need and that use such an import, as tests do.
    """
    bound = {
        at: python_scan.imported(statement.code).keys() - {"*"}
        for at, statement in enumerate(every)
        if at not in dropped and (match := _PACKAGE.match(statement.head)) and match[1] not in sys.stdlib_module_names
    }
    idle = {at: names for at, names in bound.items() if names and not names & needed}
    if not idle:
        return set()
    names = set[str]().union(*idle.values())
    rest = [at for at in range(len(every)) if at not in dropped and at not in idle]
    tests = {
        at
        for at in rest
        if every[at].code.startswith("@")
        and python_scan.used(every[at].code) & names
        and not python_scan.defined(every[at].head) & needed
    }
    used = set[str]().union(*(python_scan.used(every[at].code) for at in rest if at not in tests))
    return tests | {at for at, bound_here in idle.items() if not bound_here & used}


def _loose(statement: TopStatement) -> bool:
    """Tell whether a statement is neither a definition nor an import, a guard that never runs, or nothing at all."""
    head = statement.head
    if python_scan.DEFINES.match(head) and head.startswith(("import", "from")) and ";" in head:
        return True
    return not (python_scan.DEFINES.match(head) or _GUARD.match(head) or _NOTHING.match(statement.code))


def _needed(every: Sequence[TopStatement], own: Sequence[int], entry_point: str) -> tuple[set[str], bool]:
    """Return the names that a function uses, by way of others too, and its own; and whether it looks any up by text."""
    binding: dict[str, list[str]] = {}
    for statement in every:
        names = python_scan.defined(statement.head) or python_scan.assigned(statement.code)
        for name in names:
            binding.setdefault(name, []).append(statement.code)
    needed, waiting = {entry_point}, [every[at].code for at in own]
    by_text = False
    while waiting:
        code = waiting.pop()
        by_text = by_text or _BY_TEXT.search(code) is not None
        for name in python_scan.outer_names(code) - needed:
            needed.add(name)
            waiting += binding.pop(name, [])
    return needed, by_text


def _changes(code: str, functions: Mapping[str, str]) -> set[str]:
    """Return the names that a statement binds, or whose object it may change, itself or through functions it calls."""
    names = python_scan.assigned(code) | python_scan.changed(code)
    for name in python_scan.used(code) & functions.keys():
        names |= python_scan.effects(functions[name])
    return names


def _calls_what_shows(code: str, functions: Mapping[str, str], calls: re.Pattern[str]) -> bool:
    return any(
        _SHOWS.search(functions[name]) or calls.search(functions[name])
        for name in python_scan.used(code) & functions.keys()
    )
