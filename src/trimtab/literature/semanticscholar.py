"""Semantic Scholar: JSON over ``graph/v1/paper/search/bulk``; a token leads on, a key is a header.

Without a key all users share one pool, so "429" is the normal answer of a busy hour: it is waited for.
"""

from __future__ import annotations

from typing import Any, Final

from trimtab.documents.work import Identifiers, Version, Work
from trimtab.literature import json_paths, metadata
from trimtab.literature.database import Database, Found, FullText, Query, ResultPage
from trimtab.literature.json_paths import objects, text
from trimtab.literature.transport import Unreadable

_FIELDS: Final = "title,abstract,authors,year,venue,externalIds,openAccessPdf,publicationTypes,publicationDate"


def _ask(query: Query, size: int) -> dict[str, str]:
    """Return the parameters; a page always has up to 1,000 records, whatever ``size`` says."""
    del size
    return {"query": query.written(" | ", " + "), "fields": _FIELDS}


def _page(body: bytes) -> ResultPage:
    """Return the papers of a list; the bulk search leads on by a token, the plain one by an offset."""
    whole = json_paths.read(body)
    if "data" not in whole and whole.get("total") != 0:
        raise Unreadable("the answer has no list of papers")
    entries = whole.get("data") or []
    papers = [paper for paper in objects(whole, "data") if paper.get("paperId")]
    if entries and not papers:
        raise Unreadable("the entries are no papers")
    token, offset = text(whole, "token"), text(whole, "next")
    return ResultPage(
        records=tuple(map(_record, papers)),
        total=json_paths.whole(whole.get("total")),
        leads_on={"token": token} if token else {"offset": offset} if offset else {},
        skipped=("an entry without a paper",) * (len(entries) - len(papers)),
    )


def _record(paper: dict[str, Any]) -> Found:
    doi, year = metadata.doi(text(paper, "externalIds.DOI")), json_paths.whole(paper.get("year"))
    ids = Identifiers(
        doi=doi,
        arxiv=text(paper, "externalIds.ArXiv") or metadata.arxiv_of(doi)[0],
        s2=text(paper, "paperId"),
        pubmed=text(paper, "externalIds.PubMed"),
    )
    preprint = ids.arxiv and (not doi or "arxiv" in doi)
    version = Version(
        name="preprint" if preprint else "published" if doi else "",
        year=year,
        venue=text(paper, "venue"),
        url=text(paper, "url") or f"https://www.semanticscholar.org/paper/{ids.s2}",
        doi=doi,
    )
    work = Work(
        id=metadata.work_id(ids, f"s2:{ids.s2}"),
        title=metadata.plain(text(paper, "title")),
        authors=tuple(metadata.author(name) for person in objects(paper, "authors") if (name := text(person, "name"))),
        year=year,
        ids=ids,
        versions=(version,),
        abstract=metadata.plain(text(paper, "abstract")),
    )
    address = text(paper, "openAccessPdf.url")
    licence = text(paper, "openAccessPdf.license", "openAccessPdf.status")
    texts = (FullText(url=address, licence=licence),) if address else ()
    return Found(work=work, database="Semantic Scholar", kind=text(paper, "publicationTypes.0"), texts=texts)


SEMANTIC_SCHOLAR: Final = Database(
    id="semanticscholar",
    name="Semantic Scholar",
    url="https://api.semanticscholar.org/graph/v1/paper/search/bulk",
    interval_s=1.0,
    ask=_ask,
    parse=_page,
    key_variable="S2_API_KEY",
    key_header="x-api-key",
)
