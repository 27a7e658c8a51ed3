"""trimtab evidence: exit codes a workflow can use, JSON, files."""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from trimtab.cli.main import main

PAPER = "| Model | HumanEval |\n|---|---|\n| GPT-4o | 90.2 |\n| GPT-4-Turbo | 88.0 |\n"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "paper.md").write_text(PAPER)

    def check(text, *arguments):
        report = tmp_path / "report.md"
        report.write_text(text)
        return CliRunner().invoke(
            main, ["evidence", "check", str(report), "--sources", str(tmp_path / "sources"), *arguments]
        )

    return check


@pytest.mark.parametrize(
    ("text", "arguments", "code"),
    [
        ("GPT-4o achieves 90.2% on HumanEval.", (), 0),
        ("GPT-4o achieves 91.2% on HumanEval.", (), 1),
        ("GPT-4o achieves 88.0% on HumanEval.", (), 1),
        ("Gemma-7B achieves 33.3% on HumanEval.", (), 0),
        ("GPT-4o achieves 90.2% on HumanEval.", ("--strict",), 1),
        ("GPT-4o achieves 90.2% on HumanEval.", ("--aliases", "/nowhere.toml"), 2),
    ],
)
def test_exit_codes(run, text, arguments, code):
    result = run(text, *arguments)
    assert result.exit_code == code, result.output


def test_json_and_files(run, tmp_path):
    result = run("GPT-4o achieves 88.0% on HumanEval.", "--json", "-o", str(tmp_path / "out"))
    record = json.loads(result.stdout)
    assert record["claims"][0]["verdict"]["fidelity"] == "misattributed"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "claims.jsonl", "verdicts.jsonl", "report.html", "report.md",
    }  # fmt: skip


def test_the_schema_is_printed(run):
    result = CliRunner().invoke(main, ["evidence", "schema"])
    assert json.loads(result.output)["title"] == "A claim, one a line of claims.jsonl"
    result = CliRunner().invoke(main, ["evidence", "schema", "--verdicts"])
    assert "fidelity" in json.loads(result.output)["properties"]


SAME = sorted((Path(__file__).parents[2] / "docs" / "guides" / "same-table").iterdir())


def cells(*arguments):
    return CliRunner().invoke(main, ["evidence", "cells", *map(str, arguments)])


def test_one_table_in_five_formats_gives_the_same_cells():
    result = cells(*SAME)
    assert {path.suffix for path in SAME} == {".tex", ".html", ".xml", ".pdf", ".md"}
    assert result.exit_code == 0
    assert result.output.count(": the same 12 cells") == 4
    row = "Open models > Qwen2.5-Coder-32B | HumanEval Pro > 0-shot | **61.6 (58.2)**  unit %"
    assert f"Table 1 | {row}" in result.output


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("67.1", "67.2"), ["| 67.1  unit %", "| 67.2  unit %"]),
        (("**84.8**", "84.8"), ["| **84.8**  unit %", "| 84.8  unit %"]),
        (("Closed models", "Other models"), ["Closed models > o1-mini", "Other models > o1-mini"]),
    ],
)
def test_cells_that_differ_are_told(tmp_path, change, told):
    table = next(path for path in SAME if path.suffix == ".md")
    (tmp_path / "other.md").write_text(table.read_text().replace(*change))
    result = cells(table, tmp_path / "other.md")
    assert result.exit_code == 1
    lines = [line for line in result.output.splitlines() if line.startswith("only ")]
    assert told[0] in lines[0]
    assert told[1] in lines[-1]
    (_, other) = json.loads(cells(table, tmp_path / "other.md", "--json").output)
    assert other["differences"] == lines


def test_cells_in_another_order_or_more_often_are_told(tmp_path):
    head = "| Model | MBPP |\n|---|---|\n"
    (tmp_path / "a.md").write_text(head + "| A-1 | 1.5 |\n| B-1 | 2.5 |\n")
    (tmp_path / "b.md").write_text(head + "| B-1 | 2.5 |\n| A-1 | 1.5 |\n")
    (tmp_path / "c.md").write_text(head + "| A-1 | 1.5 |\n| B-1 | 2.5 |\n| B-1 | 2.5 |\n")
    assert "in another order" in cells(tmp_path / "a.md", tmp_path / "b.md").output
    assert "3, the same ones" in cells(tmp_path / "a.md", tmp_path / "c.md").output
    assert cells(tmp_path / "a.md", tmp_path / "none.md").exit_code == 2


@pytest.mark.parametrize(("value", "code"), [("90.2", 0), ("91.2", 1)])
def test_the_workflow_of_the_guide_is_yaml_whose_commands_run(tmp_path, monkeypatch, value, code):
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "check-a-report.md").read_text()
    workflow = yaml.safe_load(re.search(r"```yaml\n(.*?)```", guide, re.DOTALL)[1])
    assert workflow[True] == ["pull_request"]  # "on" is a truth value of YAML 1.1, and GitHub reads it as a word
    steps = workflow["jobs"]["check"]["steps"]
    assert all(("run" in step) != ("uses" in step) for step in steps)
    (command,) = [step["run"] for step in steps if step.get("run", "").startswith("trimtab ")]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "paper.md").write_text(PAPER)
    (tmp_path / "MODEL_CARD.md").write_text(f"GPT-4o achieves {value}% on HumanEval.\n")
    assert CliRunner().invoke(main, shlex.split(command)[1:]).exit_code == code
    assert (tmp_path / steps[-1]["with"]["path"] / "report.html").exists()
