"""RIS, as reference managers and publishers export it: a tag a line, a record from TY to ER."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from trimtab.documents.bibliography.entry import BibliographyEntry, EntryPlace, FieldValue
from trimtab.documents.work import Author

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.documents.work import Work

TAG: Final = re.compile(r"(?P<tag>[A-Z][A-Z0-9])  ?- ?(?P<text>.*)")
PEOPLE: Final = ("AU", "A1")
Line = tuple[int, str, str]
"""Number from 1, tag, text."""


def read(text: str, name: str) -> tuple[Work, ...]:
    """Return the works of a RIS file.

    Raises:
        DocumentError: A tag stands outside a record, a record is not closed, or describes no work, or there is none;
            the message names file, line and key.
    """
    works = tuple(_entry(record, name).work() for record in _records(text, name))
    if not works and text.strip():
        raise EntryPlace(file=name).error("it holds no record", hint="a record begins with 'TY  - '")
    return works


def _records(text: str, name: str) -> Iterator[list[Line]]:
    """Yield records; a line without a tag goes on with the one before, and is a remark between records."""
    record: list[Line] = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = TAG.fullmatch(line.rstrip())
        place = EntryPlace(file=name, line=number, key=_key(record) if record else "")
        if match is None:
            if record and line.strip():
                first, tag, before = record[-1]
                record[-1] = (first, tag, f"{before} {line.strip()}".strip())
        elif record and match["tag"] == "TY":
            raise place.error(f"a record begins before the one of line {record[0][0]} ended with 'ER  -'")
        elif not record and match["tag"] != "TY":
            raise place.error(f"{match['tag']} stands outside a record", hint="a record begins with 'TY  - '")
        elif match["tag"] == "ER":
            yield record
            record = []
        else:
            record.append((number, match["tag"], match["text"].strip()))
    if record:
        raise EntryPlace(file=name, line=record[0][0], key=_key(record)).error("the record is not closed by 'ER  -'")


def _key(record: Sequence[Line]) -> str:
    fields = {tag: text for _, tag, text in reversed(record) if text}
    return fields.get("ID") or fields.get("AN") or f"record of line {record[0][0]}"


def _entry(record: Sequence[Line], name: str) -> BibliographyEntry:
    people = []
    for family, *given in (text.split(",") for _, tag, text in record if tag in PEOPLE and text):
        people.append(Author(family=family.strip(), given=" ".join(part.strip() for part in given if part.strip())))
    return BibliographyEntry(
        place=EntryPlace(file=name, line=record[0][0], key=_key(record)),
        values={tag: FieldValue(text, number) for number, tag, text in reversed(record) if text},
        authors=tuple(people),
    )
