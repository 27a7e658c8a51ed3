"""Every combination a question asks about gets words: claims, a study, both, or how many records were screened."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from trimtab import stats
from trimtab.claims import question, report_claims
from trimtab.claims.claim_verdict import CheckedClaim, ClaimVerdict, Fidelity
from trimtab.claims.name_registry import Registry
from trimtab.review import answer_matrix
from trimtab.review.answer_matrix import ScreeningCounts
from trimtab.study.table import StudyTable

REGISTRY = Registry.load()
ASKED = question.parse("How does ALF-LB fare under expert capacity on HumanEval and MBPP?", REGISTRY)
CLAIM = report_claims.claim("ALF-LB loses little under expert capacity on HumanEval.", REGISTRY)
SUPPORTED = ClaimVerdict(claim=CLAIM.id, fidelity=Fidelity.SUPPORTED, rule_path=("cell",), certainty="moderate")


def screened(names):
    return ScreeningCounts(records=2, sources=2, eligible=0)


def test_without_evidence_a_cell_says_what_was_screened():
    cells = answer_matrix.build(ASKED, [], screened, REGISTRY)
    assert [(one.benchmark, one.joint) for one in cells] == [
        (name, "no evidence: 2 records from 2 sources screened, 0 eligible") for name in ("humaneval", "mbpp")
    ]
    assert {one.study for one in cells} == {"not measured by us"}
    assert {one.certainty for one in cells} == {""}


def test_an_eligible_record_that_nobody_claims_from_is_said():
    (one, other) = answer_matrix.build(
        ASKED, [], lambda names: ScreeningCounts(records=1, sources=1, eligible=int("mbpp" in names)), REGISTRY
    )
    assert one.literature == "no evidence: 1 record from 1 source screened, 0 eligible"
    assert other.literature == "no claim about it: 1 record from 1 source screened, 1 eligible"


def test_a_claim_answers_the_cell_it_names_and_no_other():
    one, other = answer_matrix.build(ASKED, [CheckedClaim(CLAIM, SUPPORTED)], screened, REGISTRY)
    assert (one.literature, one.certainty, one.claims) == ("1 claim: 1 supported", "moderate", (CLAIM.id,))
    assert other.claims == ()


@pytest.fixture(scope="module")
def table(synthetic, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    study = synthetic.Synthetic(seeds=3, units=6).write(folder)
    return StudyTable.load(folder, study)


def test_a_study_speaks_with_its_own_certainty_and_never_lends_it_to_claims(table):
    alone, unmeasured = answer_matrix.build(ASKED, [], screened, REGISTRY, [table])
    assert "loss_free loses" in alone.study
    assert "3 seeds" in alone.study
    measured, compared = alone.study.split("; ")
    row = next(
        one
        for one in table.answers
        if (one.stressor.factors, one.endpoint, one.method) == (("capacity",), "humaneval_nll", "loss_free")
    )
    assert measured.startswith("HumanEval")
    # What rounds to zero has no minus before it.
    assert f"{round(row.difference.value, 3) + 0.0:+.3f}" in compared
    assert "-0.000" not in alone.study
    assert compared.startswith("loss_free against aux_global under capacity=tight")
    assert compared.endswith(row.words)
    verdict = f"(loss_free against aux_global: {row.words} under tight)"
    assert (alone.joint, alone.certainty) == (f"our study only, at its own scale {verdict}", "very low")
    assert alone.runs
    assert (unmeasured.study, unmeasured.runs) == ("not measured by us", ())
    both, _ = answer_matrix.build(ASKED, [CheckedClaim(CLAIM, SUPPORTED)], screened, REGISTRY, [table])
    assert both.joint == f"literature and our study, side by side {verdict}"
    assert both.certainty == "very low"  # the lowest of both


@pytest.mark.parametrize(
    ("word", "other", "together"),
    [("better", "better", "better"), ("better", "worse", "undecided"), ("equivalent", "undecided", "undecided")],
)
def test_two_studies_say_together_what_both_say_and_are_both_named(table, word, other, together):
    """The same study twice, under two names and with verdicts put in: only what both say is said together."""

    def named(name, verdict):
        changes = {"verdict": stats.VerdictWord(verdict), "waiting": (), "seeds": (0, 1, 2)}
        return SimpleNamespace(
            study=replace(table.study, name=name),
            degradations=table.degradations,
            answers=[replace(one, **changes) for one in table.answers],
        )

    cell, _ = answer_matrix.build(ASKED, [], screened, REGISTRY, [named("first", word), named("second", other)])
    both = f"(loss_free against aux_global: {together} under tight)"
    assert cell.joint == f"our studies first and second only, each at its own scale {both}"
    assert cell.studies == ("first", "second")
    assert [part.split(": ")[0] for part in cell.study.split("; ")] == ["first", "first", "second", "second"]
