"""The second functions of *micro-pro*: each calls a base function that the prompt has shown.

A *caller* is a way to call the base, one expression over ``{f}`` and its own arguments. Where it gives a flat list, one
primitive of the grammar may follow; which primitive may follow which caller is split between training and test too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval.grammar import Grammar, Instance, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable

_HELD_OUT: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A way to call a base function ``f``.

    Attributes:
        name: Unique among callers.
        code: The expression; ``{f}`` is the base.
        arguments: ``("rows",)`` for a list of lists, ``("a", "b")`` for two lists, ``("xs",)`` for one.
        phrases: Imperative English, interchangeable; ``{f}`` is the base.
        folds: True when the base must return a number, False when it must return a list.
        flat: Whether it gives a list of numbers, so that a primitive may follow.
    """

    name: str
    code: str
    arguments: tuple[str, ...]
    phrases: tuple[str, ...]
    folds: bool
    flat: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerForm:
    """A caller and what follows it: nothing, or one primitive with its constant."""

    caller: Caller
    after: Instance = ()

    def bind(self, base: Callable[[list[int]], Any]) -> Callable[..., Any]:
        """Return the second function, calling ``base``."""
        called, after = _compiled(self.caller)(base), self.after
        return lambda *given: evaluate(after, called(*given))


def _caller(code: str, arguments: str, *phrases: str, folds: bool, flat: bool = False) -> Caller:
    named = tuple(arguments.split())
    return Caller(name=phrases[0], code=code, arguments=named, phrases=phrases, folds=folds, flat=flat)


CALLERS: Final = (
    _caller("[{f}(row) for row in rows]", "rows",
            "apply {f} to each row", "collect {f} of every row", folds=True, flat=True),
    _caller("[{f}(xs), {f}(xs[::-1])]", "xs",
            "list {f} of the items and of the reversed items", "apply {f} forward and backward", folds=True, flat=True),
    _caller("sorted(rows, key={f})", "rows",
            "sort the rows by {f}", "put the rows in ascending order of {f}", folds=True),
    _caller("[row for row in rows if {f}(row) > 0]", "rows",
            "keep the rows whose {f} is positive", "select rows with {f} above zero", folds=True),
    _caller("{f}(a) > {f}(b)", "a b",
            "check if {f} of a is greater than {f} of b", "tell whether a beats b by {f}", folds=True),
    _caller("{f}(a) - {f}(b)", "a b",
            "subtract {f} of b from {f} of a", "return {f} of a minus {f} of b", folds=True),
    _caller("{f}(a + b)", "a b", "apply {f} to a and b joined", "return {f} of a followed by b", folds=True),
    _caller("[x for row in rows for x in {f}(row)]", "rows",
            "join {f} of all rows", "apply {f} to each row and flatten", folds=False, flat=True),
    _caller("{f}({f}(xs))", "xs", "apply {f} twice", "use {f} two times in a row", folds=False, flat=True),
    _caller("{f}(xs[::-1])", "xs",
            "apply {f} to the reversed items", "go backward through {f}", folds=False, flat=True),
    _caller("{f}(a) + {f}(b)", "a b",
            "join {f} of a and {f} of b", "put {f} of b after {f} of a", folds=False, flat=True),
    _caller("[{f}(row) for row in rows]", "rows", "apply {f} to each list", "collect {f} of every list", folds=False),
    _caller("{f}(a) == {f}(b)", "a b",
            "check if {f} of a equals {f} of b", "tell whether {f} is the same for a and b", folds=False),
)  # fmt: skip


@cache
def followers(caller: Caller, grammar: Grammar, *, held_out: bool) -> tuple[str, ...]:
    """Return the primitives that may follow a caller in the test, or in training; never the same."""
    draws = {name: hashlib.sha256(f"{caller.name} {name}".encode()).digest()[0] for name in grammar.primitives}
    return tuple(name for name, draw in draws.items() if caller.flat and (draw < 256 * _HELD_OUT) is held_out)


@cache
def _compiled(caller: Caller) -> Callable[..., Any]:
    code = f"lambda f: lambda {', '.join(caller.arguments)}: {caller.code.format(f='f')}"
    maker: Callable[..., Any] = eval(code, {})  # noqa: S307 - our own expressions, of the table above
    return maker
