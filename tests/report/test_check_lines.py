"""What a check prints: what was found and where, a line a finding, and what was not decided."""

import pytest
from click.testing import CliRunner

from trimtab.cli.main import main
from trimtab.report import check_lines
from trimtab.review import report_check

TABLE = "| System | HumanEval | FrobQA |\n|---|---|---|\n| Kestrel-8B | 71.3 | 33.5 |\n| Wren-1B | 25.6 | 12.4 |\n"
REPORT = """# Report

Kestrel-8B scores 70.3 on HumanEval. Kestrel-8B beats Wren-1B on HumanEval. Quantized Kestrel-8B scores 60.2 on FrobQA.
Kestrel-8B was trained for HumanEval and much else by us. Heron-9B scores 44.4 on FrobQA.

| System | FrobQA |
|---|---|
| Kestrel-8B | 33.5 |
| Wren-1B | 13.4 |
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "paper.md").write_text(f"# Paper\n\n{TABLE}")
    (tmp_path / "report.md").write_text(REPORT)
    return tmp_path


def told(place, **options):
    return list(check_lines.lines(report_check.check(place / "report.md", place / "sources"), **options))


def run(*arguments):
    return CliRunner().invoke(main, ["evidence", "check", *map(str, arguments)])


def test_each_decision_comes_with_the_value_and_its_place(place):
    text = "\n".join(told(place))
    cell = "[{}: table 1, row Kestrel-8B, column HumanEval (line 5)]".format(place / "sources" / "paper.md")
    assert f"Kestrel-8B on HumanEval: 70.3: the table has 71.3  {cell}" in text
    assert f"computed from the cells, 71.3 \u2212 25.6 = 45.7  {cell}" in text
    assert "partly read                        Quantized Kestrel-8B" in text
    assert "not understood: 'Quantized'" in text


def test_a_table_of_the_report_is_checked_in_every_column(place):
    lines = told(place)
    assert any(line.startswith("c06  supported") and "Kestrel-8B | FrobQA: 33.5" in line for line in lines)
    assert any(line.startswith("c07  contradicted") and "Wren-1B | FrobQA: 13.4" in line for line in lines)


def test_what_is_not_shown_is_counted_and_can_be_shown(place):
    assert not any("Heron-9B" in line for line in told(place))
    assert any(line.startswith("not shown: 2 claims (not found 2)") for line in told(place))
    assert any("Heron-9B" in line for line in told(place, every=True))


def test_exit_codes_name_what_was_not_read(place):
    report, sources = place / "report.md", place / "sources"
    assert run(report, "--sources", sources).exit_code == 1
    report.write_text("Kestrel-8B scores 71.3 on HumanEval.\n")
    assert run(report, "--sources", sources).exit_code == 0
    (sources / "notes.md").write_text("")
    done = run(report, "--sources", sources)
    assert (done.exit_code, "notes.md is empty" in done.output) == (2, True)
    (sources / "notes.md").unlink()
    (sources / "data.zip").write_bytes(b"PK")  # passed over on purpose
    assert run(report, "--sources", sources).exit_code == 0


def test_a_folder_without_documents_is_no_pass(place):
    (place / "empty").mkdir()
    assert run(place / "report.md", "--sources", place / "empty").exit_code == 2
    (place / "report.md").write_text("\n")
    done = run(place / "report.md", "--sources", place / "sources")
    assert done.exit_code == 2


def test_a_report_without_claims_says_so(place):
    (place / "report.md").write_text(
        "# Notes\n\n```\nfoo --score 61.5 on HumanEval\n```\n\nLicensed under the MIT License.\n"
    )
    assert told(place)[0].startswith("nothing to check")


def test_one_claim_is_not_called_claims(place):
    (place / "report.md").write_text("Kestrel-8B scores 71.3 on HumanEval.\n")
    assert any(line.startswith("1 claim: 1 supported") for line in told(place))


def test_what_is_worth_a_look_comes_behind_the_accused_and_changes_the_exit_code_only_when_asked(place):
    report = place / "report.md"
    look = "Kestrel-8B, quantized by a friend, came in at 71.9 on HumanEval."
    report.write_text(f"Kestrel-8B scores 71.3 on HumanEval. {look}\n")
    lines = told(place)
    at = lines.index("worth a look (nothing is decided):")
    assert lines[at + 1].endswith(look)
    assert "71.9 is in no cell" in lines[at + 2]
    assert "71.3" in lines[at + 2]
    assert any(line.endswith("; 1 worth a look") for line in lines)
    assert any("supported" in line for line in lines[at + 3 :])
    assert run(report, "--sources", place / "sources").exit_code == 0
    done = run(report, "--sources", place / "sources", "--strict", "-o", place / "out")
    assert done.exit_code == 1
    assert "71.9 is in no cell" in (place / "out" / "report.md").read_text()
    assert "71.9 is in no cell" in (place / "out" / "verdicts.jsonl").read_text()
    report.write_text(f"Kestrel-8B scores 70.3 on HumanEval. {look}\n")
    lines = told(place)
    assert "contradicted" in lines[0]
    assert lines.index("worth a look (nothing is decided):") > 0
