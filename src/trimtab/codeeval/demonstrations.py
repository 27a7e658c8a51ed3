"""What a program does at column 0 that its function does not need: demonstrations, checks, questions to a user.

Decisions: definitions and imports always stay, so does what the tested function uses or what changes that; of the rest
a statement goes. A demonstration that raises, reads input or ends the process then undoes no right function. Nothing
that the function computes changes, as far as names tell (:mod:`trimtab.codeeval.python_scan`); where a program looks
names up by their text, only what checks or shows goes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from trimtab.codeeval import code_blocks, python_scan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trimtab.codeeval.python_scan import Statement

_SHOWS: Final = re.compile(
    r"(?<![\w.])(?:assert\b|raise\b|(?:print|pprint|display|input|exit|quit|breakpoint|main)[ \t]*\("
    r"|(?:sys\.(?:exit|stdin|stdout)|os\._exit|unittest\.main|doctest\.testmod)\b)"
)
_ASKS: Final = re.compile(r"(?<![\w.])(?:input|exit|quit)[ \t]*\(|\bsys\.(?:exit|stdin)\b")
_WORD_ALONE: Final = re.compile(r"\w+\s*\Z")  # such as the language that a fence said
_GUARD: Final = re.compile(r"if[ \t]*\(?[ \t]*__name__\b")
_NOTHING: Final = re.compile(r"(?:pass\b|\.\.\.)?\s*\Z")
_BY_TEXT: Final = re.compile(r"(?<![\w.])(?:globals|eval|exec)[ \t]*\(")


def without(program: str, entry_point: str) -> str:
    """Return a program without the statements at column 0 that its function does not need.

    Args:
        program: Its text.
        entry_point: The function; a program that does not define it at column 0 is returned as it is.
    """
    every = python_scan.statements(program)
    defines = code_blocks.definition(entry_point)
    own = [at for at, statement in enumerate(every) if defines.match(statement.head)]
    if not own:
        return program
    loose = [at for at, statement in enumerate(every) if _loose(statement) and at not in own]
    if not loose:
        return program
    needed, by_text = _needed(every, own, entry_point)
    functions = {
        name: statement.code
        for statement in every
        for name in python_scan.defined(statement.head)
        if name not in needed
    }
    modules = {name for statement in every for name in python_scan.imported(statement.code)}
    calls = re.compile(rf"(?<![\w.])(?:{re.escape(entry_point)})[ \t]*\(")
    dropped: set[int] = set()
    for at in loose:
        code = every[at].code
        shows = bool(_SHOWS.search(code) or calls.search(code) or _calls_what_shows(code, functions, calls))
        if at < own[0]:
            asks = _ASKS.search(code) or calls.search(code) or _WORD_ALONE.match(code)
            drop = bool(asks) and not _changes(code, functions) & needed
        elif by_text:
            drop = shows
        else:
            setting = not shows and bool(python_scan.changed(every[at].head) & modules)
            drop = not setting and not _changes(code, functions) & needed
        if drop:
            dropped.add(at)
    if not dropped:
        return program
    lines = python_scan.lines(program)
    gone = {line for at in dropped for line in range(every[at].first, every[at].after)}
    return "".join(line for number, line in enumerate(lines) if number not in gone)


def _loose(statement: Statement) -> bool:
    """Tell whether a statement is neither a definition nor an import, a guard that never runs, or nothing at all."""
    head = statement.head
    return not (python_scan.DEFINES.match(head) or _GUARD.match(head) or _NOTHING.match(statement.code))


def _needed(every: Sequence[Statement], own: Sequence[int], entry_point: str) -> tuple[set[str], bool]:
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
