"""Counts that add up whatever was decided, facets, ranking, and the gate's reasons."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.claims.name_registry import Registry
from trimtab.documents.work import Author, Identifiers, Retraction, Work
from trimtab.errors import SearchError
from trimtab.literature import facets, prisma, record_order, screening
from trimtab.literature.database import Found, Query
from trimtab.literature.dedup import deduplicate
from trimtab.report import flow as drawing

QUESTION = "How robust is ALF-LB to expert capacity on HumanEval?"
REGISTRY = Registry.load()


def lost(work):
    return screening.ScreeningDecision(work=work, stage="retrieval", category="a", reason="b")


def record(number, database, arxiv):
    work = Work(id=f"w:{database}{number}", ids=Identifiers(arxiv=arxiv), authors=(Author(family="A"),))
    return Found(work=work, database=database)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["arXiv", "DBLP", "files"]), st.sampled_from(["", "1", "2", "3"])), max_size=12),
    st.data(),
)
def test_counts_add_up_whatever_was_found_and_decided(hits, data):
    records = [record(number, database, arxiv) for number, (database, arxiv) in enumerate(hits)]
    works = deduplicate(records).works
    ends = st.sampled_from(
        [("title and abstract", False), ("retrieval", False), ("full text", False), ("full text", True)]
    )
    decisions = []
    for merged in works:
        stage, included = data.draw(ends)
        reason = "" if included else data.draw(st.sampled_from(["off topic", "withdrawn"]))
        decisions.append(
            screening.ScreeningDecision(
                work=merged.work.id, stage=stage, included=included, category=reason, reason=reason
            )
        )
    places = (["arXiv", "DBLP"], ["files"])
    flow = prisma.count(works, decisions, *places)
    assert flow.identified == len(records)
    assert flow.sources == 3
    left = flow.duplicates + sum(
        count for part in (flow.excluded, flow.not_retrieved, flow.ineligible) for count in part.values()
    )
    assert flow.identified == left + flow.included
    drawn = dict(re.findall(r"<text[^>]*>([^<]+?) \(n = (\d+)\)</text>", drawing.draw(flow).svg))
    assert int(drawn["Records identified"]) == flow.identified
    assert int(drawn["Databases"]) + int(drawn["Other methods"]) == flow.identified
    again = int(drawn["duplicates among databases"]) + int(drawn["from other methods, found before"])
    assert again == flow.duplicates
    assert int(drawn["Works included"]) == flow.included >= int(drawn["by other methods alone"])
    elsewhere = [merged for merged in works if {one.database for one in merged.records} == {"files"}]
    assert flow.repeated_others <= sum(database == "files" for database, _ in hits) - len(elsewhere)
    with pytest.raises(SearchError, match="do not add up"):
        prisma.count(works, decisions[1:] if decisions else [lost("x")], *places)
    if any(one.database == "DBLP" for one in records):
        with pytest.raises(SearchError, match="do not add up"):
            prisma.count(works, decisions, ["arXiv"], ["files"])


def test_a_drawing_escapes_what_databases_are_called():
    flow = prisma.Flow(
        databases={"<script>&": 1}, others={}, duplicates=0, screened=1, excluded={"<b>": 1}, sought=0,
        not_retrieved={}, assessed=0, ineligible={}, included=0,
    )  # fmt: skip
    assert "<script>" not in drawing.draw(flow).svg
    assert "&lt;script&gt;&amp;" in drawing.draw(flow).svg


def test_a_question_becomes_facets_and_queries():
    question, found = facets.of_question(QUESTION, REGISTRY)
    assert [facet.name for facet in found] == ["methods", "stressors", "benchmarks"]
    assert question.cells == (("loss_free", "capacity", "humaneval"),)
    names = [query.name for query in facets.queries(found)]
    assert names == [
        "methods \u00d7 stressors \u00d7 benchmarks",
        "methods \u00d7 stressors",
        "methods \u00d7 benchmarks",
    ]
    assert "ALF-LB" in facets.queries(found)[0].groups[0]


def test_a_question_of_another_field_needs_facets_in_words():
    with pytest.raises(SearchError, match="names nothing that is known"):
        facets.of_question("Does tea help?", REGISTRY)
    _, (one, two) = facets.of_question("Does tea help?", REGISTRY, ["drink=green tea|coffee", "effect=sleep"])
    assert one.used("Two GREEN-TEAS a day", REGISTRY) == "GREEN-TEAS"
    assert one.used("greenteas", REGISTRY) == ""
    assert two.terms == ("sleep",)
    for wrong in ("tea", "=tea", "drink=", "drink= | "):
        with pytest.raises(SearchError, match="is not of the form"):
            facets.of_question("Does tea help?", REGISTRY, [wrong])


@pytest.fixture
def gate():
    return screening.RelevanceGate(facets=facets.of_question(QUESTION, REGISTRY)[1], registry=REGISTRY)


def merged(**changes):
    work = replace(
        Work(id="w:1", title="Auxiliary-loss-free load balancing", abstract="We balance.", year=2025), **changes
    )
    return deduplicate([Found(work=work, database="A")]).works[0]


@pytest.mark.parametrize(
    ("changes", "category"),
    [
        ({}, None),
        ({"title": "A study", "abstract": "Token dropping and HumanEval"}, None),
        ({"title": "A study", "abstract": "Token dropping"}, "off topic"),
        ({"title": "A study", "abstract": ""}, "off topic"),
        ({"year": 2019}, "older than what it should be about"),
        ({"year": 2024}, None),  # of the year in which ALF-LB began, in August
        ({"retraction": Retraction(kind="retraction", notice="10.1/n")}, "withdrawn"),
    ],
)
def test_the_gate_by_title_and_abstract(gate, changes, category):
    decision = gate.first(merged(**changes))
    assert (decision.category if decision else None) == category
    assert decision is None or decision.reason


def test_the_gate_by_full_text_names_what_is_missing(gate):
    out = gate.second("w:1", "ALF-LB on HumanEval")
    assert (out.included, out.category) == (False, "off topic")
    assert "stressors" in out.reason
    kept = gate.second("w:1", "ALF-LB at a tight capacity on HumanEval")
    assert kept.included
    assert kept.uses == {"methods": "ALF-LB", "stressors": "tight capacity", "benchmarks": "HumanEval"}


def test_ranking_finds_stems_and_fusion_is_by_rank():
    works = [
        Work(id="a", title="Cooking", abstract="nothing"),
        Work(id="b", title="Balanced loads", abstract="of experts"),
        Work(id="c", title="Experts", abstract="balancing of loads among experts"),
    ]
    assert set(record_order.by_words(works, ["load balancing", "expert"])) == {"b", "c"}
    assert record_order.by_words(works, ['"; DROP TABLE record; --']) == []
    assert record_order.fuse(["a", "b", "c"], ["c", "b"]) == ["c", "b", "a"]


def test_a_facet_is_as_old_as_the_oldest_of_its_names():
    _, found = facets.of_question("Does ALF-LB beat the auxiliary loss on HumanEval?", REGISTRY)
    years = [REGISTRY.entries["methods"][name].since for name in ("loss_free", "auxiliary_loss")]
    assert found[0].since == min(years) != max(years)


def test_a_phrase_is_searched_for_as_one_and_cannot_break_out():
    query = Query(name="q", groups=(("MBPP", "HumanEval+", "token dropping"), ("aux-loss", 'x" OR "y')))
    assert str(query) == '(MBPP OR HumanEval+ OR "token dropping") AND ("aux-loss" OR "x  OR  y")'


def test_a_word_in_the_title_counts_more_than_one_in_the_abstract():
    works = [
        Work(id="a", title="Notes on tea", abstract="Balancing"),
        Work(id="b", title="Balancing", abstract="Notes on tea"),
        Work(id="c", title="Bridges", abstract="of steel"),
    ]
    assert record_order.by_words(works, ["balancing"]) == ["b", "a"]
