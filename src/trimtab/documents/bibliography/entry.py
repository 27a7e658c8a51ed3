"""One entry of a bibliography in any format, and the work it describes; what does not make sense is an error.

The readers only take files apart; what a DOI, a year or an arXiv number is, is decided here once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from trimtab.documents.work import Identifiers, Version, Work
from trimtab.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trimtab.documents.work import Author

DOI: Final = re.compile(r"(?:(?:https?://)?(?:dx\.)?doi\.org/|doi:\s*)?(?P<doi>10\.\d{4,9}/\S+)", re.IGNORECASE)
ARXIV_NUMBER: Final = re.compile(
    r"(?P<id>\d{4}\.\d{4,5}|[a-z-]+(?:\.[a-z]{2})?/\d{7})(?P<version>v\d+)?", re.IGNORECASE
)
ARXIV: Final = re.compile(
    rf"(?:https?://(?:\w+\.)?arxiv\.org/(?:abs|pdf|html)/|arxiv[:\s]\s*|10\.48550/arxiv\.){ARXIV_NUMBER.pattern}",
    re.IGNORECASE,
)
YEAR: Final = re.compile(r"(?P<year>1[5-9]\d\d|20\d\d)(?:[-–/].*|[a-z])?")  # noqa: RUF001 - "1991–2009"
# What BibTeX, RIS and CSL-JSON call a field, the most telling name first.
NAMES: Final = {
    "title": "title TI T1 CT ST BT",
    "year": "year date PY Y1 DA YR issued",
    "venue": "journal journaltitle booktitle container-title event-title T2 JO JF JA J2 publisher PB howpublished"
    " school institution",
    "doi": "doi DO DOI",
    "arxiv": "eprint",
    "url": "url UR URL L1 L2",
    "abstract": "abstract AB N2",
    "pubmed": "pmid PMID",
}
READ: Final = frozenset(" ".join(NAMES.values()).split())
UNDATED: Final = {"", "in press", "to appear", "forthcoming", "submitted", "n.d.", "preprint", "under review"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPlace:
    """Where an entry stands: file, line from 1 where the format has lines, and the key it goes by."""

    file: str
    line: int = 0
    key: str = ""

    def __str__(self) -> str:
        return self.file + (f", line {self.line}" if self.line else "") + (f", entry {self.key!r}" if self.key else "")

    def error(self, what: str, *, hint: str | None = None) -> DocumentError:
        """Return an error that names this place."""
        return DocumentError(f"{self}: {what}", hint=hint)


class FieldValue(NamedTuple):
    """What a field says, and the line it stands on, 0 where its entry's is all that is known."""

    text: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BibliographyEntry:
    """What a file says of one work, as plain text.

    Args:
        place: Where it stands.
        values: By the names that the format has for its fields; only those in ``READ`` are looked at.
        authors: In the order given.
    """

    place: EntryPlace
    values: Mapping[str, FieldValue]
    authors: tuple[Author, ...] = ()

    def work(self) -> Work:
        """Return the work this entry describes.

        Its id is ``doi:…``, else ``arxiv:…``, else the entry's key; ``found_by`` names file and key.

        Raises:
            DocumentError: It has no title, or its year, DOI or arXiv number is none.
        """
        title, venue, url, abstract, pubmed = (
            self._field(name).text for name in ("title", "venue", "url", "abstract", "pubmed")
        )
        if not title:
            raise self.place.error("it has no title", hint="a work without a title can be neither found nor cited")
        doi, (arxiv, revision), year = self._doi(), self._arxiv(), self._year()
        name = revision or ("published" if doi and not doi.startswith("10.48550/") else "")
        return Work(
            id=f"doi:{doi}" if doi else f"arxiv:{arxiv}" if arxiv else self.place.key,
            title=title,
            authors=self.authors,
            year=year,
            ids=Identifiers(doi=doi, arxiv=arxiv, pubmed=pubmed),
            versions=(Version(name=name, year=year, venue=venue, url=url, doi=doi),),
            abstract=abstract,
            found_by=(f"{self.place.file}#{self.place.key}",),
        )

    def _field(self, name: str) -> FieldValue:
        values = (self.values.get(theirs, FieldValue()) for theirs in NAMES[name].split())
        text, line = next((value for value in values if value.text), FieldValue())
        return FieldValue(" ".join(text.split()), line)

    def _error(self, value: FieldValue, what: str, hint: str) -> DocumentError:
        return replace(self.place, line=value.line or self.place.line).error(f"{value.text!r} is no {what}", hint=hint)

    def _doi(self) -> str:
        """Return the DOI: from a field of its own, else from an address that is a DOI's, as some exporters write it."""
        value = self._field("doi")
        match = DOI.fullmatch(value.text or self._field("url").text)
        if value.text and match is None:
            raise self._error(value, "DOI", "a DOI begins with 10. and holds a slash")
        return match["doi"].lower() if match else ""

    def _arxiv(self) -> tuple[str, str]:
        """Return number and version: from a field of its own, else from the address, the DOI or the venue."""
        value = self._field("arxiv")
        match = ARXIV.fullmatch(value.text) or ARXIV_NUMBER.fullmatch(value.text)
        if value.text and match is None:
            raise self._error(value, "arXiv number", "for example 2412.21199v2 or cs/0112017")
        others = (self._field(name).text for name in ("url", "doi", "venue"))
        match = match or next((match for text in others if (match := ARXIV.search(text))), None)
        return (match["id"].lower(), match["version"] or "") if match else ("", "")

    def _year(self) -> int | None:
        value = self._field("year")
        if value.text.strip("/").casefold() in UNDATED:
            return None
        match = YEAR.fullmatch(value.text)
        if match is None:
            raise self._error(value, "year", "write four digits, or leave it out")
        return int(match["year"])
