"""Every recorded answer parses into records or is out of scope for a stated reason, as many as an independent count."""

import json
import re
from collections import Counter
from urllib.parse import urlsplit

import pytest

from trimtab.literature.arxiv import ARXIV
from trimtab.literature.crossref import CROSSREF
from trimtab.literature.openalex import OPENALEX
from trimtab.literature.semanticscholar import SEMANTIC_SCHOLAR
from trimtab.literature.transport import Unreadable

READERS = {
    "api.crossref.org": CROSSREF,
    "api.semanticscholar.org": SEMANTIC_SCHOLAR,
    "api.openalex.org": OPENALEX,
    "export.arxiv.org": ARXIV,
}
# What a search never asks for, by address: the reason it is out of scope.
OUT = (
    (r"^https://doi\.org/", "a resolver, not a database"),
    (r"api\.unpaywall\.org/", "Unpaywall has no connector"),
    (r"api\.(openai|anthropic)\.com/", "a language model"),
    (r"select=open_access", "a work of which only whether it is open was asked"),
    (r"crossref\.org/.*/transform", "a citation in BibTeX, CSL or RIS: a file to import, not an answer of a search"),
    (r"crossref\.org/works/[^?]*/agency", "which agency registered a DOI"),
    (r"crossref\.org/(funders|members|journals|prefixes|types|licenses)(/[^/]+(/\d+)?)?(\?|$)", "no works are listed"),
    (r"semanticscholar\.org/graph/v1/author(/\d+|/batch|/search)(\?|$)", "authors"),
    (r"semanticscholar\.org/graph/v1/paper/.*/authors", "authors of a paper"),
    (r"semanticscholar\.org/graph/v1/snippet", "snippets name their paper by corpus id only"),
    (r"semanticscholar\.org/datasets", "releases of the data"),
    (
        r"semanticscholar\.org/graph/v1/paper/(?!search)",
        "one paper, several by their numbers, or what one cites",
    ),
    (r"semanticscholar\.org/recommendations", "papers like others"),
    (r"crossref\.org/.*content|citeproc", "one work in CSL-JSON: a file to import"),
)


def out_of_scope(url):
    return next((reason for pattern, reason in OUT if re.search(pattern, url)), "")


def expected(host, body):
    """Count records without the reader."""
    if host == "export.arxiv.org":
        return body.count(b"<entry>") - body.count(b"/api/errors#")
    whole = json.loads(body)
    if host == "api.semanticscholar.org":
        return len(set(re.findall(rb'"paperId": ?"([0-9a-f]{40})"', body)))
    if host == "api.openalex.org":
        return len(whole["results"]) if "results" in whole else 1
    message = whole.get("message", whole)
    return len(message["items"]) if "items" in message else 1


def test_every_recording_is_read_or_out_of_scope(recordings):
    tally, wrong = Counter(), []
    for one in recordings:
        host, reason = urlsplit(one.url).netloc, out_of_scope(one.url)
        if one.status != 200:
            tally["refusal"] += 1  # test_transport serves these again
        elif reason:
            tally[reason] += 1
        else:
            try:
                page = READERS[host].read(one.request, one.answer)
            except Unreadable as error:
                wrong.append((one.file, one.url, str(error)))
                continue
            tally[host] += 1
            tally["records"] += len(page.records)
            if len(page.records) != expected(host, one.body):
                wrong.append((one.file, one.url, len(page.records), expected(host, one.body)))
    assert wrong == []
    assert sum(tally.values()) - tally["records"] == len(recordings)


def test_what_is_out_of_scope_is_refused_by_the_readers_too(recordings):
    refused = 0
    for one in recordings:
        host = urlsplit(one.url).netloc
        if one.status == 200 and host in READERS and "transform" not in one.url and out_of_scope(one.url):
            with pytest.raises(Unreadable):
                READERS[host].read(one.request, one.answer)
            refused += 1
    assert refused > 20


def test_records_say_what_the_recordings_say(recordings):
    records = {}
    for one in recordings:
        host = urlsplit(one.url).netloc
        if one.status == 200 and not out_of_scope(one.url) and host in READERS:
            for record in READERS[host].read(one.request, one.answer).records:
                records.setdefault((record.database, record.work.id), record)
    paper = records["Crossref", "doi:10.1371/journal.pone.0033693"].work
    assert paper.ids.doi == "10.1371/journal.pone.0033693"
    assert paper.year == 2012
    assert paper.authors
    assert paper.versions[0].venue == "PLoS ONE"
    assert paper.retraction is None  # it was corrected, which is no retraction
    preprint = records["Crossref", "doi:10.1101/2024.04.01.587366"]
    assert preprint.related == ("10.1016/j.xgen.2025.100814",)
    assert preprint.work.versions[0].name == "preprint"
    openalex = records["OpenAlex", "doi:10.1016/j.xgen.2025.100814"].work
    assert openalex.ids.openalex == "W4408732759"
    assert str(openalex.authors[0]) == "Herger, Michael"
    feed = records["arXiv", "arxiv:2403.16981"].work
    assert feed.versions[0].name == "v2"
    assert feed.title == "The Sample Complexity of Simple Binary Hypothesis Testing"
    old = records["arXiv", "arxiv:quant-ph/0201082"].work
    assert old.year == 2002
    # Every record has a name, and all but a few a title.
    assert all(record.work.id and ":" in record.work.id for record in records.values())


def test_pages_lead_on_as_recorded(recordings):
    """Where a recording is the page before another one, the reader asks for that one."""
    by_url = [(one.request.url, one.request.params) for one in recordings]
    led = 0
    for one in recordings:
        host = urlsplit(one.url).netloc
        if one.status == 200 and not out_of_scope(one.url) and host in READERS:
            following = READERS[host].read(one.request, one.answer).following(one.request)
            led += following is not None and any(
                following.url == url and following.params.items() >= params.items() for url, params in by_url
            )
    assert led >= 5
