"""What is published under docs/results is what the cells' files say."""

import re
from pathlib import Path

import pytest

from trimtab.report import numbers
from trimtab.study import spec
from trimtab.study.endpoints import ENDPOINTS
from trimtab.study.table import StudyTable

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
PAPER = (RESULTS / "robustness" / "README.md").read_text(encoding="utf-8")


def published(name):
    return StudyTable.load(RESULTS / name, spec.load(RESULTS / name / "study.toml"))


@pytest.mark.parametrize("name", ["quick", "robustness", "robustness-axes"])
def test_the_published_folder_is_the_study_of_its_file(name):
    found, file = published(name).study, spec.load(ROOT / "studies" / f"{name}.toml")
    assert [cell.id for cell in found.cells()] == [cell.id for cell in file.cells()]
    assert (found.margins, found.contrast, found.endpoints) == (file.margins, file.contrast, file.endpoints)


def test_the_paper_s_matrix_and_the_readme_s_are_rebuilt_from_the_cells():
    table = published("quick")
    assert not table.missing
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for row in table.answers:
        endpoint = ENDPOINTS[row.endpoint]
        value = numbers.signed(endpoint, row.difference.value, row.margin)
        told = f"{value} {numbers.span(endpoint, row.difference.interval, row.margin)}"
        assert re.search(rf"{re.escape(told)} \**{row.words}", PAPER), (row.stressor.label, row.endpoint, told)
        if row.role == "primary":
            assert told in readme


def test_rows_of_the_robustness_study_that_are_whole_are_printed_as_they_are():
    table = published("robustness")
    whole = [row for row in table.answers if row.role != "exploratory" and row.seeds and not row.waiting]
    assert whole
    for row in whole:
        endpoint = ENDPOINTS[row.endpoint]
        value = numbers.signed(endpoint, row.difference.value, row.margin)
        told = f"{value} {numbers.span(endpoint, row.difference.interval, row.margin)} | {row.words}"
        assert f"| {row.stressor.short} | {endpoint.title}, {numbers.unit(endpoint)} | {told} |" in PAPER


def test_every_control_of_the_paper_passed():
    for name in ("quick", "robustness"):
        controls = published(name).controls
        assert len(controls) == 15
        assert all(control.passed for control in controls)


def test_a_portion_says_what_is_not_run_yet():
    table = published("robustness")
    words = {row.words.split(" (")[0] for row in table.answers if row.role != "exploratory"}
    if table.waiting:
        assert "not yet run" in words
    assert not table.failed
    assert len(table.results) + len(table.waiting) == len(table.cells) == 400
