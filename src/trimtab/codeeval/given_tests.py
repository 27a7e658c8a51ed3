"""Tests that a caller brings along: what data sets for reinforcement learning have in a column, in one of three forms.

=====================  ========================================================================================
form                   read from
=====================  ========================================================================================
:class:`Assertions`    a list of assertions (MBPP), a text of them, a text that defines ``check(candidate)``
                       (HumanEval), or ``{"assert_case": [...]}``
:class:`InputOutput`   ``{"inputs": [...], "outputs": [...]}`` (APPS, TACO, verl), ``{"input": [...],
                       "output": [...]}`` (CodeContests), a list of ``{"input", "output"}`` (LiveCodeBench, Open-R1)
:class:`Calls`         the same with the name of a function: ``"fn_name"``, or ``"testtype": "functional"`` and an
                       entry point
=====================  ========================================================================================

Any of them may be JSON in a text. Decisions: a test is read once and whole before a program runs, and what cannot be
read is an error that quotes it, never a test that is left out; a test text is parsed, never run here.
"""

from __future__ import annotations

import ast
import builtins
import functools
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import BenchmarkError
from trimtab.sandbox import source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MARKER: Final = "candidate"
_SHOWN: Final = 120
_REMEMBERED: Final = 1 << 14  # characters of a text that is read once for all that come with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertions:
    """Tests that call a function of the program.

    Attributes:
        entry_point: The function.
        whole: Source that defines ``check(candidate)`` with all of them.
        single: The same with one test each, after whatever of the text is no test.
        names: Other names of the program that the tests use.
    """

    entry_point: str
    whole: str
    single: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOutput:
    """Tests of a program that reads standard input: pairs of what it reads and what it should print."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Tests that compare what a function returns, all of it JSON.

    Attributes:
        entry_point: The function, or method of a class ``Solution``.
        pairs: Arguments, and what is expected.
    """

    entry_point: str
    pairs: tuple[tuple[tuple[Any, ...], Any], ...]


GivenTests = Assertions | InputOutput | Calls


def read(tests: object, entry_point: str | None = None) -> GivenTests:
    """Return tests in one of the three forms.

    Args:
        tests: As a column of a data set has them.
        entry_point: The function that is tested, where ``tests`` does not say.

    Raises:
        BenchmarkError: They are in no known form, or there are none.
    """
    if isinstance(tests, str):
        return _from_text(tests, entry_point or "")
    if hasattr(tests, "tolist"):  # a column of a data frame holds arrays
        tests = tests.tolist()
    if isinstance(tests, dict):
        return _from_mapping(tests, entry_point)
    if isinstance(tests, list | tuple) and tests:
        if all(isinstance(test, str) for test in tests):
            return _from_text("\n".join(tests), entry_point or "")
        if all(isinstance(test, dict) for test in tests):
            return _from_records(tests, entry_point)
    raise _unknown(tests)


def _unknown(tests: object) -> BenchmarkError:
    shown = repr(tests)
    return BenchmarkError(
        f"tests in no known form: {shown[:_SHOWN]}{'…' if len(shown) > _SHOWN else ''} ({type(tests).__name__})",
        hint='give a list of assertions, a text that defines check(candidate), or {"inputs": [...], "outputs": [...]}',
    )


def _from_mapping(tests: Mapping[str, Any], entry_point: str | None) -> GivenTests:
    if "assert_case" in tests:
        return read(tests["assert_case"], entry_point)
    if "test_cases" in tests:
        return read(tests["test_cases"], entry_point)
    for inputs, outputs in (("inputs", "outputs"), ("input", "output")):
        if inputs in tests and outputs in tests:
            name = tests.get("fn_name") or None
            return _paired(_column(tests, inputs), _column(tests, outputs), name)
    raise _unknown(dict(tests))


def _column(tests: Mapping[str, Any], name: str) -> list[Any]:
    values = tests[name]
    values = values.tolist() if hasattr(values, "tolist") else values
    return [values] if isinstance(values, str) else list(values)


def _from_records(tests: Sequence[Mapping[str, Any]], entry_point: str | None) -> GivenTests:
    if any(not {"input", "output"} <= test.keys() for test in tests):
        lacking = next(test for test in tests if not {"input", "output"} <= test.keys())
        raise BenchmarkError(f"a test without 'input' and 'output': {sorted(lacking)}")
    names = {test.get("fn_name") for test in tests} - {None, ""}
    functional = [test.get("testtype") == "functional" for test in tests]
    if len(names) > 1 or len(set(functional)) > 1:
        raise BenchmarkError("tests of one problem that call different functions, or some of them none")
    name = names.pop() if names else entry_point if functional[0] else None
    if functional[0] and name is None:
        raise BenchmarkError("tests of a function that do not name it", hint="give its name as entry_point")
    return _paired([test["input"] for test in tests], [test["output"] for test in tests], name)


def _paired(inputs: Sequence[Any], outputs: Sequence[Any], name: str | None) -> GivenTests:
    if len(inputs) != len(outputs) or not inputs:
        raise BenchmarkError(
            f"{len(inputs)} inputs and {len(outputs)} outputs: as many of one as of the other, not none"
        )
    if name is None:
        return InputOutput(pairs=tuple(zip(map(_lines, inputs), map(_lines, outputs), strict=True)))
    if not name.isidentifier():
        raise BenchmarkError(f"the tested function is called {name!r}, which is no name")
    # Where arguments are lines of JSON so is what is expected; where they are values a text is a text.
    expected = [
        _json(output) if isinstance(given, str) and isinstance(output, str) else output
        for given, output in zip(inputs, outputs, strict=True)
    ]
    return Calls(entry_point=name, pairs=tuple(zip(map(_arguments, inputs), expected, strict=True)))


def _lines(value: Any) -> str:  # noqa: ANN401 - a cell of somebody's data
    if isinstance(value, list | tuple) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    if not isinstance(value, str):
        raise BenchmarkError(
            f"an input or output of a program is text, not {type(value).__name__}: {repr(value)[:_SHOWN]}",
            hint="tests that call a function name it: fn_name",
        )
    return value


def _arguments(value: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a cell of somebody's data
    """Return arguments: a list of them, or text with one in JSON a line."""
    if isinstance(value, str):
        return tuple(_json(line) for line in value.split("\n") if line.strip())
    if isinstance(value, list | tuple):
        return tuple(value)
    raise BenchmarkError(f"arguments are a list or lines of JSON, not {type(value).__name__}: {repr(value)[:_SHOWN]}")


def _json(text: str) -> Any:  # noqa: ANN401 - whatever JSON has
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _from_text(text: str, entry_point: str) -> GivenTests:
    return _remembered(text, entry_point) if len(text) <= _REMEMBERED else _from_any_text(text, entry_point)


@functools.lru_cache(maxsize=4096)
def _remembered(text: str, entry_point: str) -> GivenTests:
    return _from_any_text(text, entry_point)


def _from_any_text(text: str, entry_point: str) -> GivenTests:
    if text.lstrip()[:1] in ("{", "["):
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            parsed = None  # Python may begin so too
        if isinstance(parsed, dict | list):
            return read(parsed, entry_point or None)
    try:
        tree = source.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BenchmarkError(f"tests that are not Python: {error}: {text[:_SHOWN]!r}") from None
    check = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "check" and n.args.args), None)
    if check is not None:
        return _with_check(tree, check, entry_point)
    name = entry_point or _first_called(tree)
    return _assertions([], tree.body, name, _MARKER)


def _with_check(tree: ast.Module, check: ast.FunctionDef, entry_point: str) -> Assertions:
    """Read a text that defines ``check``; a call of it at the end only says what is tested."""
    calls = [node for node in tree.body if _calls_check(node)]
    named = [call.value.args[0] for call in calls]  # type: ignore[attr-defined]  # as _calls_check has seen
    name = entry_point or next((node.id for node in named if isinstance(node, ast.Name)), "")
    if not name:
        raise BenchmarkError(
            "a test that defines check(candidate) does not say which function it checks", hint="give entry_point"
        )
    before = [node for node in tree.body if node is not check and node not in calls]
    return _assertions(before, check.body, name, check.args.args[0].arg)


def _calls_check(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return (
        isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "check" and bool(call.args)
    )


def _assertions(before: list[ast.stmt], body: list[ast.stmt], entry_point: str, argument: str) -> Assertions:
    is_test = [any(isinstance(node, ast.Assert | ast.Raise) for node in ast.walk(statement)) for statement in body]
    if not any(is_test):
        raise BenchmarkError(
            "a test text without any assertion would pass every program", hint="write assert f(x) == y"
        )
    imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    rest = [(node, test) for node, test in zip(body, is_test, strict=True) if node not in imports]
    before = [*before, *imports]
    single = []
    for position, (node, test) in enumerate(rest):
        if test:
            setup = [other for other, other_tests in rest[:position] if not other_tests]
            single.append(_source(before, [*setup, node], argument))
    return Assertions(
        entry_point=entry_point,
        whole=_source(before, [node for node, _ in rest], argument),
        single=tuple(single),
        names=_names([*before, *body], {entry_point, argument}),
    )


def _source(before: list[ast.stmt], body: list[ast.stmt], argument: str) -> str:
    """Return source that defines ``check`` with some statements, after others at the top level."""
    arguments = ast.arguments(posonlyargs=[], args=[ast.arg(argument)], kwonlyargs=[], kw_defaults=[], defaults=[])
    check = ast.FunctionDef(name="check", args=arguments, body=body, decorator_list=[])
    check.lineno = 1  # which unparsing asks for
    return ast.unparse(ast.Module(body=[*before, check], type_ignores=[])) + "\n"


def _first_called(tree: ast.Module) -> str:
    bound = _bound(tree.body)
    for statement in tree.body:
        if any(isinstance(node, ast.Assert) for node in ast.walk(statement)):
            for node in ast.walk(statement):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not _known(node.func.id, bound):
                    return node.func.id
    raise BenchmarkError("assertions that call no function of the program", hint="give its name as entry_point")


def _names(body: list[ast.stmt], without: set[str]) -> tuple[str, ...]:
    """Return names that tests use and nothing but the program can define."""
    used = {node.id for statement in body for node in ast.walk(statement) if isinstance(node, ast.Name)}
    bound = _bound(body) | without
    return tuple(sorted(name for name in used if not _known(name, bound)))


def _bound(body: list[ast.stmt]) -> set[str]:
    bound: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                bound.add(node.id)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                bound.add(node.name)
            elif isinstance(node, ast.arg):
                bound.add(node.arg)
            elif isinstance(node, ast.ExceptHandler) and node.name:
                bound.add(node.name)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                bound.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    return bound


def _known(name: str, bound: set[str]) -> bool:
    return name in bound or name in sys.stdlib_module_names or hasattr(builtins, name)
