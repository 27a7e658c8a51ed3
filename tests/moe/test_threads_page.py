"""The page of threads and traps names tests that exist, and leaves no line without one."""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "reference" / "threads.md").read_text()
ROWS = re.findall(r"^\| (\d+) \|.*\| (.*) \|$", PAGE, re.MULTILINE)


def functions(path):
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_thread_and_every_trap_has_its_line():
    assert [int(number) for number, _ in ROWS] == [*range(1, 37), *range(1, 11)]


@pytest.mark.parametrize(("number", "guards"), ROWS, ids=[f"{number}-{line}" for line, (number, _) in enumerate(ROWS)])
def test_what_guards_it_exists(number, guards):
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", guards)
    assert named or "does not apply, because" in guards, number
    for file, name in named:
        assert name in functions(HERE / file), (file, name)


def test_every_test_named_after_a_thread_is_on_the_page():
    """A number of an issue in a test's name is a claim; the page is where to look it up."""
    for path in HERE.rglob("test_*.py"):
        for name in functions(path):
            if re.match(r"test_(?!qwen)\w+?_\d{3,5}_", name):
                assert name in PAGE, name
