"""Full texts: only from hosts that were named, under a stated open licence; what one place refuses another may give."""

from types import SimpleNamespace

import pytest

from trimtab.documents.work import Work
from trimtab.literature import dedup, fulltext, search_session
from trimtab.literature.database import Found, FullText
from trimtab.literature.retrieve import SearchLogEntry

PAGE = b"<html><head><title>T</title></head><body><p>ALF-LB loses little.</p></body></html>"


@pytest.fixture
def seek(serve, transport, reply):
    """Seek the full text of a work with these places, given as path and licence, on one server."""
    server = serve(lambda asked: reply(404) if asked.path == "/gone.html" else reply(body=PAGE))

    def make(*places):
        texts = tuple(FullText(url=f"{server.url}/{path}", licence=licence, version="v2") for path, licence in places)
        record = Found(work=Work(id="w:1", title="T"), database="A", texts=texts)
        (merged,) = dedup.deduplicate([record]).works
        found = fulltext.seek(merged, transport(server), (server.host,))
        return found, [asked.path for asked in server.asked]

    return make


def test_what_one_place_refuses_the_next_may_give(seek):
    found, asked = seek(("closed.html", ""), ("gone.html", "cc-by"), ("open.html", "cc-by-4.0"), ("more.html", "cc-by"))
    assert asked == ["/gone.html", "/open.html"]
    assert (found.work, found.version) == ("w:1", "v2")
    assert "ALF-LB loses little" in found.text


def test_every_refusal_is_told_once(seek):
    found, asked = seek(("a.html", ""), ("b.html", ""), ("gone.html", "cc-by"))
    assert asked == ["/gone.html"]
    assert (found.stage, found.included, found.category) == ("retrieval", False, "not open to us")
    assert found.reason.count("states no open licence (none)") == 1
    assert "status 404" in found.reason


def test_no_place_is_no_question(seek):
    found, asked = seek()
    assert (found.category, asked) == ("no full text known", [])


def test_the_date_of_a_search_is_the_day_of_its_last_answer():
    dates = ("2026-11-23T10:00:00+00:00", "", "2026-11-24T09:00:00+00:00", "2026-11-22T10:00:00+00:00")
    log = [SearchLogEntry(database="A", query="q", words="w", date=date) for date in dates]
    assert search_session.Search.date.fget(SimpleNamespace(log=log)) == "2026-11-24"
    assert search_session.Search.date.fget(SimpleNamespace(log=[])) == ""
