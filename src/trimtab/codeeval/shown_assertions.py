"""The assertions of MBPP+ in the form that its prompts show.

A prompt of MBPP+ ends with one assertion; the record's own list of assertions writes five of the 378 another way
(2, 120, 140, 293 and 742 of v0.2.0: as equal where sets are shown, as close where equal is shown). A program is judged
by what its author, a model, was shown, so all assertions of a problem get the form of the shown one. Where ``==`` asks
for more than the task, EvalPlus' comparison on the same inputs decides (:attr:`Problem.base_comparison`).
"""

from __future__ import annotations

import ast
import re
from typing import Final

from trimtab.sandbox import source

_SHOWN: Final = re.compile(r"^assert .*(?:\n(?!\"\"\").*)*", re.MULTILINE)


def judged(prompt: str, assertion: str) -> str:
    """Return the source of the assertions to judge by.

    Args:
        prompt: Ends with the assertion that is shown.
        assertion: The record's own: assertions, and imports they need.
    """
    first = shown(prompt)
    wanted = _dump(first)
    lines = []
    for node in source.parse(assertion).body:
        text = ast.get_source_segment(assertion, node) or ast.unparse(node)
        if _compares_sets(first) and not _compares_sets(text):
            text = ast.unparse(_as_sets(node))
        elif _is_close(text) and not _is_close(first):
            text = ast.unparse(_as_equal(node))
        lines.append(first if _dump(text) == wanted else text)
    return "\n".join(lines)


def listed(prompt: str, assertion: str) -> tuple[str, ...]:
    """Return the assertions to judge by, one by one."""
    return tuple(line for line in judged(prompt, assertion).splitlines() if line.startswith("assert"))


def shown(prompt: str) -> str:
    """Return the assertion at the end of a prompt of MBPP+."""
    match = _SHOWN.search(prompt)
    return match[0].strip() if match else ""


def _dump(text: str) -> str:
    return ast.dump(source.parse(text))


def _compares_sets(text: str) -> bool:
    test = source.parse(text).body[0] if text else None
    return (
        isinstance(test, ast.Assert)
        and isinstance(test.test, ast.Compare)
        and all(_is_set(side) for side in (test.test.left, *test.test.comparators))
    )


def _is_set(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "set"


def _as_sets(node: ast.stmt) -> ast.stmt:
    """Return an assertion that two values are equal as one that they are equal as sets."""
    if isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare):
        sides = [node.test.left, *node.test.comparators]
        for at, side in enumerate(sides):
            if not _is_set(side):
                sides[at] = ast.Call(ast.Name("set"), [side], [])
        node.test.left, node.test.comparators = sides[0], sides[1:]
        ast.fix_missing_locations(node)
    return node


def _is_close(text: str) -> bool:
    return text.startswith("assert math.isclose(")


def _as_equal(node: ast.stmt) -> ast.stmt:
    """Return an assertion that two numbers are close as one that they are equal."""
    if isinstance(node, ast.Assert) and isinstance(node.test, ast.Call):
        left, right = node.test.args
        node.test = ast.fix_missing_locations(ast.Compare(left, [ast.Eq()], [right]))
    return node
