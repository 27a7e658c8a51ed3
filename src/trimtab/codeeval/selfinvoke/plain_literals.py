"""Plain data as Python text that reads the same whatever the hash seed, and assertions that leave room for rounding."""

from __future__ import annotations

from typing import Any, Final

TOLERANCE: Final = 1e-6  # absolute, and relative beyond 1
CLOSE: Final = """\
def _close(got, want):
    if isinstance(want, float):
        return isinstance(got, (int, float)) and abs(got - want) <= 1e-06 * max(1, abs(want))
    if isinstance(want, (list, tuple)):
        return type(got) is type(want) and len(got) == len(want) and all(map(_close, got, want))
    if isinstance(want, dict):
        return isinstance(got, dict) and got.keys() == want.keys() and all(_close(got[k], want[k]) for k in want)
    return got == want
"""


def literal(value: Any) -> str:  # noqa: ANN401 - any plain data
    """Write plain data as an expression; sets are sorted by their text.

    >>> literal({"b": (1,), "a": {3, 1}})
    "{'b': (1,), 'a': {1, 3}}"
    """
    match value:
        case list():
            return f"[{', '.join(map(literal, value))}]"
        case tuple():
            return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
        case dict():
            return f"{{{', '.join(f'{literal(key)}: {literal(held)}' for key, held in value.items())}}}"
        case set() if value:
            return f"{{{', '.join(sorted(map(literal, value)))}}}"
        case frozenset():
            return f"frozenset({literal(set(value)) if value else ''})"
        case _:
            return repr(value)


def arguments(values: tuple[Any, ...]) -> str:
    """Write arguments as they stand between the parentheses of a call."""
    return ", ".join(map(literal, values))


def same(first: Any, second: Any) -> bool:  # noqa: ANN401 - any plain data
    """Tell whether two results are the same data, floats within :data:`TOLERANCE`."""
    if isinstance(first, float) and isinstance(second, float):
        return abs(first - second) <= TOLERANCE * max(1.0, abs(first))
    if type(first) is not type(second):
        return False
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    return bool(first == second)


def has_float(value: Any) -> bool:  # noqa: ANN401 - any plain data
    """Tell whether a float is anywhere in plain data."""
    if isinstance(value, dict):
        return any(has_float(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(has_float, value))
    return isinstance(value, float)


def assertion(function: str, call: tuple[Any, ...], result: Any) -> str:  # noqa: ANN401 - any plain data
    """Write the assertion that a call returns a result; floats may miss it by a rounding.

    >>> assertion("f", (1, "a"), [2])
    "assert f(1, 'a') == [2]"
    >>> assertion("f", (1,), 0.5)
    'assert abs(f(1) - 0.5) <= 1e-06'
    """
    called = f"{function}({arguments(call)})"
    if isinstance(result, float):
        return f"assert abs({called} - {result!r}) <= {TOLERANCE * max(1.0, abs(result)):.2g}"
    if has_float(result):
        return f"assert _close({called}, {literal(result)})"
    return f"assert {called} == {literal(result)}"


def join(assertions: list[str]) -> str:
    """Join assertions, with the comparison that some of them need."""
    needed = CLOSE if any(text.startswith("assert _close(") for text in assertions) else ""
    return needed + "\n".join(assertions) + "\n"
