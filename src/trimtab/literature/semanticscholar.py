"""Semantic Scholar: JSON over ``graph/v1/paper/search/bulk``; a token leads on, a key is a header.

Without a key all users share one pool, so "429" is the normal answer of a busy hour: it is waited for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab.documents.work import Identifiers, Version, Work
from trimtab.literature import database
from trimtab.literature.database import Found, FullText, Query, ResultPage
from trimtab.literature.request import Request
from trimtab.literature.transport import Unreadable

if TYPE_CHECKING:
    from trimtab.literature.request import ServerAnswer

_FIELDS: Final = "title,abstract,authors,year,venue,externalIds,openAccessPdf,publicationTypes,publicationDate"


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticScholar:
    """The paper search of Semantic Scholar."""

    url: str = "https://api.semanticscholar.org/graph/v1/paper/search/bulk"
    key: str = ""
    name: str = "Semantic Scholar"

    def first(self, query: Query, limit: int) -> Request:
        """Return the request for the first page; it always has up to 1,000 records, whatever ``limit`` says."""
        del limit
        words = " + ".join(f"({' | '.join(map(database.quoted, group))})" for group in query.groups)
        headers = (("x-api-key", self.key),) if self.key else ()
        return Request(url=self.url, params=(("query", words), ("fields", _FIELDS)), headers=headers)

    def read(self, request: Request, answer: ServerAnswer) -> ResultPage:
        """Return the papers of a list; the bulk search leads on by a token, the plain one by an offset."""
        whole = database.json_of(answer)
        if "data" not in whole and whole.get("total") != 0:
            raise Unreadable("the answer has no list of papers")
        entries = whole.get("data") or []
        papers = [paper for paper in database.listed(entries) if paper.get("paperId")]
        if entries and not papers:
            raise Unreadable("the entries are no papers")
        leading = next((name for name in ("token", "next") if whole.get(name) and papers), "")
        parameter = "offset" if leading == "next" else leading
        return ResultPage(
            records=tuple(map(_record, papers)),
            total=database.whole(whole.get("total")),
            following=database.leading_on(request, parameter, str(whole[leading])) if leading else None,
            skipped=("an entry without a paper",) * (len(entries) - len(papers)),
        )


def _record(paper: dict[str, Any]) -> Found:
    external = paper["externalIds"] if isinstance(paper.get("externalIds"), dict) else {}
    doi, year = database.doi(str(external.get("DOI") or "")), database.whole(paper.get("year"))
    number = str(external.get("ArXiv") or "") or (database.arxiv(doi)[0] if "arxiv" in doi else "")
    identity = str(paper["paperId"])
    types = paper["publicationTypes"] if isinstance(paper.get("publicationTypes"), list) else []
    preprint = bool(number) and (not doi or "arxiv" in doi)
    version = Version(
        name="preprint" if preprint else "published" if doi else "",
        year=year,
        venue=str(paper.get("venue") or ""),
        url=str(paper.get("url") or f"https://www.semanticscholar.org/paper/{identity}"),
        doi=doi,
    )
    work = Work(
        id=database.name_of(doi=doi, arxiv=number, other=f"s2:{identity}"),
        title=database.plain(str(paper.get("title") or "")),
        authors=tuple(
            database.author(str(one["name"])) for one in database.listed(paper.get("authors")) if one.get("name")
        ),
        year=year,
        ids=Identifiers(doi=doi, arxiv=number, s2=identity, pubmed=str(external.get("PubMed") or "")),
        versions=(version,),
        abstract=database.plain(str(paper.get("abstract") or "")),
    )
    return Found(work=work, database="Semantic Scholar", kind=str(types[0]) if types else "", texts=_texts(paper))


def _texts(paper: dict[str, Any]) -> tuple[FullText, ...]:
    opened = paper.get("openAccessPdf")
    if not isinstance(opened, dict) or not opened.get("url"):
        return ()
    return (FullText(url=str(opened["url"]), licence=str(opened.get("license") or opened.get("status") or "")),)
