"""RIS, as reference managers and publishers export it: a tag a line, a record from TY to ER."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from trimtab.documents.bibliography.entry import DOI, BibliographyEntry, EntryPlace
from trimtab.documents.work import Author

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.documents.work import Work

TAG: Final = re.compile(r"(?P<tag>[A-Z][A-Z0-9])  ?- ?(?P<text>.*)")
# For each field of ours the tags that may hold it, the most telling first.
TAGS: Final = {
    "title": ("TI", "T1", "CT", "ST", "BT"),
    "year": ("PY", "Y1", "DA", "YR"),
    "venue": ("T2", "JO", "JF", "JA", "J2", "PB"),
    "doi": ("DO",),
    "url": ("UR", "L1", "L2"),
    "abstract": ("AB", "N2"),
}
PEOPLE: Final = ("AU", "A1")
Line = tuple[int, str, str]
"""Number from 1, tag, text."""


def read(text: str, name: str) -> tuple[Work, ...]:
    """Return the works of a RIS file.

    Raises:
        DocumentError: A line stands outside a record, a record is not closed, or describes no work; the message names
            file, line and key.
    """
    return tuple(_entry(record, name).work() for record in _records(text, name))


def _records(text: str, name: str) -> Iterator[list[Line]]:
    record: list[Line] = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = TAG.fullmatch(line.rstrip())
        place = EntryPlace(file=name, line=number, key=_key(record) if record else "")
        if match is None:
            if line.strip() and not record:
                raise place.error(
                    f"{line.strip()[:60]!r} stands outside a record", hint="a record begins with 'TY  - '"
                )
            if line.strip():
                _go_on(record, line.strip())
        elif match["tag"] == "TY":
            if record:
                raise place.error(f"a record begins before the one of line {record[0][0]} ended with 'ER  -'")
            record = [(number, "TY", match["text"].strip())]
        elif not record:
            raise place.error(f"{match['tag']} stands outside a record", hint="a record begins with 'TY  - '")
        elif match["tag"] == "ER":
            yield record
            record = []
        else:
            record.append((number, match["tag"], match["text"].strip()))
    if record:
        raise EntryPlace(file=name, line=record[0][0], key=_key(record)).error("the record is not closed by 'ER  -'")


def _go_on(record: list[Line], text: str) -> None:
    """A line without a tag goes on with the one before."""
    number, tag, before = record[-1]
    record[-1] = (number, tag, f"{before} {text}".strip())


def _key(record: Sequence[Line]) -> str:
    fields = {tag: text for _, tag, text in reversed(record) if text}
    return fields.get("ID") or fields.get("AN") or f"record of line {record[0][0]}"


def _entry(record: Sequence[Line], name: str) -> BibliographyEntry:
    fields, lines = {}, {}
    for field, tags in TAGS.items():
        numbered = next(((number, text) for tag in tags for number, one, text in record if one == tag and text), None)
        if numbered:
            lines[field], fields[field] = numbered[0], " ".join(numbered[1].split())
    if "doi" not in fields:
        # Some exporters put the DOI's address in UR, and nothing else.
        found = DOI.fullmatch(fields.get("url", ""))
        fields |= {"doi": found["doi"]} if found else {}
    if "year" in fields:
        fields["year"] = fields["year"].strip("/")
    place = EntryPlace(file=name, line=record[0][0], key=_key(record))
    people = tuple(_author(text) for _, tag, text in record if tag in PEOPLE and text)
    return BibliographyEntry(place=place, fields=fields, authors=people, lines=lines)


def _author(text: str) -> Author:
    family, *given = (part.strip() for part in text.split(","))
    return Author(family=family, given=" ".join(part for part in given if part))
