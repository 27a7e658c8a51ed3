"""Semantic Scholar: JSON over ``graph/v1/paper/search/bulk``; a token leads on, a key is a header.

Without a key all users share one pool, so "429" is the normal answer of a busy hour: it is waited for.
"""

from __future__ import annotations

import json
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
        return Request(url=self.url, params=(("query", words), ("fields", _FIELDS)), headers=self._headers())

    def _headers(self) -> tuple[tuple[str, str], ...]:
        return (("x-api-key", self.key),) if self.key else ()

    def read(self, request: Request, answer: ServerAnswer) -> ResultPage:
        """Return the papers of a list, a batch, or the one paper asked for."""
        try:
            whole = json.loads(answer.body)
        except ValueError as error:
            raise Unreadable(f"the answer is not JSON: {error}") from error
        papers, skipped = _papers(whole)
        following = None
        if isinstance(whole, dict) and (leading := _leading(whole)):
            other_params = tuple((name, value) for name, value in request.params if name not in ("token", "offset"))
            following = Request(url=request.url, params=(*other_params, leading), headers=request.headers)
        total = database.whole(whole.get("total")) if isinstance(whole, dict) else len(papers)
        return ResultPage(records=tuple(map(_record, papers)), total=total, following=following, skipped=skipped)


def _leading(whole: dict[str, Any]) -> tuple[str, str] | None:
    """Return the parameter of the next page: a token of the bulk search, an offset of the plain one."""
    if whole.get("token"):
        return "token", str(whole["token"])
    return ("offset", str(whole["next"])) if whole.get("next") and whole.get("data") else None


def _papers(whole: object) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Return the papers of an answer in any of its shapes, and what was passed over."""
    if isinstance(whole, list):
        entries = whole
    elif isinstance(whole, dict) and "paperId" in whole:
        entries = [whole]
    elif isinstance(whole, dict) and "recommendedPapers" in whole:
        entries = whole["recommendedPapers"]
    elif isinstance(whole, dict) and ("data" in whole or whole.get("total") == 0):
        entries = whole.get("data") or []
    else:
        raise Unreadable("the answer has no list of papers")
    inner = [_inner(entry) for entry in entries]
    known = [paper for paper in inner if paper is not None]
    foreign = any(entry is not None and not isinstance(entry, dict) for entry in entries)
    if foreign or (known and not any("paperId" in paper for paper in known)):
        raise Unreadable("the entries are no papers")
    papers = [paper for paper in known if paper.get("paperId")]
    return papers, ("an entry without a paper",) * (len(entries) - len(papers))


def _inner(entry: object) -> dict[str, Any] | None:
    """Return the paper of an entry: itself, or what a citation or a reference holds."""
    if not isinstance(entry, dict):
        return None
    inner = entry.get("citedPaper") or entry.get("citingPaper") or entry
    return inner if isinstance(inner, dict) else None


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
