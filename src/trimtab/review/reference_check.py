"""Do the works of a reference list exist, and are they what it says? Asked of bibliographies, then of databases.

An entry is held against a record by its identifier, else by its title. Nothing is called invented because it was not
found: only a database that was asked for an identifier of its own and has no such work says that there is none.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

from trimtab.claims import mentions, numbered_references
from trimtab.claims import question as asking
from trimtab.claims.wording import plain
from trimtab.errors import SearchError
from trimtab.literature.request import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trimtab.claims.name_registry import Registry
    from trimtab.claims.question import Question
    from trimtab.documents.parts import Document
    from trimtab.documents.work import Work
    from trimtab.literature.catalogue import DatabasePlace
    from trimtab.literature.transport import Transport

Word = Literal["agrees", "differs", "withdrawn", "does not exist", "off topic", "not found", "not looked up"]

ASKED: Final = ("arxiv", "crossref")
"""Databases that are asked for references."""

_YEAR: Final = re.compile(r"(?<![\d.])(?:19|20)\d\d(?![\d.]\d)")
_DOI: Final = re.compile(r"\b10\.\d{4,9}/[^\s>\])},;]+")
_TITLE: Final = 15
_ROWS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedReference:
    """One entry of a reference list.

    Attributes:
        number: In the list, counted from 1.
        entry: As printed.
        word: What came out.
        reasons: In words: what differs, what was asked.
        work: Id of the record it was held against; empty where there is none.
        origin: Where that record is from.
    """

    number: int
    entry: str
    word: Word
    reasons: tuple[str, ...] = ()
    work: str = ""
    origin: str = ""

    @property
    def wrong(self) -> bool:
        """Whether a reader should mend it."""
        return self.word in ("differs", "withdrawn", "does not exist", "off topic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A database that is asked, and the transport it is asked through."""

    place: DatabasePlace
    transport: Transport


def check(
    report: Document, works: Iterable[Work], registry: Registry, archives: Sequence[Archive] = ()
) -> tuple[CheckedReference, ...]:  # fmt: skip
    """Check every entry of a report's reference list.

    Args:
        report: The report or paper.
        works: Records that are here: of bibliographies and imports.
        registry: Known names, by which a work bears on the report's question or does not.
        archives: Databases to ask for what is not here: arXiv by its numbers, Crossref by DOI, or else by the entry.

    Raises:
        SearchError: A database cannot be asked, or goes on giving unreadable answers.
    """
    known = list(works)
    question = asking.asked_in(report, registry)
    found = []
    for number, entry in numbered_references.entries(report).items():
        record, origin, tried = _local(entry, known), "what is here", list[str]()
        for archive in archives if record is None else ():
            record, absent = _remote(entry, archive)
            tried.append(archive.place.id)
            origin = archive.place.id
            if absent:
                found.append(CheckedReference(number=number, entry=entry, word="does not exist", reasons=(absent,)))
            if record is not None or absent:
                break
        if not found or found[-1].number != number:
            found.append(_judged(number, entry, record, origin if record else "", tried, (question, registry)))
    return tuple(found)


def _judged(
    number: int, entry: str, record: Work | None, origin: str, tried: list[str], about: tuple[Question | None, Registry]
) -> CheckedReference:
    if record is None:
        word: Word = "not found" if tried else "not looked up"
        identifiers = (
            f"{', '.join(tried)} has no work with this title"
            if tried
            else "no record of it is here; no database was asked"
        )
        return CheckedReference(number=number, entry=entry, word=word, reasons=(identifiers,))
    word, reasons = "agrees", tuple(_differences(entry, record))
    off = _off_topic(record, *about)
    if record.retraction is not None:
        word = "withdrawn"
        reasons = (f"{record.retraction.kind} {record.retraction.notice}".strip(), *reasons)
    elif reasons:
        word = "differs"
    elif off:
        word, reasons = "off topic", (off,)
    return CheckedReference(number=number, entry=entry, word=word, reasons=reasons, work=record.id, origin=origin)


def _identifiers(entry: str) -> tuple[str, ...]:
    """Return the arXiv numbers and DOIs of an entry as ids of works."""
    found = [work for work, _, _ in mentions.addresses(entry)]
    return tuple(dict.fromkeys((*found, *(f"doi:{match.rstrip('.').lower()}" for match in _DOI.findall(entry)))))


def _local(entry: str, works: Sequence[Work]) -> Work | None:
    wanted = set(_identifiers(entry))
    for work in works:
        if wanted & {
            f"arxiv:{work.ids.arxiv}" if work.ids.arxiv else "",
            f"doi:{work.ids.doi}" if work.ids.doi else "",
        }:
            return work
    return None if wanted else next((work for work in works if _titled(entry, work)), None)


def _remote(entry: str, archive: Archive) -> tuple[Work | None, str]:
    """Return a database's record of an entry, or why there is no such work."""
    name, url = archive.place.id, archive.place.url
    ids = [
        one.partition(":")[2] for one in _identifiers(entry) if one.startswith("arxiv:" if name == "arxiv" else "doi:")
    ]
    if name == "arxiv" and ids:
        request = Request(url=url, params=(("id_list", ids[0]), ("max_results", "1")))
    elif name == "crossref":
        words = (("query.bibliographic", entry[:300]), ("rows", str(_ROWS)))
        request = Request(url=f"{url}/{quote(ids[0])}") if ids else Request(url=url, params=words)
    else:
        return None, ""
    reader = archive.place.open()
    try:
        _, page = archive.transport.fetch(request, lambda answer: reader.read(request, answer))
    except SearchError as error:
        if ids and "status 404" in error.message:
            return None, f"{name} has no work {ids[0]}"
        raise
    if ids:
        return (page.records[0].work, "") if page.records else (None, f"{name} has no work {ids[0]}")
    return next((one.work for one in page.records if _titled(entry, one.work)), None), ""


def _titled(entry: str, work: Work) -> bool:
    title = plain(work.title)
    return len(title) >= _TITLE and f" {title} " in f" {plain(entry)} "


def _differences(entry: str, work: Work) -> Iterator[str]:
    """Yield in words what an entry says that the record does not; an entry that is an address alone says nothing."""
    words = _DOI.sub(" ", re.sub(r"https?://\S+|arxiv[:\s]\s*[\d.v]+", " ", entry, flags=re.IGNORECASE))
    if len(re.findall(r"[^\W\d_]{2,}", words)) < 4:
        return
    if work.title and not _titled(words, work) and len(plain(work.title)) >= _TITLE:
        yield f"title: the record says {work.title!r}"
    years = {int(year) for year in _YEAR.findall(words)}
    right = {year for year in (work.year, *(version.year for version in work.versions)) if year}
    if years and right and not years & right:
        yield f"year: {', '.join(map(str, sorted(years)))}, the record says {', '.join(map(str, sorted(right)))}"
    if work.authors and _bare(work.authors[0].family) not in _bare(words):
        yield f"authors: the record's first is {work.authors[0].family}"


def _bare(text: str) -> str:
    """Return text in small letters without accents."""
    return "".join(one for one in unicodedata.normalize("NFKD", text).casefold() if not unicodedata.combining(one))


def _off_topic(work: Work, asked: Question | None, registry: Registry) -> str:
    """Return why a work does not bear on the question; "" where it does, or where its record is too short to tell."""
    if asked is None or not work.abstract:
        return ""
    named = {one.id for one in registry.find(f"{work.title}. {work.abstract}")}
    wanted = {*asked.methods, *asked.stressors, *asked.benchmarks}
    return "" if named & wanted else "its title and abstract name no method, stress or benchmark of the question"
