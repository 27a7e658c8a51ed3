"""What a database is asked, and what it found: one form for all of them."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from trimtab.documents.work import Author, Work
from trimtab.literature.transport import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trimtab.literature.request import Request, ServerAnswer

_ARXIV: Final = re.compile(
    r"(?P<id>\d{4}\.\d{4,5}|[a-z][a-z.-]*(?:\.[A-Z]{2})?/\d{7})(?P<version>v\d+)?", re.IGNORECASE
)
_ARXIV_DOI: Final = re.compile(r"10\.48550/arxiv\.(.+)", re.IGNORECASE)
_PARTICLES: Final = frozenset({"van", "von", "der", "den", "de", "del", "della", "di", "da", "la", "le", "ten", "ter"})
_DOI: Final = re.compile(r"^(?:https?://(?:dx\.)?doi\.org/|doi:)", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]{1,200}>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Words to search for.

    Attributes:
        name: Which facets it joins, for the log.
        groups: Every group has to be met, by any of its terms.
        proposed: Of the terms, those a model proposed.
    """

    name: str
    groups: tuple[tuple[str, ...], ...]
    proposed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " AND ".join(f"({' OR '.join(map(quoted, group))})" for group in self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class FullText:
    """A place where a full text lies; ``licence`` is empty where none is stated."""

    url: str
    licence: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One record of one database, as it was found.

    Attributes:
        work: What it is about.
        database: Where.
        query: Name of the query.
        rank: Counted from 1 within that query.
        kind: The database's own word for it: "article", "preprint", "retraction" …
        texts: Where full texts lie.
        related: DOIs the database calls versions of the same work, such as its preprint.
        notices: DOIs of works this record is a notice of withdrawal for.
    """

    work: Work
    database: str
    query: str = ""
    rank: int = 0
    kind: str = ""
    texts: tuple[FullText, ...] = ()
    related: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPage:
    """One page of results.

    Attributes:
        records: In the database's order.
        total: How many there are in all, as it says; None if it does not.
        following: The request for the next page; None on the last.
        skipped: Entries that are no records, with the reason.
    """

    records: tuple[Found, ...] = ()
    total: int | None = None
    following: Request | None = None
    skipped: tuple[str, ...] = ()


class Database(Protocol):
    """Anything that can be searched over the wire."""

    @property
    def name(self) -> str:
        """Return its name."""
        ...

    def first(self, query: Query, limit: int) -> Request:
        """Return the request for the first page of at most ``limit`` records."""
        ...

    def read(self, request: Request, answer: ServerAnswer) -> ResultPage:
        """Return what an answer says.

        Raises:
            Unreadable: It is no page of this database.
        """
        ...


def quoted(term: str) -> str:
    """Return a term as a phrase, if it is more than one plain word."""
    return term if re.fullmatch(r"[\w+]+", term) else '"' + term.replace('"', " ") + '"'


def author(name: str) -> Author:
    """Return a person from a name written "Given Family" or "Family, Given"; particles belong to the family.

    >>> author("Ludwig van der Berg").family, author("Berg, Ludwig").given
    ('van der Berg', 'Ludwig')
    """
    name = " ".join(name.split())
    if "," in name:
        family, _, given = name.partition(",")
        return Author(family=family.strip(), given=given.strip())
    words = name.split(" ")
    start = len(words) - 1
    while start > 1 and words[start - 1].casefold() in _PARTICLES:
        start -= 1
    return Author(family=" ".join(words[start:]), given=" ".join(words[:start]))


def doi(text: str) -> str:
    """Return a DOI in lower case without a resolver."""
    return _DOI.sub("", text.strip()).lower()


def arxiv(text: str) -> tuple[str, str]:
    """Return an arXiv id without its version, and the version, from an id, an address or an arXiv DOI; empty if none.

    >>> arxiv("http://arxiv.org/abs/2403.16981v2")
    ('2403.16981', 'v2')
    """
    registered = _ARXIV_DOI.search(text)
    match = _ARXIV.search(registered[1] if registered else text)
    return (match["id"], match["version"] or "") if match else ("", "")


def plain(text: str) -> str:
    """Return text without markup and with single spaces."""
    return " ".join(html.unescape(_TAG.sub(" ", text)).split())


def name_of(*, doi: str = "", arxiv: str = "", other: str = "") -> str:
    """Return the id a work goes by here."""
    if arxiv:
        return f"arxiv:{arxiv}"
    return f"doi:{doi}" if doi else other


def json_of(answer: ServerAnswer) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Raises:
        Unreadable: It is cut, or something else.
    """
    try:
        return mapping(json.loads(answer.body), "the answer")
    except ValueError as error:
        raise Unreadable(f"the answer is not JSON: {error}") from error


def leading_on(request: Request, name: str, value: str) -> Request:
    """Return a request with one parameter, such as a cursor, put in or changed: it comes last."""
    others = tuple(pair for pair in request.params if pair[0] != name)
    return replace(request, params=(*others, (name, value)))


def mapping(value: object, what: str) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object.

    Raises:
        Unreadable: It is something else.
    """
    if not isinstance(value, dict):
        raise Unreadable(f"{what} is no JSON object")
    return value


def listed(value: object) -> Iterable[dict[str, Any]]:
    """Return the objects of a JSON array; none where it is missing or something else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def whole(value: object) -> int | None:
    """Return a whole number, also one written as text; None for anything else."""
    return int(value) if isinstance(value, int | str) and str(value).isdigit() else None
