"""Every combination a question asks about gets words: claims, a study, both, or how many records were screened."""

import pytest

from trimtab.claims import question, report_claims
from trimtab.claims.claim_verdict import ClaimVerdict, Fidelity
from trimtab.claims.name_registry import Registry
from trimtab.claims.question import Screened
from trimtab.review import answer_matrix
from trimtab.study.table import StudyTable

REGISTRY = Registry.load()
ASKED = question.parse("How does ALF-LB fare under expert capacity on HumanEval and MBPP?", REGISTRY)
CLAIM = report_claims.claim("ALF-LB loses little under expert capacity on HumanEval.", REGISTRY)
SUPPORTED = ClaimVerdict(claim=CLAIM.id, fidelity=Fidelity.SUPPORTED, rule_path=("cell",), certainty="moderate")
SCREENED = [
    Screened(record="a", source="sources", eligible=False, reason=""),
    Screened(record="b", source="reference list", eligible=False, reason=""),
]


def test_without_evidence_a_cell_says_what_was_screened():
    cells = answer_matrix.build(ASKED, [], SCREENED, REGISTRY)
    assert [(one.benchmark, one.joint) for one in cells] == [
        (name, "no evidence: 2 records from 2 sources screened, 0 eligible") for name in ("humaneval", "mbpp")
    ]
    assert {one.study for one in cells} == {"not measured by us"}
    assert {one.certainty for one in cells} == {""}


def test_an_eligible_record_that_nobody_claims_from_is_said():
    eligible = [Screened(record="a", source="sources", eligible=True, reason="")]
    (one, _) = answer_matrix.build(ASKED, [], eligible, REGISTRY)
    assert one.literature == "no claim about it: 1 record from 1 source screened, 1 eligible"


def test_a_claim_answers_the_cell_it_names_and_no_other():
    one, other = answer_matrix.build(ASKED, [(CLAIM, SUPPORTED)], SCREENED, REGISTRY)
    assert (one.literature, one.certainty, one.claims) == ("1 claim: 1 supported", "moderate", (CLAIM.id,))
    assert other.claims == ()


@pytest.fixture(scope="module")
def table(synthetic, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    study = synthetic.Synthetic(seeds=3, units=6).write(folder)
    return StudyTable.load(folder, study)


def test_a_study_speaks_with_its_own_certainty_and_never_lends_it_to_claims(table):
    alone, unmeasured = answer_matrix.build(ASKED, [], SCREENED, REGISTRY, table)
    assert "loss_free loses" in alone.study
    assert "3 seeds" in alone.study
    measured, compared = alone.study.split("; ")
    row = next(
        one
        for one in table.answers
        if (one.stressor.factors, one.endpoint, one.method) == (("capacity",), "humaneval_nll", "loss_free")
    )
    assert measured.startswith("HumanEval")
    assert f"{row.difference.value:+.3f}" in compared
    assert compared.startswith("loss_free against aux_global under capacity=tight")
    assert compared.endswith(row.words)
    assert (alone.joint, alone.certainty) == ("our study only, at its own scale", "very low")
    assert alone.runs
    assert (unmeasured.study, unmeasured.runs) == ("not measured by us", ())
    both, _ = answer_matrix.build(ASKED, [(CLAIM, SUPPORTED)], SCREENED, REGISTRY, table)
    assert (both.joint, both.certainty) == ("literature and our study, side by side", "moderate")
