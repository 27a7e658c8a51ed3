"""A command whose packages are not installed says which extra brings them, and runs nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.cli.options import extra_with

TINY = str(Path(__file__).parents[2] / "studies" / "tiny.toml")


def without(package, *arguments, cwd):
    code = f"import sys; sys.modules[{package!r}] = None; from trimtab.cli.main import main; main({list(arguments)!r})"
    return subprocess.run([sys.executable, "-P", "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("torch", ["simulate", "--steps", "4"], "hf"),
        ("torch", ["demo"], "hf"),
        ("torch", ["run", TINY, "-o", "run"], "hf"),
        ("transformers", ["run", TINY, "-o", "run"], "hf"),
        ("prometheus_client", ["serve"], "serve"),
        ("snowballstemmer", ["evidence", "search", "q", "-o", "review"], "evidence"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_the_message_names_the_package_and_the_extra(package, arguments, extra, tmp_path):
    done = without(package, *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert f"this needs the package {package!r}" in done.stderr
    assert f"pip install 'trimtab[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_a_package_is_known_and_a_foreign_one_is_not():
    assert extra_with("prometheus_client.core") == "serve"
    assert extra_with("comrak") == "evidence"
    assert extra_with("torch") == "hf"
    assert extra_with("tor") is None
    assert extra_with("pandas") is None
