"""DBLP: JSON over ``dblp.org/search/publ/api``; no recorded answer of it was at hand.

Its documentation (dblp.org/faq/13501473, read in 2026) says: parameters q, format, h up to 1,000, f, c; the search
knows prefixes, ``|`` for or, a space for and; phrases are switched off. Answers that others have printed show the rest:
a hyphen asks for words side by side, numbers are text, what is alone stands in no array. There are no abstracts.
"""

from __future__ import annotations

import re
from typing import Any, Final

from trimtab.documents.work import Identifiers, Version, Work
from trimtab.literature import json_paths, metadata
from trimtab.literature.database import Database, Found, FullText, Query, ResultPage
from trimtab.literature.json_paths import at, objects, text
from trimtab.literature.transport import Unreadable

_NUMBERED: Final = re.compile(r"\s+\d{4}$")  # "Wei Wang 0001": DBLP numbers people of the same name
_PARTS: Final = re.compile(r"[^\w+]+")


def _ask(query: Query, size: int) -> dict[str, str]:
    """Return the parameters; a term of several words is joined, as DBLP's search takes it."""
    groups = ("|".join(_PARTS.sub("-", term).strip("-") for term in group) for group in query.groups)
    return {"q": " ".join(groups), "format": "json", "h": str(size), "f": "0", "c": "0"}


def _page(body: bytes) -> ResultPage:
    """Return the hits of an answer."""
    hits = at(json_paths.read(body), "result.hits")
    if not isinstance(hits, dict):
        raise Unreadable("the answer has no list of hits")
    infos = [hit["info"] for hit in objects(hits, "hit") if isinstance(hit.get("info"), dict)]
    return ResultPage(records=tuple(map(_record, infos)), total=json_paths.whole(hits.get("@total")))


def _record(info: dict[str, Any]) -> Found:
    address, kind, year = text(info, "ee", "ee.0"), text(info, "type"), json_paths.whole(info.get("year"))
    doi = metadata.doi(text(info, "doi"))
    ids = Identifiers(doi=doi, arxiv=metadata.arxiv_of(doi, address)[0])
    published = Version(
        name="preprint" if ids.arxiv or kind == "Informal and Other Publications" else "published",
        year=year,
        venue=text(info, "venue", "venue.0"),
        url=address or text(info, "url"),
        doi=doi,
    )
    names = (text(person, "text") for person in objects(info, "authors.author"))
    work = Work(
        id=metadata.work_id(ids, f"dblp:{text(info, 'key')}"),
        title=metadata.plain(text(info, "title")).rstrip("."),
        authors=tuple(metadata.author(_NUMBERED.sub("", name)) for name in names if name),
        year=year,
        ids=ids,
        versions=(published,),
    )
    texts = (FullText(url=address),) if address.endswith(".pdf") and info.get("access") == "open" else ()
    return Found(work=work, database="DBLP", kind=kind, texts=texts)


DBLP: Final = Database(
    id="dblp",
    name="DBLP",
    url="https://dblp.org/search/publ/api",
    interval_s=1.0,
    ask=_ask,
    parse=_page,
    offset="f",
)
