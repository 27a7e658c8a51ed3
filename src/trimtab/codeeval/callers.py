"""The second functions of *micro-pro*: each calls a base function that the prompt has shown.

A caller fits bases that return lists or bases that return numbers. Its code is one expression over ``{f}``, the base,
and its own arguments, so that what is asked is to see the call, not to write a second program.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A way to call a base function ``f``.

    Attributes:
        name: Unique among callers.
        code: The expression it returns; ``{f}`` is the base.
        arguments: ``("rows",)`` for a list of lists, ``("a", "b")`` for two lists, ``("xs",)`` for one.
        phrases: Imperative English, interchangeable; ``{f}`` is the base.
        folds: True when the base must return a number, False when it must return a list.
    """

    name: str
    code: str
    arguments: tuple[str, ...]
    phrases: tuple[str, ...]
    folds: bool


def _caller(name: str, code: str, arguments: str, *phrases: str, folds: bool) -> Caller:
    return Caller(name=name, code=code, arguments=tuple(arguments.split()), phrases=phrases, folds=folds)


CALLERS: Final = (
    _caller("each number", "[{f}(row) for row in rows]", "rows",
            "apply {f} to each row", "collect {f} of every row", folds=True),
    _caller("total", "sum({f}(row) for row in rows)", "rows",
            "add up {f} over the rows", "return the total of {f} over all rows", folds=True),
    _caller("best", "max([{f}(row) for row in rows], default=0)", "rows",
            "return the largest {f} of any row", "find the maximum of {f} over the rows", folds=True),
    _caller("order", "sorted(rows, key={f})", "rows",
            "sort the rows by {f}", "put the rows in ascending order of {f}", folds=True),
    _caller("positive", "[row for row in rows if {f}(row) > 0]", "rows",
            "keep the rows whose {f} is positive", "select rows with {f} above zero", folds=True),
    _caller("compare", "{f}(a) > {f}(b)", "a b",
            "check if {f} of a is greater than {f} of b", "tell whether a beats b by {f}", folds=True),
    _caller("difference", "{f}(a) - {f}(b)", "a b",
            "subtract {f} of b from {f} of a", "return {f} of a minus {f} of b", folds=True),
    _caller("joint", "{f}(a + b)", "a b",
            "apply {f} to a and b joined", "return {f} of a followed by b", folds=True),
    _caller("each list", "[{f}(row) for row in rows]", "rows",
            "apply {f} to each row", "collect {f} of every row", folds=False),
    _caller("flat", "[x for row in rows for x in {f}(row)]", "rows",
            "join {f} of all rows into one list", "apply {f} to each row and flatten", folds=False),
    _caller("twice", "{f}({f}(xs))", "xs", "apply {f} twice", "return {f} of {f} of the list", folds=False),
    _caller("backward", "{f}(xs[::-1])", "xs",
            "apply {f} to the reversed list", "reverse the list, then apply {f}", folds=False),
    _caller("size", "len({f}(xs))", "xs", "return the length of {f}", "count the items {f} returns", folds=False),
    _caller("join", "{f}(a) + {f}(b)", "a b",
            "join {f} of a and {f} of b", "return {f} of a followed by {f} of b", folds=False),
    _caller("same", "{f}(a) == {f}(b)", "a b",
            "check if {f} of a equals {f} of b", "tell whether {f} gives the same for a and b", folds=False),
)  # fmt: skip


@cache
def _compiled(caller: Caller) -> Callable[..., Any]:
    code = f"lambda f: lambda {', '.join(caller.arguments)}: {caller.code.format(f='f')}"
    maker: Callable[..., Any] = eval(code, {})  # noqa: S307 - our own expressions, of the table above
    return maker


def bind(caller: Caller, base: Callable[[list[int]], Any]) -> Callable[..., Any]:
    """Return the second function, calling ``base``."""
    bound: Callable[..., Any] = _compiled(caller)(base)
    return bound
