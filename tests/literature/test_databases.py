"""What each database is asked, and what of its documented answers does not stand in the recordings."""

import json

import pytest

from trimtab.errors import SearchError
from trimtab.literature import catalogue, json_paths, search_plan
from trimtab.literature.arxiv import ARXIV
from trimtab.literature.crossref import CROSSREF
from trimtab.literature.database import Query
from trimtab.literature.dblp import DBLP
from trimtab.literature.openalex import OPENALEX
from trimtab.literature.request import ServerAnswer
from trimtab.literature.search_plan import Wishes
from trimtab.literature.semanticscholar import SEMANTIC_SCHOLAR
from trimtab.literature.transport import Unreadable

QUERY = Query(name="all", groups=(("loss-free balancing", "ALF-LB"), ("HumanEval",)))
FEED = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:o="http://a9.com/-/spec/opensearch/1.1/"
 xmlns:a="http://arxiv.org/schemas/atom"><o:totalResults>{total}</o:totalResults>{entries}</feed>"""
ENTRY = """<entry><id>http://arxiv.org/abs/2408.15664v1</id><title>A  title</title><summary>Text</summary>
<published>2024-08-28T00:00:00Z</published><updated>2024-08-29T00:00:00Z</updated>
<author><name>Lean Wang</name></author><a:comment>{comment}</a:comment><a:doi>10.1000/X</a:doi></entry>"""


def answer(body):
    raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    return ServerAnswer(status=200, body=raw, date="")


def test_a_page_is_as_long_as_what_is_wanted_and_at_most_a_hundred():
    for database, name in ((ARXIV, "max_results"), (OPENALEX, "per_page"), (CROSSREF, "rows"), (DBLP, "h")):
        sizes = [database.first(QUERY, limit).params[name] for limit in (7, 100, 500)]
        assert sizes == ["7", "100", "100"], name


def test_a_search_keeps_the_pause_each_database_asks_for(tmp_path):
    """Three seconds is arXiv's own rule; a faster one would get every user's network shut out."""
    names = ("arxiv", "openalex", "semanticscholar", "crossref", "dblp")
    wishes = Wishes(question="How robust is ALF-LB to expert capacity?", databases=names, texts=1)
    plan = search_plan.prepare(wishes)
    with catalogue.transport(plan.databases, tmp_path, "replay", texts=plan.wishes.hosts) as asking:
        assert asking.hosts == {
            "export.arxiv.org": 3.0, "api.openalex.org": 0.1, "api.semanticscholar.org": 1.0,
            "api.crossref.org": 0.2, "dblp.org": 1.0,
        }  # fmt: skip


def test_each_database_is_asked_in_its_own_language():
    assert ARXIV.first(QUERY, 500).params == {
        "search_query": '(all:"loss-free balancing" OR all:"ALF-LB") AND (all:HumanEval)',
        "sortBy": "relevance", "sortOrder": "descending", "start": "0", "max_results": "100",
    }  # fmt: skip
    assert OPENALEX.first(QUERY, 50).params == {
        "search": '("loss-free balancing" OR "ALF-LB") AND (HumanEval)', "per_page": "50", "cursor": "*"
    }  # fmt: skip
    papers, works = SEMANTIC_SCHOLAR.first(QUERY, 50), CROSSREF.first(QUERY, 50)
    assert papers.params["query"] == '("loss-free balancing" | "ALF-LB") + (HumanEval)'
    assert works.params["query.bibliographic"] == "loss-free balancing ALF-LB HumanEval"


def test_a_key_of_the_environment_is_sent_as_each_database_takes_it(monkeypatch):
    for variable in ("OPENALEX_API_KEY", "S2_API_KEY", "CROSSREF_MAILTO"):
        monkeypatch.setenv(variable, "K")
    assert OPENALEX.first(QUERY, 50).private == {"api_key": "K"}
    assert SEMANTIC_SCHOLAR.first(QUERY, 50).headers == {"x-api-key": "K"}
    assert CROSSREF.first(QUERY, 50).private == {"mailto": "K"}


def test_a_withdrawn_preprint_is_marked_and_its_published_version_kept_apart():
    page = ARXIV.read(ARXIV.first(QUERY, 1), answer(FEED.format(total=1, entries=ENTRY.format(comment="Withdrawn"))))
    work = page.records[0].work
    assert work.retraction.kind == "withdrawn"
    assert [(one.name, one.doi) for one in work.versions] == [("v1", ""), ("published", "10.1000/x")]
    assert work.title == "A title"


def test_a_page_arxiv_left_empty_is_unreadable_so_that_it_is_asked_for_again():
    with pytest.raises(Unreadable, match="empty page, though 7"):
        ARXIV.read(ARXIV.first(QUERY, 1), answer(FEED.format(total=7, entries="")))
    assert ARXIV.read(ARXIV.first(QUERY, 1), answer(FEED.format(total=0, entries=""))).records == ()


def test_retractions_are_read_from_the_work_and_from_the_notice():
    retracted = {"DOI": "10.1/A", "updated-by": [
        {"DOI": "10.1/N", "type": "correction"},
        {"DOI": "10.1/N", "type": "retraction", "updated": {"date-parts": [[2020, 2, 3]]}},
    ]}  # fmt: skip
    notice = {"DOI": "10.1/N", "update-to": [{"DOI": "10.1/A", "type": "retraction"}]}
    body = {"message-type": "work-list", "message": {"items": [retracted, notice, {}], "total-results": 2}}
    page = CROSSREF.read(CROSSREF.first(QUERY, 5), answer(body))
    work, told = page.records
    assert (work.work.retraction.kind, str(work.work.retraction.date)) == ("retraction", "2020-02-03")
    assert (told.kind, told.notices) == ("retraction notice", ("10.1/a",))
    assert page.skipped == ("an item without a DOI",)


def test_cursors_and_tokens_lead_on_and_end(monkeypatch):
    monkeypatch.setenv("CROSSREF_MAILTO", "a@b.c")
    item = {"DOI": "10.1/A"}
    body = {"message-type": "work-list", "message": {"items": [item], "next-cursor": "N==", "total-results": 2}}
    first = CROSSREF.first(QUERY, 5)
    following = CROSSREF.read(first, answer(body)).following(first)
    assert following.params["cursor"] == "N=="
    assert following.private == {"mailto": "a@b.c"}
    body["message"]["items"] = []
    assert CROSSREF.read(following, answer(body)).following(following) is None
    works = {"results": [{"id": "https://openalex.org/W1"}], "meta": {"count": 2, "next_cursor": "abc"}}
    first = OPENALEX.first(QUERY, 5)
    assert OPENALEX.read(first, answer(works)).following(first).params["cursor"] == "abc"
    works["meta"]["next_cursor"] = None
    assert OPENALEX.read(first, answer(works)).following(first) is None
    papers = {"total": 2, "token": "T", "data": [{"paperId": "p", "title": "x"}]}
    first = SEMANTIC_SCHOLAR.first(QUERY, 5)
    following = SEMANTIC_SCHOLAR.read(first, answer(papers)).following(first)
    assert following.params.items() >= {"token": "T"}.items()


def test_an_inverted_abstract_is_put_in_order_and_a_retraction_is_seen():
    work = {"id": "https://openalex.org/W1", "title": "T", "is_retracted": True,
            "abstract_inverted_index": {"loss": [2], "Without": [0], "a": [1]}}  # fmt: skip
    record = OPENALEX.read(OPENALEX.first(QUERY, 5), answer({"results": [work], "meta": {}})).records[0]
    assert record.work.abstract == "Without a loss"
    assert record.work.retraction is not None


@pytest.mark.parametrize("database", [ARXIV, CROSSREF, OPENALEX, SEMANTIC_SCHOLAR], ids=lambda one: one.name)
@pytest.mark.parametrize(
    "body", [b"", b"null", b"7", b'"text"', b"{}", b"<html></html>", b"\xff\xfe", b'{"message": 3}']
)
def test_anything_else_is_unreadable(database, body):
    with pytest.raises(Unreadable):
        database.read(database.first(QUERY, 5), answer(body))


def test_entities_in_a_feed_are_not_expanded():
    bomb = '<!DOCTYPE x [<!ENTITY a "b">]>' + FEED.format(total=1, entries=ENTRY.format(comment="&a;"))
    with pytest.raises(Unreadable, match="entities"):
        ARXIV.read(ARXIV.first(QUERY, 5), answer(bomb))


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a", "7"), ("b.0.c", "text"), ("b.1.c", ""), ("b.c", ""), ("d", ""), ("e", ""), ("zero", ""), ("a.x", "")],
)
def test_a_path_that_leads_to_no_text_is_empty(path, expected):
    """Numbers are written out; true, an object, an array and nothing are no text, wherever a database puts them."""
    assert json_paths.text({"a": 7, "b": [{"c": "text"}], "d": True, "e": {"x": 1}, "zero": 0}, path) == expected


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("url = 7", "url is 7, expected an address"),
        ('interval_s = "x"', "interval_s is 'x', expected seconds"),
        ('ulr = "x"', "unknown key 'ulr'"),
    ],
)
def test_a_file_of_databases_says_what_is_wrong_with_it(tmp_path, line, told):
    file = tmp_path / "databases.toml"
    file.write_text(f"[arxiv]\n{line}\n")
    with pytest.raises(SearchError, match=told):
        catalogue.named(["arxiv"], file)
