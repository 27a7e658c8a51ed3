"""The page with the whole answer says what the committed review, study and grid say."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "results" / "answer"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
REVIEW = json.loads((FOLDER / "report" / "review.json").read_text(encoding="utf-8"))


def test_the_page_is_rebuilt_from_what_is_committed():
    location = importlib.util.spec_from_file_location("make_answer", ROOT / "docs" / "make_answer.py")
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    cells = sum((folder / "result.json").exists() for folder in (module.STUDY / "cells").iterdir())
    told = int(re.search(r"(\d+) of \d+ cells are run", PAGE)[1])
    if cells != told:
        pytest.skip(f"the page was made of {told} cells, and the study has {cells} now: run `make answer`")
    grid = json.loads((FOLDER / "simulated.json").read_text(encoding="utf-8"))
    assert module.page(module.read_review(), grid) == PAGE


def test_each_published_figure_on_the_page_is_a_claim_with_its_work_and_table():
    lines = (FOLDER / "report" / "claims.jsonl").read_text(encoding="utf-8").splitlines()
    claims = {claim["id"]: claim for claim in map(json.loads, lines)}
    traced = [(line["text"], name) for line in REVIEW["abstract"] for name in line["claims"]]
    assert traced
    for text, name in traced:
        assert text in PAGE
        assert claims[name]["statement"] in text


def test_what_the_second_study_measured_is_in_the_matrix():
    rows = re.findall(r"^\| expert \w+ \| .*", PAGE, flags=re.MULTILINE)
    assert all("robustness-benchmarks: loss_free against aux" in row for row in rows)
    assert not any("not measured" in row for row in rows)


def test_both_studies_are_named_in_the_joint_word_and_neither_alone_decides():
    """Of tight capacity on HumanEval one study says equivalent and one undecided: together that is undecided."""
    (row,) = re.findall(r"^\| expert capacity \| HumanEval \| .*", PAGE, flags=re.MULTILINE)
    studies, joint = row.removesuffix(" |").split(" | ")[-2:]
    assert re.search(r"robustness: loss_free against aux under capacity=tight: [^<]*, equivalent", studies)
    assert re.search(r"robustness-benchmarks: loss_free against aux under capacity=tight: .*, undecided", studies)
    assert "our studies robustness and robustness-benchmarks only, each at its own scale" in joint
    assert re.search(r"undecided under (?:[\w., ]+, )?tight", joint)
    assert re.search(r"equivalent under c1\.25", joint)


def test_each_section_of_the_seed_report_is_there():
    """Its sections by their own names or the nearest: abstract, introduction, methodology, results, limitations …"""
    headings = re.findall(r"^## (.*)", PAGE, flags=re.MULTILINE)
    named = ("In short", "What was asked", "Method", "Answer by stress and benchmark", "Limits", "Extracted claims")
    assert [name for name in (*named, "References") if name not in headings] == []
    lines = (FOLDER / "report" / "claims.jsonl").read_text(encoding="utf-8").splitlines()
    assert f"{len(lines)} claims were drawn" in PAGE
    assert all(json.loads(line)["statement"].replace("|", "\\|") in PAGE for line in lines)


def test_the_matrix_has_each_stress_with_each_benchmark_once():
    rows = re.findall(r"^\| (expert \w+) \| ([\w ]+) \|", PAGE, flags=re.MULTILINE)
    assert len(rows) == len(set(rows)) == 8
