"""trimtab evidence index and calibrate, and check --corpus."""

import json

import pytest
from click.testing import CliRunner

from trimtab.cli.main import main

PAPER = "| Model | HumanEval |\n|---|---|\n| GPT-4o | {} |\n| GPT-4-Turbo | 88.0 |\n"


def run(*arguments):
    return CliRunner().invoke(main, ["evidence", *map(str, arguments)])


@pytest.fixture
def place(tmp_path):
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "paper.md").write_text(PAPER.format("90.2"))
    (tmp_path / "sources" / "bundle.zip").write_bytes(b"PK")
    (tmp_path / "report.md").write_text("GPT-4o achieves 90.2% on HumanEval. GPT-4o achieves 88.0% on HumanEval.")
    return tmp_path


def index(place):
    return json.loads(run("index", place / "sources", "-o", place / "corpus.sqlite", "--json").stdout)


def test_a_corpus_says_what_its_folder_says(place):
    found = index(place)
    assert [len(found["added"]), found["known"], found["replaced"], len(found["unread"])] == [1, 0, 0, 1]
    by_folder = run("check", place / "report.md", "--sources", place / "sources", "--json")
    by_corpus = run("check", place / "report.md", "--corpus", place / "corpus.sqlite", "--json")
    assert (by_folder.exit_code, by_corpus.exit_code) == (1, 1)
    assert json.loads(by_folder.stdout)["claims"] == json.loads(by_corpus.stdout)["claims"]


def test_only_what_is_new_or_changed_is_read(place):
    index(place)
    found = index(place)
    assert [found["added"], found["known"]] == [[], 1]
    (place / "sources" / "paper.md").write_text(PAPER.format("91.9"))
    (place / "sources" / "other.csv").write_text("model,MBPP\nGPT-4o,1.5\n")
    found = index(place)
    assert [len(found["added"]), found["known"], found["replaced"]] == [2, 0, 1]
    checked = json.loads(run("check", place / "report.md", "--corpus", place / "corpus.sqlite", "--json").stdout)
    assert [one["verdict"]["fidelity"] for one in checked["claims"]] == ["contradicted", "misattributed"]


@pytest.mark.parametrize("arguments", [(), ("--sources", "a", "--corpus", "b"), ("--corpus", "none.sqlite")])
def test_sources_are_named_once_and_exist(place, arguments):
    assert run("check", place / "report.md", *arguments).exit_code == 2


def test_no_folder_and_no_corpus(place):
    assert run("index", place / "none", "-o", place / "c.sqlite").exit_code == 2
    assert run("index", place / "sources", "-o", place / "report.md").exit_code == 2


def test_labels_become_a_set_that_check_takes(place):
    run("check", place / "report.md", "--sources", place / "sources", "-o", place / "out")
    labels, made = place / "labels.jsonl", place / "set.jsonl"
    labels.write_text('{"id": "c01", "true": true}\n{"id": "c02", "true": false}\n')
    arguments = ("calibrate", place / "out" / "verdicts.jsonl", labels, "-o", made)
    assert "under 50, so no confidence" in run(*arguments).stdout
    for _ in range(29):
        found = json.loads(run(*arguments, "--json").stdout)
    assert (found["items"], found["enough"]) == (60, True)
    assert [(one["items"], one["true"]) for one in found["bins"]] == [(30, 0), (30, 30)]
    checked = run("check", place / "report.md", "--sources", place / "sources", "--calibration", made, "--json")
    confidence = json.loads(checked.stdout)["claims"][0]["verdict"]["confidence"]
    assert (confidence["items"], confidence["bin"], confidence["right"]) == (60, 30, 30)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "c09", "true": true}', "has no claim 'c09'"),
        ('{"id": "c01", "true": 1}', "expected"),
        ('{"id": "c01", "true": true}\n{"id": "c01", "true": true}', "line 2"),
        ("{", "is no JSON"),
    ],
)
def test_a_wrong_label_is_named(place, line, message):
    run("check", place / "report.md", "--sources", place / "sources", "-o", place / "out")
    (place / "labels.jsonl").write_text(line)
    result = run("calibrate", place / "out" / "verdicts.jsonl", place / "labels.jsonl")
    assert result.exit_code == 2
    assert message in result.output
