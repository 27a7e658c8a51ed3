"""A loopback set of databases: each answers in its own format, with paging, from the records it is given."""

import json
from html import escape

PREFIXES = ("arxiv", "openalex", "semanticscholar", "crossref", "dblp")


def paged(records, start, size):
    return records[start : start + size], start + size


def arxiv(records, query):
    page, _ = paged(records, int(query["start"]), min(int(query["max_results"]), 7))
    entries = "".join(
        f"<entry><id>http://arxiv.org/abs/{one['arxiv']}v1</id><title>{escape(one['title'])}</title>"
        f"<summary>{escape(one['abstract'])}</summary><published>{one['year']}-01-01T00:00:00Z</published>"
        f"<updated>{one['year']}-01-01T00:00:00Z</updated>"
        + "".join(f"<author><name>{escape(name)}</name></author>" for name in one["authors"])
        + "</entry>"
        for one in page
    )
    return (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:o="http://a9.com/-/spec/opensearch/1.1/">'
        f"<o:totalResults>{len(records)}</o:totalResults>{entries}</feed>"
    ).encode()


def openalex(records, query):
    start = 0 if query["cursor"] == "*" else int(query["cursor"])
    page, end = paged(records, start, 6)
    works = [
        {
            "id": f"https://openalex.org/W{one['number']}",
            "doi": f"https://doi.org/{one['doi']}",
            "title": one["title"],
            "publication_year": one["year"],
            "authorships": [{"author": {"display_name": name}} for name in one["authors"]],
            "abstract_inverted_index": {word: [at] for at, word in enumerate(one["abstract"].split())},
        }
        for one in page
    ]
    following = str(end) if end < len(records) else None
    return json.dumps({"results": works, "meta": {"count": len(records), "next_cursor": following}}).encode()


def semanticscholar(records, query):
    page, end = paged(records, int(query.get("token", 0)), 5)
    papers = [
        {
            "paperId": f"{one['number']:040x}",
            "title": one["title"],
            "abstract": one["abstract"],
            "year": one["year"],
            "authors": [{"name": name} for name in one["authors"]],
            "externalIds": {"DOI": one["doi"]},
        }
        for one in page
    ]
    whole = {"total": len(records), "data": papers}
    return json.dumps(whole | ({"token": str(end)} if end < len(records) else {})).encode()


def crossref(records, query):
    start = 0 if query["cursor"] == "*" else int(query["cursor"])
    page, end = paged(records, start, 8)
    items = [
        {
            "DOI": one["doi"].upper(),
            "title": [one["title"]],
            "issued": {"date-parts": [[one["year"]]]},
            "author": [{"family": name.split()[-1], "given": name.split()[0]} for name in one["authors"]],
            "type": "journal-article",
        }
        for one in page
    ]
    message = {"items": items, "total-results": len(records), "next-cursor": str(end) if page else None}
    return json.dumps({"message-type": "work-list", "message": message}).encode()


def dblp(records, query):
    page, _ = paged(records, int(query["f"]), min(int(query["h"]), 9))
    hits = [
        {"info": {"title": f"{one['title']}.", "year": str(one["year"]), "key": f"x/{one['number']}",
                  "authors": {"author": [{"text": name} for name in one["authors"]]}, "doi": one["doi"],
                  "type": "Journal Articles"}}
        for one in page
    ]  # fmt: skip
    counts = {"@total": str(len(records)), "@first": query["f"], "@sent": str(len(page))}
    return json.dumps({"result": {"hits": {**counts, "hit": hits}}}).encode()


ANSWERS = {"arxiv": arxiv, "openalex": openalex, "semanticscholar": semanticscholar, "crossref": crossref, "dblp": dblp}
