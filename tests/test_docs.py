"""Documents that cannot rot: links lead somewhere, the reference is generated, examples run."""

import doctest
import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
DOCTESTED = ("trimtab.errors", "trimtab.stats", "trimtab.codeeval.extract", "trimtab.http_client")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("name", ["make_reference", "make_settings"])
def test_a_reference_is_generated(name):
    # In a process of its own: click keeps the help of a command as it was first started, which a test may do otherwise.
    script = f"import {name}; import sys; sys.exit({name}.TARGET.read_text() != {name}.render())"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT / "docs", check=False).returncode == 0, (
        "run `make docs`"
    )


def test_the_pictures_of_routing_are_drawn_by_their_script():
    specification = importlib.util.spec_from_file_location("make_pictures", ROOT / "docs" / "make_pictures.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    for name, draw in module.PICTURES.items():
        assert (module.FOLDER / f"{name}.svg").read_text(encoding="utf-8") == draw(), "run `make docs`"


@pytest.mark.parametrize("name", DOCTESTED)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


def test_the_readme_names_only_files_that_exist():
    text = (ROOT / "README.md").read_text()
    for name in re.findall(r"`((?:studies|docs|benchmarks|src)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name


def test_the_picture_of_the_rooms_is_the_import_contract():
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert "\n".join(contract["layers"]) in page
    rooms = {room.strip() for layer in contract["layers"] for room in layer.split("|")}
    described = set(re.findall(r"`(\w+)`", page))
    assert rooms <= described, rooms - described


def test_the_site_builds_strictly(tmp_path):
    build = subprocess.run(
        [sys.executable, "-P", "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stderr
    front = (tmp_path / "site" / "index.html").read_text()
    assert not re.findall(r'(?:src|href)="https?://(?!squidfunk)[^"]*\.(?:js|css|woff2?)"', front)


def test_the_site_refuses_a_link_to_an_anchor_that_is_not_there(tmp_path):
    for name in ("mkdocs.yml", "README.md", "CHANGELOG.md", "LOG.md", "CONTRIBUTING.md", "LICENSE", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("cells", "report"))
    page = tmp_path / "docs" / "architecture.md"
    page.write_text(page.read_text() + "\n[nowhere](concepts/sandbox.md#no-such-heading)\n")
    build = subprocess.run(
        [sys.executable, "-P", "-m", "mkdocs", "build"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert build.returncode != 0
    assert "no-such-heading" in build.stderr
