"""Tests that are nothing but literal assertions, turned into data that the broker can compare by itself.

``assert candidate(1, [2]) == 3`` needs no interpreter for the test: the call is data, the answer is data, and the
comparison is ours. Such a test costs one process less and cannot be tampered with even in principle. Decisions: an
assertion qualifies when it makes exactly one call of the program with literal arguments and compares the result
through a short list of harmless builtins; one assertion that does not qualify sends the whole test to a driver.
"""

# ruff: noqa: ANN401 - values of any type pass through here

from __future__ import annotations

import ast
import functools
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab.sandbox import codec, source

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_SIZE: Final = 1_000_000
_REMEMBERED: Final = 1 << 16  # characters of a test that is read once for all programs

_COMPARE: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_UNARY: Final[dict[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
# Not sum: fractions, lists, and numbers after a huge one cost it the square of their size.
_CALLS: Final[dict[str, Callable[..., Any]]] = {
    f.__name__: f for f in (abs, bool, float, frozenset, len, list, max, min, round, set, sorted, str, tuple)
}


class _NotLiteralError(Exception):
    """The test needs an interpreter."""


@dataclass(frozen=True, slots=True)
class Case:
    """One assertion: the call to make, and whether its result will do.

    Attributes:
        call: ``[name, encoded args, encoded kwargs]``, as the solution side reads it.
        holds: Whether the assertion holds for a result; raises what comparing raises, and CodecError when a confined
            process should compare.
        source: The assertion's text.
    """

    call: list[Any]
    holds: Callable[[Any], Any]
    source: str


def parse(test: str, entry_point: str) -> tuple[Case, ...] | None:
    """Return the assertions of a test in HumanEval's form, or None when it needs an interpreter.

    Args:
        test: Source that defines ``check(candidate)``.
        entry_point: The name under which the tests may also call the function.
    """
    return _remembered(test, entry_point) if len(test) <= _REMEMBERED else _cases(test, entry_point)


@functools.lru_cache(maxsize=4096)
def _remembered(test: str, entry_point: str) -> tuple[Case, ...] | None:
    return _cases(test, entry_point)


def _cases(test: str, entry_point: str) -> tuple[Case, ...] | None:
    try:
        tree = source.parse(test)
        body = _check_body(tree)
        cases = [_case(node, body[1], entry_point) for node in body[0]]
    except (_NotLiteralError, SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError):
        return None  # also what the test's own constants raise: at run time, it raises there
    parsed = tuple(case for case in cases if case is not None)
    return parsed or None


def _check_body(tree: ast.Module) -> tuple[list[ast.stmt], str]:
    """Return the statements of ``check`` and the name of its argument."""
    check: ast.FunctionDef | None = None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "check" and check is None and not node.decorator_list:
            check = node
        elif not (_is_docstring(node) or _is_metadata(node)):
            raise _NotLiteralError
    if check is None or len(check.args.args) != 1 or ast.dump(check.args).count("arg(") != 1:
        raise _NotLiteralError
    return check.body, check.args.args[0].arg


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_metadata(node: ast.stmt) -> bool:
    if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
        return False
    return node.targets[0].id == "METADATA"


def _case(node: ast.stmt, argument: str, entry_point: str) -> Case | None:
    if isinstance(node, ast.Pass) or _is_docstring(node):
        return None
    if not isinstance(node, ast.Assert):
        raise _NotLiteralError
    compiler = _Compiler({argument, entry_point}, entry_point)
    evaluate = compiler.compile(node.test)
    if not compiler.calls:
        if evaluate(None):
            return None
        raise _NotLiteralError
    return Case(call=compiler.calls[0], holds=evaluate, source=ast.unparse(node.test))


class _Compiler:
    """Turns an expression around one call into a function of the call's result."""

    def __init__(self, names: set[str], entry_point: str) -> None:
        self._names = names
        self._entry_point = entry_point
        self.calls: list[list[Any]] = []

    def compile(self, node: ast.expr) -> Callable[[Any], Any]:
        """Return ``result -> value of node``."""
        before = len(self.calls)
        evaluate = self._dispatch(node)
        if len(self.calls) > before:
            return evaluate
        constant = _bounded(evaluate(None))
        return lambda _: constant

    def _dispatch(self, node: ast.expr) -> Callable[[Any], Any]:  # noqa: PLR0911 - one case a kind of node
        match node:
            case ast.Constant():
                return lambda _: node.value
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                apply, inner = _UNARY[type(op)], self.compile(operand)
                return lambda result: apply(inner(result))
            case ast.Compare():
                return self._compare(node)
            case ast.BinOp():
                return self._arithmetic(node)
            case ast.List() | ast.Tuple() | ast.Set():
                return self._display(node)
            case ast.Dict():
                return self._dictionary(node)
            case ast.Call():
                return self._call(node)
        raise _NotLiteralError

    def _compare(self, node: ast.Compare) -> Callable[[Any], Any]:
        if any(type(op) not in _COMPARE for op in node.ops):
            raise _NotLiteralError
        parts = [self.compile(part) for part in (node.left, *node.comparators)]
        tests = [(_COMPARE[type(op)], a, b) for op, a, b in zip(node.ops, parts, parts[1:], strict=False)]
        return lambda result: all(test(a(result), b(result)) for test, a, b in tests)

    def _arithmetic(self, node: ast.BinOp) -> Callable[[Any], Any]:
        before = len(self.calls)
        left, right = self.compile(node.left), self.compile(node.right)
        if isinstance(node.op, ast.Sub):
            return lambda result: left(result) - right(result)
        if len(self.calls) > before:
            raise _NotLiteralError
        value = _constant(node.op, left(None), right(None))
        return lambda _: value

    def _display(self, node: ast.List | ast.Tuple | ast.Set) -> Callable[[Any], Any]:
        parts = [self.compile(item) for item in node.elts]
        kind: Any = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
        return lambda result: kind([part(result) for part in parts])

    def _dictionary(self, node: ast.Dict) -> Callable[[Any], Any]:
        if None in node.keys:
            raise _NotLiteralError
        keys = [self.compile(key) for key in node.keys if key is not None]
        values = [self.compile(value) for value in node.values]
        return lambda result: {key(result): value(result) for key, value in zip(keys, values, strict=True)}

    def _call(self, node: ast.Call) -> Callable[[Any], Any]:
        if not isinstance(node.func, ast.Name):
            raise _NotLiteralError
        name = node.func.id
        if name in self._names:
            return self._candidate(node)
        variable = any(not isinstance(argument, ast.Constant) for argument in node.args[1:])
        if name not in _CALLS or node.keywords or (name == "round" and variable):
            raise _NotLiteralError
        function, parts = _CALLS[name], [self.compile(arg) for arg in node.args]
        if function in (set, frozenset):
            return lambda result: function(*[_apart(part(result)) for part in parts])
        return lambda result: function(*[part(result) for part in parts])

    def _candidate(self, node: ast.Call) -> Callable[[Any], Any]:
        if self.calls:
            raise _NotLiteralError  # two results meet in one comparison
        args = [codec.encode(self._literal(arg)) for arg in node.args]
        if any(keyword.arg is None for keyword in node.keywords):
            raise _NotLiteralError
        kwargs = {str(keyword.arg): codec.encode(self._literal(keyword.value)) for keyword in node.keywords}
        self.calls.append([self._entry_point, args, kwargs])
        return lambda result: result

    def _literal(self, node: ast.expr) -> Any:
        inner = _Compiler(set(), self._entry_point)
        return inner.compile(node)(None)


def _apart(value: Any) -> Any:
    """Return items that are going to be hashed, unless so many hashes are alike that the broker would be held up."""
    items = list(value)
    if codec.alike(items) > codec.PLAIN_ALIKE:
        raise codec.CodecError("too many keys of one hash")
    return items


def _constant(op: ast.operator, left: Any, right: Any) -> Any:
    """Arithmetic between literals, as large as a test would plausibly write."""
    numbers = isinstance(left, int | float | complex) and isinstance(right, int | float | complex)
    match op:
        case ast.Add():
            return left + right
        case ast.Mult() if numbers or _size(left) * _size(right) <= _MAX_SIZE:
            return left * right
        case ast.Div() if numbers:
            return left / right
        case ast.FloorDiv() if numbers:
            return left // right
        case ast.Pow() if numbers and abs(left) <= 1 << 64 and abs(right) <= 1024:
            return left**right
    raise _NotLiteralError


def _size(value: Any) -> int:
    return abs(value) if isinstance(value, int) else len(value) if isinstance(value, list | tuple | str | bytes) else 2


def _bounded(value: Any) -> Any:
    if isinstance(value, list | tuple | str | bytes | set | dict) and len(value) > _MAX_SIZE:
        raise _NotLiteralError
    return value
