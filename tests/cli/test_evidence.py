"""trimtab evidence: exit codes a workflow can use, JSON, files."""

import json

import pytest
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
