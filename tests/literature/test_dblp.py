"""DBLP by its documentation and by answers that others have printed: no recorded answer of it was at hand."""

import json

import pytest

from trimtab.literature.database import Query
from trimtab.literature.dblp import DBLP
from trimtab.literature.request import ServerAnswer
from trimtab.literature.transport import Unreadable


def hit(key, title, authors, **info):
    people = [{"@pid": "0/1", "text": name} for name in authors]
    held = people if len(people) != 1 else people[0]
    return {
        "@score": "3",
        "@id": key,
        "info": {"authors": {"author": held}, "title": title, "key": key, "url": f"https://dblp.org/rec/{key}", **info},
        "url": f"URL#{key}",
    }


def answer(hits, *, total, first=0):
    counts = {"@total": str(total), "@computed": str(total), "@sent": str(len(hits)), "@first": str(first)}
    whole = {"result": {"query": "a", "status": {"@code": "200", "text": "OK"}, "hits": {**counts, "hit": hits}}}
    if not hits:
        del whole["result"]["hits"]["hit"]
    return ServerAnswer(status=200, body=json.dumps(whole).encode(), date="")


QUERY = Query(name="all", groups=(("loss-free balancing", "ALF-LB"), ("HumanEval",)))
JOURNAL = hit(
    "journals/x/A1",
    "On Balance &amp; Loss.",
    ["Wei Wang 0001", "Ludwig van der Berg"],
    venue="J. Mach. Learn. Res.",
    year="2024",
    type="Journal Articles",
    doi="10.1000/ABC",
    ee="https://doi.org/10.1000/ABC",
    access="open",
)
PREPRINT = hit(
    "journals/corr/abs-2408-15664",
    "Auxiliary-Loss-Free Load Balancing.",
    ["Lean Wang"],
    venue="CoRR",
    year="2024",
    type="Informal and Other Publications",
    doi="10.48550/ARXIV.2408.15664",
    ee="https://doi.org/10.48550/arXiv.2408.15664",
)


def test_a_query_is_written_in_its_own_language():
    request = DBLP.first(QUERY, 1000)
    assert request.params == {
        "q": "loss-free-balancing|ALF-LB HumanEval", "format": "json", "h": "100", "f": "0", "c": "0"
    }  # fmt: skip


def test_hits_become_records():
    page = DBLP.read(DBLP.first(QUERY, 10), answer([JOURNAL, PREPRINT], total=2))
    journal, preprint = (one.work for one in page.records)
    assert journal.title == "On Balance & Loss"
    assert [str(one) for one in journal.authors] == ["Wang, Wei", "van der Berg, Ludwig"]
    assert (journal.id, journal.year, journal.versions[0].name) == ("doi:10.1000/abc", 2024, "published")
    assert (preprint.id, preprint.versions[0].name) == ("arxiv:2408.15664", "preprint")
    assert [one.family for one in preprint.authors] == ["Wang"]  # a single author is not in a list
    assert page.total == 2
    assert page.following(DBLP.first(QUERY, 10)) is None


def test_an_address_or_a_venue_may_be_one_of_several():
    several = hit(
        "conf/x/B1",
        "Loads.",
        ["A B"],
        venue=["ICML", "Workshop"],
        ee=["https://x.org/b.pdf", "https://y.org"],
        access="open",
    )
    (record,) = DBLP.read(DBLP.first(QUERY, 10), answer([several], total=1)).records
    assert (record.work.versions[0].venue, record.texts[0].url) == ("ICML", "https://x.org/b.pdf")


def test_what_is_alone_stands_in_no_array():
    alone = json.loads(answer([JOURNAL], total=1).body)
    alone["result"]["hits"]["hit"] = alone["result"]["hits"]["hit"][0]
    page = DBLP.read(DBLP.first(QUERY, 10), ServerAnswer(status=200, body=json.dumps(alone).encode(), date=""))
    assert [record.work.id for record in page.records] == ["doi:10.1000/abc"]


def test_pages_follow_until_all_hits_are_here():
    request = DBLP.first(QUERY, 1)
    page = DBLP.read(request, answer([JOURNAL], total=3))
    second = page.following(request)
    assert second.params["f"] == "1"
    last = DBLP.read(second, answer([JOURNAL, PREPRINT], total=3, first=1))
    assert last.following(second) is None


def test_no_hits_are_an_empty_page_and_a_gap_is_not():
    assert DBLP.read(DBLP.first(QUERY, 10), answer([], total=0)).records == ()
    with pytest.raises(Unreadable, match="empty page"):
        DBLP.read(DBLP.first(QUERY, 10), answer([], total=7))


@pytest.mark.parametrize("body", [b"", b"[]", b'{"result": 1}', b'{"result": {"hits": null}}', b"<html>"])
def test_anything_else_is_unreadable(body):
    with pytest.raises(Unreadable):
        DBLP.read(DBLP.first(QUERY, 10), ServerAnswer(status=200, body=body, date=""))
