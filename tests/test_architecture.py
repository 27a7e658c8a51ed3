"""The house rules that no linter checks."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "trimtab"
FILES = sorted(SOURCE.rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "common", "helpers", "types", "misc"}


def test_importing_trimtab_loads_nothing_heavy():
    code = (
        "import sys, trimtab, trimtab.study.spec, trimtab.study.table, trimtab.codeeval.problems; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "accelerate", "tokenizers", "altair"} & set(loaded)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_each_file_says_what_it_is_and_stays_small(path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 400
    assert path.stem not in FORBIDDEN_NAMES


def test_the_name_of_a_class_or_file_occurs_once():
    classes = Counter(
        node.name for path in FILES for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)
    )
    files = Counter(path.name for path in FILES if path.stem not in {"__init__", "__main__"})
    assert [name for name, times in (classes + files).items() if times > 1] == []


def functions():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield path, node


def body_lines(node):
    first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
    return node.end_lineno - first.lineno + 1


def test_functions_are_short():
    lengths = {f"{path.name}:{node.name}": body_lines(node) for path, node in functions()}
    assert {name: length for name, length in lengths.items() if length > 50} == {}
    assert sorted(lengths.values())[len(lengths) // 2] <= 10


def test_sub_packages_are_a_docstring_and_nothing_else():
    for path in SOURCE.glob("*/__init__.py"):
        tree = ast.parse(path.read_text())
        assert len(tree.body) == 1, path
        assert ast.get_docstring(tree), path
