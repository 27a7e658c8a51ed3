"""What CONTRIBUTING, the changelog and the citation say is so."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def target(name):
    return re.search(rf"^{name}:.*\n((?:\t.*\n)+)", MAKEFILE, flags=re.MULTILINE)[1]


def test_the_newest_version_of_the_changelog_is_that_of_the_package_and_of_the_citation():
    heads = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert heads[0] == "Unreleased"
    version, date = heads[1].split(" · ")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert version == PROJECT["version"] == citation["version"]
    assert date == str(citation["date-released"])
    assert citation["license"] == PROJECT["license"]


def test_the_commands_of_contributing_do_what_it_says():
    assert "pytest" in target("test")
    for word in ("ruff", "mypy", "lint-imports", "test_docs"):
        assert word in target("check")
    assert "mkdocs build" in target("site")
    assert "strict: true" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def test_the_files_that_contributing_names_are_here():
    names = re.findall(r"`((?:src|docs|tests|benchmarks)/[\w./-]*|\w+\.(?:md|toml|txt|yml))`", CONTRIBUTING)
    assert len(names) > 8
    for name in names:
        assert (ROOT / name).exists(), name


def test_everything_that_is_installed_for_development_is_pinned_and_nothing_is_cuda():
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())
    pinned = {name.lower().replace("_", "-") for name in pins}
    wanted = [
        *PROJECT["dependencies"],
        *(word for extra in PROJECT["optional-dependencies"].values() for word in extra),
    ]
    names = {re.match(r"[\w-]+", word)[0].lower().replace("_", "-") for word in wanted} - {"trimtab"}
    assert names <= pinned, names - pinned
    assert not [name for name in pinned if "nvidia" in name or "cuda" in name]


def test_tests_mirror_the_rooms_of_the_package():
    rooms = {path.name for path in (ROOT / "src" / "trimtab").iterdir() if (path / "__init__.py").exists()}
    tested = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert rooms <= tested, rooms - tested


def test_no_test_judges_speed_by_the_clock():
    timed = re.compile(r"assert .*(?:perf_counter|process_time|time\.time\(\)|elapsed|seconds) *[<>]")
    for path in (ROOT / "tests").rglob("*.py"):
        assert not timed.search(path.read_text(encoding="utf-8")), path


def test_no_published_data_is_committed():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no git checkout here")
    data = {"HumanEval.jsonl.gz", "mbpp.jsonl", "sanitized-mbpp.json", "humaneval_pro.json", "mbpp_pro.json"}
    assert not [name for name in listed.stdout.splitlines() if Path(name).name in data]
    assert not [name for name in listed.stdout.splitlines() if name.endswith((".gguf", ".safetensors", ".bin"))]


def test_templates_ask_for_what_is_needed():
    for name in ("bug", "idea"):
        form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml").read_text(encoding="utf-8"))
        assert form["body"][0]["validations"]["required"]
