"""A whole report: its question, its references, its verdicts and what the linter says of it."""

import json
import shutil

import pytest

from trimtab.claims import claim_verdict
from trimtab.errors import EvidenceError
from trimtab.review import report_check


@pytest.fixture(scope="module")
def folder(evidence_data, tmp_path_factory):
    path = tmp_path_factory.mktemp("sources")
    for name in ("2412.21199v2.md", "evalpro_leaderboard.csv"):
        shutil.copyfile(evidence_data / name, path / name)
    return path


@pytest.fixture(scope="module")
def seed(evidence_data, folder):
    return report_check.check(evidence_data / "seed_report.txt", folder)


def test_the_question_is_eight_cells_and_none_is_empty(seed):
    assert seed.question.methods == ("loss_free", "auxiliary_loss")
    assert seed.question.stressors == ("initialization", "capacity")
    assert seed.question.benchmarks == ("humaneval", "mbpp")
    assert len(seed.matrix) == 8
    assert {cell.joint for cell in seed.matrix} == {"no evidence: 4 records from 2 sources screened, 0 eligible"}


def test_the_gate_rejects_off_topic_references_with_a_reason(seed):
    reasons = {one.record: one.reason for one in seed.screened if not one.eligible}
    assert reasons["arxiv:2411.14865"] == "nothing of it is here to read"
    assert "it is of 2010-02" in reasons["arxiv:1002.1148"]
    assert "no term of methods" in reasons["arxiv:2412.21199"]


def test_a_reference_with_a_text_is_rejected_by_its_words(evidence_data, folder, tmp_path):
    sources = tmp_path / "sources"
    shutil.copytree(folder, sources)
    (sources / "2411.14865v1.md").write_text(
        "# Robustness of Optical Flow Estimation to Corruptions\n\nWe corrupt images.\n"
    )
    (sources / "2408.99999v1.md").write_text(
        "# ALF-LB\n\nALF-LB under a capacity factor of 1.0 on HumanEval loses little.\n"
    )
    report = tmp_path / "report.md"
    report.write_text((evidence_data / "seed_report.txt").read_text())
    reasons = {one.record: one for one in report_check.check(report, sources).screened}
    assert "off topic: no term of methods" in reasons["arxiv:2411.14865"].reason
    assert reasons[str(sources / "2408.99999v1.md")].eligible


def test_the_seed_report_fails_the_linter_for_these_reasons(seed):
    assert [finding.rule for finding in seed.findings] == [
        "question not answered",
        "number without claim",
        "claim without source",
        "reference not eligible",
        "confidence without calibration",
        "mark is wrong",
        "claim fails",
    ]
    marks = next(finding for finding in seed.findings if finding.rule == "mark is wrong")
    assert [place[:3] for place in marks.places] == ["c03", "c04", "c06", "c07"]
    assert seed.failed


def test_a_sound_report_has_no_findings(folder, tmp_path):
    report = tmp_path / "sound.md"
    report.write_text(
        "# Scores\n\n- o1-mini achieves 76.2% on HumanEval Pro (arXiv:2412.21199).\n"
        "- GPT-4o achieves 75.0% on HumanEval Pro (0-shot) (arXiv:2412.21199).\n"
    )
    found = report_check.check(report, folder)
    assert [verdict.fidelity for _, verdict in found.checked] == ["supported", "supported"]
    assert found.findings == ()
    assert not found.failed


def test_claims_can_come_from_a_file(seed, folder, tmp_path):
    claim_verdict.write(seed.checked, tmp_path)
    again = report_check.check(tmp_path / "claims.jsonl", folder)
    assert [verdict.words for _, verdict in again.checked if verdict.fidelity.fails] == [
        verdict.words for _, verdict in seed.checked if verdict.fidelity.fails
    ]
    assert len((tmp_path / "verdicts.jsonl").read_text().splitlines()) == 10


def test_the_record_is_json(seed):
    record = json.loads(json.dumps(seed.record()))
    assert len(record["claims"]) == 10


def test_sources_that_cannot_be_read_are_named(folder, tmp_path, evidence_data):
    sources = tmp_path / "sources"
    shutil.copytree(folder, sources)
    (sources / "broken.csv").write_bytes(b"\x00\x01")
    (sources / "out.md").symlink_to(evidence_data / "seed_report.txt")
    found = report_check.check(evidence_data / "seed_report.txt", sources)
    unread = {one.path: one.reason for one in found.unread}
    assert [one.path for one in found.hindered] == [str(sources / "broken.csv")]
    assert "not csv" in unread[str(sources / "broken.csv")]
    assert unread[str(sources / "out.md")] == "it is a link out of the folder"


def test_no_folder(tmp_path, evidence_data):
    with pytest.raises(EvidenceError, match="is no folder of sources"):
        report_check.check(evidence_data / "seed_report.txt", tmp_path / "none")


def test_a_person_s_certainty_is_kept_beside_the_computed_one(evidence_data, folder, tmp_path):
    path = tmp_path / "words.toml"
    path.write_text('[c02]\nword = "very low"\nreason = "one sentence"\nby = "A. Reader"\n')
    options = report_check.Options(overrides=path)
    found = report_check.check(evidence_data / "seed_report.txt", folder, options)
    verdict = next(verdict for claim, verdict in found.checked if claim.id == "c02")
    assert verdict.certainty == "very low"
    assert verdict.downgrades[-1] == "set to very low by A. Reader: one sentence (computed: moderate)"
    path.write_text('[c02]\nword = "sure"\nreason = "x"\nby = "y"\n')
    with pytest.raises(EvidenceError, match="no word of GRADE's"):
        report_check.check(evidence_data / "seed_report.txt", folder, options)
