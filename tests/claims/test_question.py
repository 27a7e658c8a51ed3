"""What a question asks for, and which records bear on it."""

import itertools

import pytest

from trimtab.claims import question
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader
from trimtab.documents.work import Identifiers, Work

REGISTRY = Registry.load()
ASKED = (
    "How do ALF-LB and the auxiliary loss fare under expert initialization and expert capacity on HumanEval and MBPP?"
)


def read(text, name="report.md"):
    return reader.read_bytes(text.encode(), name)


def test_a_question_is_every_combination_of_what_it_names():
    asked = question.parse(ASKED, REGISTRY)
    product = itertools.product(("loss_free", "auxiliary_loss"), ("initialization", "capacity"), ("humaneval", "mbpp"))
    assert asked.cells == tuple(product)


def test_a_facet_that_is_not_named_is_not_asked_for():
    asked = question.parse("Is ALF-LB robust?", REGISTRY)
    assert (asked.facets(), asked.cells) == ({"methods": ("loss_free",)}, ())
    assert question.parse("Is it raining in the hills?", REGISTRY) is None


def test_of_several_questions_the_one_with_most_facets_is_answered():
    text = f"# Report\n\nWhat is HumanEval, one may ask?\n\nResearch question: {ASKED}\n\nShall we say more of MBPP?\n"
    assert question.asked_in(read(text), REGISTRY).text == ASKED
    assert question.asked_in(read("# Report\n\nNothing is asked here.\n"), REGISTRY) is None


RECORDS = {
    "arxiv:2408.15664": (True, "uses ALF-LB, expert capacity, HumanEval"),
    "arxiv:2501.00001": (False, "off topic: no term of stressors (expert initialization, expert capacity)"),
    "arxiv:1002.1148": (False, "there was no ALF-LB or auxiliary loss before"),
    "arxiv:2412.99999": (False, "nothing of it is here to read"),
}


@pytest.mark.parametrize("record", RECORDS)
def test_each_record_is_in_or_out_with_its_reason(record):
    works = [
        Work(
            id="arxiv:2408.15664",
            title="ALF-LB at a tight expert capacity",
            abstract="We measure on HumanEval.",
            ids=Identifiers(arxiv="2408.15664"),
        ),
        Work(id="arxiv:2501.00001", title="ALF-LB on HumanEval", ids=Identifiers(arxiv="2501.00001")),
        Work(id="arxiv:1002.1148", title="ALF-LB, expert capacity, HumanEval", ids=Identifiers(arxiv="1002.1148")),
    ]
    sources = Sources.build([read("# Flow\n\nOf water.\n", "flow.md")], works, REGISTRY)
    found = {one.record: one for one in question.screen(question.parse(ASKED, REGISTRY), tuple(RECORDS), sources)}
    eligible, reason = RECORDS[record]
    assert found[record].eligible == eligible
    assert reason in found[record].reason
    assert found["flow.md"].source == "sources"
    assert not found["flow.md"].eligible


def test_a_text_read_for_a_reference_is_not_screened_twice():
    paper = read("# 2408.15664\n\nALF-LB at a tight expert capacity on HumanEval.\n", "2408.15664.md")
    sources = Sources.build([paper], [], REGISTRY)
    (one,) = question.screen(question.parse(ASKED, REGISTRY), ("arxiv:2408.15664",), sources)
    assert (one.source, one.eligible) == ("reference list", True)
