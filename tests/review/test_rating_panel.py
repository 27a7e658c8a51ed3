"""Checklist, ratings, and whether planted errors are noticed, on the review of the shipped figures."""

import json
from dataclasses import asdict, replace

import pytest

from trimtab.claims.claim_verdict import CheckedClaim
from trimtab.disk import write_lines
from trimtab.errors import EvidenceError
from trimtab.literature import published_figures, search_plan, search_session
from trimtab.review import checklist, draft_writer, planted_errors, rating_panel
from trimtab.review.draft import TracedSentence
from trimtab.review.rater_agreement import Alpha
from trimtab.review.rating_items import ITEMS
from trimtab.review.rating_panel import Rating

QUESTION = (
    "How robust is ALF-LB to expert initialization and to expert capacity constraints, on HumanEval, MBPP,"
    " HumanEval Pro and MBPP Pro, against auxiliary-loss methods?"
)


@pytest.fixture(scope="module")
def draft(tmp_path_factory):
    plan = search_plan.prepare(search_plan.Wishes(question=QUESTION, corpora=("alf-lb",)))
    found = search_session.search(plan, tmp_path_factory.mktemp("review"), "offline", tell=str)
    assert found.requests == 0
    return draft_writer.answer(found)


def test_the_review_of_the_shipped_figures_passes_and_tells_the_two_versions_that_are_not_recorded(draft):
    """Which version of these two was read is not in our notes: a limit says so, and without it the checklist fails."""
    assert [check.name for check in checklist.check(draft) if not check.holds] == []
    (told,) = (said.text for said in draft.limits if "not recorded" in said.text)
    assert '"arxiv:2101.03961"' in told
    assert '"arxiv:2501.11873"' in told
    assert any(
        "Of 12 works assessed by it, figures and notes were read, not the paper." in one.text for one in draft.limits
    )
    silent = replace(draft, limits=tuple(said for said in draft.limits if "not recorded" not in said.text))
    failed = {check.name: check.places for check in checklist.check(silent) if not check.holds}
    name = "each reference says which version was read, or the limits that it is not recorded"
    assert set(failed[name]) == {"arxiv:2101.03961", "arxiv:2501.11873"}
    unsaid = [replace(one, version="") for one in draft.references]
    failed = {check.name: check.places for check in checklist.check(replace(draft, references=unsaid))}
    assert "arxiv:2412.19437" in failed[name]


def test_the_shipped_works_have_full_titles_authors_and_years():
    for record in published_figures.load("alf-lb").records:
        assert len(record.work.title.split()) >= 3, record.work.id
        assert record.work.authors, record.work.id
        assert record.work.year, record.work.id
        assert "not recorded" not in [version.name for version in record.work.versions]


def test_the_matrix_says_what_there_is_and_what_there_is_not(draft):
    answers = {(one.cell.method, one.cell.stressor, one.cell.benchmark): one for one in draft.answers}
    assert len(answers) == 16
    one = answers["loss_free", "capacity", "humaneval"]
    assert one.cell.literature == "no evidence: 19 records from 1 source screened, 0 eligible"
    nearest = draft.claims[one.near[0]][0].statement
    assert "pass@1 on HumanEval, 0-shot is higher by 0.6 points, 22.6 against 22.0 (DeepSeek-V3, Table 5)" in nearest
    assert all(draft.claims[name][1].fidelity.holds for name in one.near)
    capacity = [draft.claims[name][0].statement for name in answers["auxiliary_loss", "capacity", "mbpp"].elsewhere]
    assert any("capacity factor 1.0): negative log perplexity is -1.572" in statement for statement in capacity)
    assert all(verdict.fidelity.holds for _, verdict in draft.near)


def test_a_figure_keeps_its_unit_and_only_percent_is_a_percentage(draft):
    units = {name: draft.claims[f"arxiv:2412.19437#{name}"][0].facts[0].value.unit for name in ("61", "77")}
    assert units == {"61": "%", "77": ""}  # pass@1 in percent, validation loss in nats


@pytest.mark.parametrize(
    ("plant", "rule"),
    [
        ("numbers changed", "each number is traced to a count or a claim"),
        ("works taken away", "each claim points to a passage, a cell or a run"),
        ("answer removed", "each combination is answered or says what was screened"),
        ("conflicts and limits left out", "limits are stated, and what was not read is counted"),
        ("far too firm", "each number is traced to a count or a claim"),
    ],
)
def test_the_checklist_notices_each_planted_error(draft, plant, rule):
    failed = {check.name for check in checklist.check(planted_errors.planted(draft)[plant]) if not check.holds}
    assert rule in failed


def scored(reviewer, scores, version=""):
    return [
        Rating(reviewer=reviewer, item=item.id, score=score, version=version)
        for item, score in zip(ITEMS, scores, strict=True)
    ]


def test_a_panel_that_agrees_gets_a_mean_and_one_that_does_not_gets_none():
    agreeing = [*scored("A", (5, 1, 4, 2, 5, 1)), *scored("B", (5, 1, 4, 2, 5, 2)), *scored("C", (5, 1, 5, 2, 5, 1))]
    found = rating_panel.panel(agreeing)
    assert found.agreement.low > 0.4
    assert found.mean == pytest.approx(sum(one.score for one in agreeing) / 18)
    assert found.scores("sources") == (4, 4, 5)
    arguing = [*scored("A", (5, 1, 4, 2, 5, 1)), *scored("B", (1, 5, 2, 4, 1, 5)), *scored("C", (3, 3, 3, 3, 3, 3))]
    assert rating_panel.panel(arguing).mean is None
    assert "no opinion in common" in rating_panel.panel(arguing).why
    assert "a panel has at least 3" in rating_panel.panel(agreeing[:12]).why
    assert rating_panel.panel(scored("A", (None,) * 6)).agreement is None


def test_ratings_of_planted_copies_are_no_opinion_on_the_review():
    given = [Rating(reviewer=who, item="answer", score=5) for who in "abc"]
    planted = [Rating(reviewer=who, item="answer", score=1, version="answer removed") for who in "abcd"]
    found = rating_panel.panel([*given, *planted])
    assert found.scores("answer") == (5, 5, 5)
    assert found.reviewers == ("a", "b", "c")


def test_a_planted_silence_leaves_out_conflicts_too(draft):
    contested = replace(draft, conflicts=(TracedSentence(text="Contested: something."),))
    silent = planted_errors.planted(contested)["conflicts and limits left out"]
    assert (silent.conflicts, silent.limits) == ((), ())


def test_a_mean_needs_the_lower_end_of_agreement_and_not_its_middle():
    agreed = Alpha(value=0.6, low=0.39, high=0.8, units=6, ratings=18)
    mean, why = rating_panel.mean_of([4.0, 5.0], agreed, 3)
    assert mean is None
    assert "its lower end is under 0.4" in why
    assert rating_panel.mean_of([4.0, 5.0], replace(agreed, low=0.4), 3) == (4.5, "")


def test_full_texts_that_were_not_read_are_counted_among_the_limits(draft):
    lost = replace(draft, flow=replace(draft.flow, not_retrieved={"not fetched": 3}))
    failed = {check.name: check.places for check in checklist.check(lost)}
    assert failed["limits are stated, and what was not read is counted"] == (
        "3 full texts were not read, and it is not said",
    )
    said = TracedSentence(text="The full text of 3 works was not read.", counts={"not retrieved": 3})
    failed = {check.name: check.places for check in checklist.check(replace(lost, limits=(*draft.limits, said)))}
    assert failed["limits are stated, and what was not read is counted"] == ()


def test_a_claim_that_points_nowhere_is_noticed(draft):
    (claim, verdict), *others = draft.near
    nowhere = replace(verdict, evidence=tuple(replace(one, target=None) for one in verdict.evidence))
    failed = {
        check.name: check.places
        for check in checklist.check(replace(draft, near=(CheckedClaim(claim, nowhere), *others)))
    }
    assert failed["each claim points to a passage, a cell or a run"] == (claim.id,)


def test_planted_versions_are_compared_by_reviewer_and_item():
    own = [*scored("A", (5, 5, 4, 4, 5, 3)), *scored("B", (4, 5, 4, 4, None, 3))]
    noticing = scored("A", (5, 1, 4, 4, 5, 3), "numbers changed") + scored("B", (4, 2, 4, 4, 1, 3), "numbers changed")
    blind = scored("A", (5, 5, 4, 4, 5, 3), "works taken away") + scored("C", (1,) * 6, "works taken away")
    found = planted_errors.compare([*own, *noticing, *blind])
    assert [(one.plant, one.noticed, one.ratings) for one in found] == [
        ("numbers changed", True, 11), ("works taken away", False, 6)
    ]  # fmt: skip


def test_ratings_come_back_from_a_file_and_wrong_ones_are_named(tmp_path):
    path = tmp_path / "reviews.jsonl"
    given = scored("Ada", (1, 2, 3, 4, 5, None))
    write_lines(path, map(asdict, given))
    assert list(rating_panel.load(path)) == given
    for wrong, why in (
        ({"reviewer": "A", "item": "numbers", "score": 6}, "a score is 1 to 5"),
        ({"reviewer": "A", "item": "numbers", "score": True}, "a score is 1 to 5"),
        ({"reviewer": "A", "item": "nmbers", "score": 1}, "no item 'nmbers'"),
        ({"reviewer": "A"}, "is no rating"),
        ("x", "is no JSON"),
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(EvidenceError, match=f"line 1.*{why}"):
            rating_panel.load(path)


def test_a_separator_of_lines_within_a_reason_ends_no_line_of_the_file(tmp_path):
    given = rating_panel.Rating(reviewer="A", item=ITEMS[0].id, score=3, why="one\u2028two\x85three")
    path = tmp_path / "ratings.jsonl"
    write_lines(path, [asdict(given)], ensure_ascii=False)
    assert rating_panel.load(path) == (given,)
