"""One entry of a bibliography in any format, and the work it describes; what does not make sense is an error.

The readers only take files apart; what a DOI, a year or an arXiv number is, is decided here once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.documents.work import Identifiers, Version, Work
from trimtab.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trimtab.documents.work import Author

DOI: Final = re.compile(r"(?:(?:https?://)?(?:dx\.)?doi\.org/|doi:\s*)?(?P<doi>10\.\d{4,9}/\S+)", re.IGNORECASE)
ARXIV: Final = re.compile(
    r"(?:https?://(?:\w+\.)?arxiv\.org/(?:abs|pdf|html)/|arxiv[:\s]\s*|10\.48550/arxiv\.)"
    r"(?P<id>\d{4}\.\d{4,5}|[a-z-]+(?:\.[a-z]{2})?/\d{7})(?P<version>v\d+)?",
    re.IGNORECASE,
)
EPRINT: Final = re.compile(
    r"(?:arxiv:)?(?P<id>\d{4}\.\d{4,5}|[a-z-]+(?:\.[a-z]{2})?/\d{7})(?P<version>v\d+)?", re.IGNORECASE
)
YEAR: Final = re.compile(r"(?P<year>1[5-9]\d\d|20\d\d)(?:[-–/].*|[a-z])?")  # noqa: RUF001 - "1991–2009"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BibliographyEntry:
    """What a file says of one work, as plain text.

    Args:
        place: Where it stands.
        fields: ``title``, ``year``, ``doi``, ``arxiv``, ``url``, ``venue``, ``abstract``, ``pubmed``; absent where the
            file says nothing.
        authors: In the order given.
        lines: Where each field stands, for messages.
    """

    place: EntryPlace
    fields: Mapping[str, str]
    authors: tuple[Author, ...] = ()
    lines: Mapping[str, int]

    def at(self, field: str) -> EntryPlace:
        """Return the place of a field."""
        return EntryPlace(file=self.place.file, line=self.lines.get(field, self.place.line), key=self.place.key)

    def work(self) -> Work:
        """Return the work this entry describes.

        Its id is ``doi:…``, else ``arxiv:…``, else the entry's key; ``found_by`` names file and key.

        Raises:
            DocumentError: It has no title, or its year, DOI or arXiv number is none.
        """
        get = self.fields.get
        if not get("title"):
            raise self.place.error("it has no title", hint="a work without a title can be neither found nor cited")
        doi, (arxiv, revision), year = self._doi(), self._arxiv(), self._year()
        ids = Identifiers(doi=doi, arxiv=arxiv, pubmed=get("pubmed", ""))
        name = revision or ("published" if doi and not doi.startswith("10.48550/") else "")
        version = Version(name=name, year=year, venue=get("venue", ""), url=get("url", ""), doi=doi)
        return Work(
            id=f"doi:{doi}" if doi else f"arxiv:{arxiv}" if arxiv else self.place.key,
            title=get("title", ""),
            authors=self.authors,
            year=year,
            ids=ids,
            versions=(version,),
            abstract=get("abstract", ""),
            found_by=(f"{self.place.file}#{self.place.key}",),
        )

    def _doi(self) -> str:
        text = self.fields.get("doi", "")
        match = DOI.fullmatch(text)
        if text and match is None:
            raise self.at("doi").error(f"{text!r} is no DOI", hint="a DOI begins with 10. and holds a slash")
        return match["doi"].lower() if match else ""

    def _arxiv(self) -> tuple[str, str]:
        """Return number and version: from a field of its own, else from the address, the DOI or the venue."""
        text = self.fields.get("arxiv", "")
        match = EPRINT.fullmatch(text) or ARXIV.fullmatch(text)
        if text and match is None:
            raise self.at("arxiv").error(f"{text!r} is no arXiv number", hint="for example 2412.21199v2 or cs/0112017")
        others = (self.fields.get(name, "") for name in ("url", "doi", "venue"))
        match = match or next((match for text in others if (match := ARXIV.search(text))), None)
        return (match["id"].lower(), match["version"] or "") if match else ("", "")

    def _year(self) -> int | None:
        text = self.fields.get("year", "")
        if text.casefold() in UNDATED:
            return None
        match = YEAR.fullmatch(text)
        if match is None:
            raise self.at("year").error(f"{text!r} is no year", hint="write four digits, or leave it out")
        return int(match["year"])
