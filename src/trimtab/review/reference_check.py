"""Do the works of a reference list exist, and are they what it says? Asked of bibliographies, then of databases.

An entry is held against a record by its identifier, else by its title. Nothing is called invented because it was not
found: only a database that was asked for an identifier of its own and has no such work says that there is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

from trimtab.claims.citation_marks import addresses
from trimtab.claims.question import facets_of
from trimtab.claims.wording import plain
from trimtab.errors import SearchError
from trimtab.literature.metadata import arxiv_year, unaccented
from trimtab.literature.request import Request
from trimtab.literature.transport import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from trimtab.claims.name_registry import Registry
    from trimtab.claims.question import Facet, Question
    from trimtab.documents.work import Work
    from trimtab.literature.database import Database, Found
    from trimtab.literature.request import ServerAnswer
    from trimtab.literature.transport import Transport

Word = Literal["agrees", "differs", "withdrawn", "does not exist", "off topic", "not found", "not looked up"]

ASKED: Final = ("arxiv", "crossref")
"""Databases that are asked for references."""

_YEAR: Final = re.compile(r"(?<![\d.])(?:19|20)\d\d(?![\d.]\d)")
_DOI: Final = re.compile(r"\b10\.\d{4,9}/[^\s>\])},;]+")
_TITLE: Final = 15
_BEGINS: Final = r"(?:^|[.,?!()\[\]\"\u201c\u2018']|[.)\]]\s*:|\b(?:19|20)\d\d[a-z]?)[\s\"\u201c\u2018'{*_]*"
"""What stands before a title. A colon does behind an initial ("Roe, R.: Title"); "Name: Title" is another title."""
_ENDS: Final = r"\W*?(?:$|[.,;?!)\]\"\u201d}*_]|(?=[(\[]|(?:arXiv|In|doi|https?)\b))"
_BODY: Final = re.compile(
    r"[^.,]{0,60}?(?:[a-z][A-Z]|\b(?:group|project|foundation|labs?|AI)\b)"
    r"|.{0,40}?\b(?i:team|collaboration|consortium|community)\b"
)
"""An author that is no person, at the beginning of an entry."""
_ROWS: Final = 5
_SHARE: Final = 0.75  # of a record's title in an entry; titles are shortened, and changed between versions
_PREPRINT_LATER: Final = 2  # years within which a preprint's publication may be cited instead
_PRINT_LATER: Final = 1  # years between a work online and in print


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
class LookUp:
    """What was found of an entry: a record and where it is from, or the word for there being none and the reasons."""

    record: Work | None = None
    origin: str = ""
    word: Word = "agrees"
    reasons: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Archive:
    """A database to ask, the transport it is asked through, and why it is asked no more; empty while it answers."""

    database: Database
    transport: Transport
    broken: str = ""


def check(
    entries: Mapping[int, str],
    works: Sequence[Work],
    registry: Registry,
    archives: Sequence[Archive] = (),
    question: Question | None = None,
) -> tuple[CheckedReference, ...]:
    """Check every entry of a reference list.

    A database that cannot be reached or goes on giving unreadable answers is not asked again; what it was to be asked
    about was not looked up.

    Args:
        entries: By their numbers, as printed.
        works: Records that are here: of bibliographies and imports.
        registry: Known names, by which a work bears on the question or does not.
        archives: Databases to ask for what is not here: arXiv by its numbers, Crossref by DOI, or else by the entry.
        question: Of the report.
    """
    facets = facets_of(question, registry) if question else ()
    checked = []
    for number, entry in entries.items():
        record = _local(entry, works)
        answer = LookUp(record=record, origin="what is here") if record else _asked(entry, archives)
        word, reasons, work = answer.word, answer.reasons, ""
        if answer.record is not None:
            work = answer.record.id
            word, reasons = _judged(entry, answer.record, facets, registry)
        checked.append(
            CheckedReference(number=number, entry=entry, word=word, reasons=reasons, work=work, origin=answer.origin)
        )
    return tuple(checked)


def _asked(entry: str, archives: Sequence[Archive]) -> LookUp:
    """Return what the databases know of an entry; one that cannot be reached is marked, so that it is asked no more."""
    tried, troubles = list[str](), list[str]()
    for archive in archives:
        name = archive.database.id
        try:
            answer = None if archive.broken else _remote(entry, archive)
        except SearchError as error:
            troubles.append(f"{name} could not be asked: {error.message}")
            archive.broken = "" if error.status else troubles[-1]
            continue
        if answer is not None and (answer.record or answer.reasons):
            return answer
        troubles += [archive.broken] if archive.broken else []
        tried += [name] if answer is not None else []
    if tried and not troubles:
        return LookUp(word="not found", reasons=(f"{', '.join(tried)} has no work with this title",))
    nobody = "no record of it is here; no database was asked about it"
    return LookUp(word="not looked up", reasons=tuple(troubles) or (nobody,))


def _judged(entry: str, record: Work, facets: Sequence[Facet], registry: Registry) -> tuple[Word, tuple[str, ...]]:
    """Return what a record says of an entry, and why."""
    differences = tuple(_differences(entry, record))
    if record.retraction is not None:
        return "withdrawn", (f"{record.retraction.kind} {record.retraction.notice}".strip(), *differences)
    if differences:
        return "differs", differences
    about = f"{record.title}. {record.abstract}"
    if record.abstract and facets and not any(facet.used(about, registry) for facet in facets):
        return "off topic", ("its title and abstract name no method, stress or benchmark of the question",)
    return "agrees", ()


def _identifiers(entry: str) -> tuple[str, ...]:
    """Return the arXiv numbers and DOIs of an entry as ids of works."""
    dois = (f"doi:{match.rstrip('.').lower()}" for match in _DOI.findall(entry))
    return tuple(dict.fromkeys((*addresses(entry), *dois)))


def _local(entry: str, works: Sequence[Work]) -> Work | None:
    """Return the record that is here: by an identifier, or by its title where the entry has none."""
    wanted = set(_identifiers(entry))
    return _nearest(
        entry, (work for work in works if (wanted & {*work.ids.addresses} if wanted else _titled(entry, work)))
    )


def _remote(entry: str, archive: Archive) -> LookUp | None:
    """Return what a database knows of an entry; None where the entry has nothing that it could be asked by."""
    name, url = archive.database.id, archive.database.url
    kind = "arxiv:" if name == "arxiv" else "doi:"
    ids = [address.removeprefix(kind) for address in _identifiers(entry) if address.startswith(kind)]
    if name == "arxiv" and ids:
        request = Request(url=url, params={"id_list": ids[0], "max_results": "1"})
    elif name == "crossref" and ids:
        request = Request(url=f"{url}/{quote(ids[0])}", may_be_absent=True)
    elif name == "crossref":
        request = Request(url=url, params={"query.bibliographic": entry[:300], "rows": str(_ROWS)})
    else:
        return None

    def records(answer: ServerAnswer) -> tuple[Found, ...]:
        return () if answer.status in ABSENT else archive.database.read(request, answer).records

    _, answered = archive.transport.fetch(request, records)
    if ids and not answered:
        return LookUp(word="does not exist", reasons=(f"{name} has no work {ids[0]}",))
    matching = (record.work for record in answered if ids or _titled(entry, record.work))
    return LookUp(record=_nearest(entry, matching), origin=name)


def _nearest(entry: str, works: Iterable[Work]) -> Work | None:
    """Return the work from which an entry differs least, the first of several: two records may share a number."""
    return min(works, key=lambda work: len([*_differences(entry, work)]), default=None)


def _titled(entry: str, work: Work) -> bool:
    """Whether an entry has a work's whole title, no part of a longer one, and its first author or its year."""
    words = plain(work.title).split()
    if len(" ".join(words)) < _TITLE or f" {' '.join(words)} " not in f" {plain(entry)} ":
        return False
    title = r"[\W_]+".join(map(re.escape, words))
    whole = re.search(f"{_BEGINS}{title}{_ENDS}", entry, re.IGNORECASE)
    return whole is not None and len([*_differences(entry, work)]) < 2


def _differences(entry: str, work: Work) -> Iterator[str]:
    """Yield in words what an entry says that the record does not; an entry that is an address alone says nothing."""
    words = _DOI.sub(" ", re.sub(r"https?://\S+|arxiv[:\s]\s*[\d.v]+", " ", entry, flags=re.IGNORECASE))
    if len(re.findall(r"[^\W\d_]{2,}", words)) < 4:
        return
    titled, named = plain(work.title).split(), set(plain(entry).split())
    # "Qwen2. 5" is Qwen2.5: a title is there, too, when its letters and digits are.
    letters, printed = _letters(work.title), _letters(words)
    there = letters in _letters(entry) or sum(word in named for word in titled) >= _SHARE * len(titled)
    if len(plain(work.title)) >= _TITLE and not there:
        yield f"title: the record says {work.title!r}"
    years = {int(year) for year in _YEAR.findall(words)}
    known = (work.year, arxiv_year(work.ids.arxiv), *(version.year for version in work.versions))
    right = {year for year in known if year}
    # A preprint may be cited by its publication, and a publication by a preprint that its record does not know.
    earlier, later = (0, _PREPRINT_LATER) if work.ids.arxiv else (_PREPRINT_LATER, _PRINT_LATER)
    if years and right and not any(year - earlier <= other <= year + later for year in right for other in years):
        yield f"year: {', '.join(map(str, sorted(years)))}, the record says {', '.join(map(str, sorted(right)))}"
    # A body signs for its people, "OpenAI" for Achiam and others, and they for it; some are called as their work is.
    own = _letters(words.split(maxsplit=1)[0])
    called = len(own) > 2 and letters.startswith(own) and not printed.startswith(letters)
    signed = called or _BODY.match(words)
    first = next(iter(work.authors), None)
    # The order of authors changes between versions, so any of them will do.
    any_other = {unaccented(person.family) for person in work.authors} & set(re.findall(r"\w+", unaccented(words)))
    if first and first.given and not (signed or any_other or unaccented(first.family) in unaccented(words)):
        yield f"authors: the record's first is {first.family}"


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, unaccented(text)))
