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


@pytest.mark.parametrize("name", ["quick", "robustness", "robustness-axes", "robustness-benchmarks"])
def test_the_published_folder_is_the_study_of_its_file(name):
    found, file = published(name).study, spec.load(ROOT / "studies" / f"{name}.toml")
    assert [cell.id for cell in found.cells()] == [cell.id for cell in file.cells()]
    assert (found.margins, found.contrast, found.endpoints) == (file.margins, file.contrast, file.endpoints)


def in_words(row):
    """The difference, its interval and its word as the pages print them; the word may be bold."""
    endpoint = ENDPOINTS[row.endpoint]
    value = numbers.signed(endpoint, row.difference.value, row.margin)
    interval = numbers.span(endpoint, row.difference.interval, row.margin)
    return value, interval, rf"{re.escape(f'{value} {interval}')} \**{row.words}"


def in_plain_words(stressor):
    """A stress as the pages name it."""
    stress = stressor.short.split(": ")[-1]
    names = {"drop_upcycled": "Drop-upcycled", "random_experts": "random experts"}
    names |= {"c1.25": "capacity 1.25", "c0.75": "capacity 0.75"}
    for level, name in names.items():
        stress = stress.replace(level, name)
    return stress


def whole(table):
    return [row for row in table.answers if row.role != "exploratory" and row.seeds and not row.waiting]


def test_the_matrix_of_the_quick_study_is_rebuilt_from_the_cells():
    table = published("quick")
    assert not table.missing
    for row in table.answers:
        assert re.search(in_words(row)[2], PAPER), (row.stressor.label, row.endpoint)


@pytest.mark.parametrize(
    ("name", "rows"), [("robustness", 108), ("robustness-axes", 10), ("robustness-benchmarks", 12)]
)
def test_rows_that_are_whole_are_printed_as_they_are(name, rows):
    page = (RESULTS / name / "README.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    found = whole(published(name))
    assert len(found) == rows
    for row in found:
        stress = in_plain_words(row.stressor)
        printed = [line for line in lines if line.startswith(f"| `{row.method}` |") and f"| {stress} |" in line]
        assert any(re.search(in_words(row)[2], line) for line in printed), (row.method, stress, row.endpoint)


def test_what_each_stress_costs_each_arm_is_printed_as_it_is():
    table = published("robustness")
    start = PAPER.index("| stress | `aux` |")
    lines = [line.split(" | ") for line in PAPER[start:].split("\n\n")[0].splitlines()]
    arms = [cell.strip("` |") for cell in lines[0][1:]]
    printed = {
        (stress.strip("| "), arm): cost.strip(" |")
        for stress, *costs in lines[2:]
        for arm, cost in zip(arms, costs, strict=True)
    }
    measured = [found for found in table.degradations if found.endpoint == "prequential_loss"]
    endpoint = ENDPOINTS["prequential_loss"]
    costs = {
        (in_plain_words(found.stressor), found.method): numbers.signed(endpoint, found.estimate.value, 0.02)
        for found in measured
    }
    assert len(measured) == 45
    assert printed == costs


def test_what_stresses_cost_on_four_benchmarks_is_printed_as_it_is():
    table = published("robustness-benchmarks")
    page = (RESULTS / "robustness-benchmarks" / "README.md").read_text(encoding="utf-8")
    by_arm = {}
    for found in table.degradations:
        if found.endpoint.endswith("nll"):
            cost = numbers.signed(ENDPOINTS[found.endpoint], found.estimate.value, 0.02)
            by_arm.setdefault((in_plain_words(found.stressor), found.method), {})[found.endpoint] = cost
    assert len(by_arm) == 6
    for (stress, arm), costs in by_arm.items():
        columns = [costs[f"{name}_nll"] for name in ("humaneval", "mbpp", "humaneval_pro", "mbpp_pro")]
        assert f"| {stress} | `{arm}` | {' | '.join(columns)} |" in page
    controls = [control for control in table.controls if control.endpoint.endswith("nll")]
    assert len(controls) == 20
    assert all(control.passed for control in controls)
    for control in controls:
        endpoint = ENDPOINTS[control.endpoint]
        harm, low, high = (numbers.signed(endpoint, value, 0.02) for value in (control.measured, *control.interval))
        assert f"{harm} [{low}, {high}]" in page


def test_the_readme_has_the_named_contrast_and_no_other_number():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    answer = readme[readme.index("**The answer so far.**") : readme.index("**What it is not.**")]
    primary = [row for row in whole(published("robustness")) if row.role == "primary"]
    named = [row for row in primary if row.method == "loss_free"]
    for row in named:
        value, interval, _ = in_words(row)
        assert re.search(rf"{re.escape(f'{value} {interval}')} \| \**{row.words}", answer), row.stressor.label
    printed = re.findall(r"[+\N{MINUS SIGN}]\d\.\d{3}(?= \[)", answer)
    assert set(printed) <= {in_words(row)[0] for row in primary}
    assert len(printed) == len(named) + 2


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
