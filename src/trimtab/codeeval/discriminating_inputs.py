"""Which inputs a generated test should try: those that tell a solution from stubs and near misses.

A few random inputs let wrong programs pass (``[x for x in xs if x > 9]`` is ``[]`` on most short lists). Here a pool is
gone through in order, and an input is kept if it refutes a wrong function that is still standing. A wrong function that
agrees with the right one on the whole pool is taken to be right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval import mutate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Arguments = tuple[list[Any], ...]

# The shared battery of lazy answers, as functions.
STUBS: Final[tuple[Callable[..., Any], ...]] = tuple(
    eval(f"lambda *arguments: {text}", {})  # noqa: S307 - our own expressions
    for text in mutate.STUBS
)


def choose(
    right: Callable[..., Any], wrong: Sequence[Callable[..., Any]], pool: Sequence[Arguments], count: int
) -> list[Arguments]:
    """Return ``count`` of ``pool``, or more where it takes more to refute all of ``wrong`` that can be refuted.

    Args:
        right: The reference; must not raise on the pool.
        wrong: Functions to refute; raising counts as refuted.
        pool: Arguments to choose from, the most telling first.
        count: How many to return at least.
    """
    standing, chosen, idle = list(wrong), list[Arguments](), list[Arguments]()
    for arguments in pool:
        value = right(*arguments)
        left = [function for function in standing if _agrees(function, arguments, value)]
        (chosen if len(left) < len(standing) else idle).append(arguments)
        standing = left
    # What remains to be filled: first what gives a result not seen yet, because many results are [] or 0.
    seen = {repr(right(*arguments)) for arguments in chosen}
    for fresh in (True, False):
        for arguments in list(idle):
            result = repr(right(*arguments))
            if len(chosen) < count and (result not in seen or not fresh):
                seen.add(result)
                chosen.append(arguments)
                idle.remove(arguments)
    return chosen


def differ(right: Callable[..., Any], other: Callable[..., Any], pool: Sequence[Arguments]) -> bool:
    """Tell whether any arguments of ``pool`` refute ``other``."""
    return any(not _agrees(other, arguments, right(*arguments)) for arguments in pool)


def check(right: Callable[..., Any], chosen: Sequence[Arguments]) -> str:
    """Return the source of ``check(candidate)``: literal arguments, literal results."""
    lines = [
        f"    assert candidate({', '.join(map(repr, arguments))}) == {right(*arguments)!r}\n" for arguments in chosen
    ]
    return "def check(candidate):\n" + "".join(lines)


def _agrees(function: Callable[..., Any], arguments: Arguments, value: object) -> bool:
    try:
        return bool(function(*arguments) == value)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return False
