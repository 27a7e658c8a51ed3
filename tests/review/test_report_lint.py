"""One report per rule: what the linter finds, and that a sound report passes."""

import pytest

from trimtab.review import report_check

PAPER = (
    "# Paper\n\nTable 1: Pass@1 (%).\n\n| Model | HumanEval |\n|---|---|\n| GPT-4o | 90.2 |\n| GPT-4-Turbo | 88.0 |\n"
)
SOUND = "# Report\n\nGPT-4o achieves 90.2% on HumanEval (Table 1).\n"
ASKED = "Research question: Does ALF-LB lose more than others under expert capacity on HumanEval?"


@pytest.fixture
def lint(tmp_path):
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "paper.md").write_text(PAPER)

    def run(text):
        (tmp_path / "report.md").write_text(text)
        return {one.rule: one for one in report_check.check(tmp_path / "report.md", tmp_path / "sources").findings}

    return run


def test_a_sound_report_passes(lint):
    assert lint(SOUND) == {}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"# Report\n\n{ASKED}\n\n{SOUND[10:]}", "question not answered"),
        (SOUND.replace(" (Table 1)", ""), "claim without source"),
        (SOUND.replace("90.2", "91.2"), "claim fails"),
        (SOUND + "\nSee https://arxiv.org/abs/1002.1148 on it.\n\n" + ASKED + "\n", "reference not eligible"),
        (
            SOUND
            + "\n| Statement | Confidence |\n|---|---|\n| GPT-4o achieves 90.2% on HumanEval (Table 1). | 0.9 |\n",
            "confidence without calibration",
        ),
    ],
)
def test_each_rule_is_felt(lint, text, rule):
    assert rule in lint(text)


@pytest.mark.parametrize(
    ("value", "mark", "wrong"),
    [("90.2", "\u2713", False), ("90.2", "\u00d7", True), ("91.2", "\u2713", True), ("91.2", "no", False)],
)
def test_marks_are_held_against_what_was_found(lint, value, mark, wrong):
    statement = f"GPT-4o achieves {value}% on the HumanEval benchmark (Table 1)."
    text = f"| Statement | Verified |\n|---|---|\n| {statement} | {mark} |\n"
    assert ("mark is wrong" in lint(text)) == wrong


def test_a_confidence_with_its_set_passes(lint):
    table = "\n| Statement | Confidence |\n|---|---|\n| GPT-4o achieves 90.2% on HumanEval (Table 1). | 0.9 |\n"
    assert "confidence without calibration" not in lint(SOUND + table + "\nCalibrated on 120 labelled claims.\n")
