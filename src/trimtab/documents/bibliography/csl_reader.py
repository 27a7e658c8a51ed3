"""CSL-JSON, as Zotero, Pandoc and doi.org write it: a list of items, or one item."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from trimtab.documents.bibliography.entry import READ, BibliographyEntry, EntryPlace, FieldValue
from trimtab.documents.work import Author

if TYPE_CHECKING:
    from trimtab.documents.work import Work

MARKUP: Final = re.compile(r"</?[\w:]+[^<>]*>")
Item = dict[str, Any]


def read(text: str, name: str) -> tuple[Work, ...]:
    """Return the works of a CSL-JSON file.

    Raises:
        DocumentError: It is no JSON, holds other things than items, an id is used twice, or an item describes no work;
            the message names file and key.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
    try:
        items = decoder.decode(text)
    except json.JSONDecodeError as error:
        raise EntryPlace(file=name, line=error.lineno).error(f"it is no JSON: {error.msg}") from error
    except ValueError as error:
        raise EntryPlace(file=name).error(str(error)) from error
    works: dict[str, Work] = {}
    for number, item in enumerate(items if isinstance(items, list) else [items], start=1):
        place = EntryPlace(file=name, key=f"item {number}")
        if not isinstance(item, dict):
            raise place.error(f"an item is an object, not {json.dumps(item)[:40]}")
        key = item.get("id", item.get("DOI"))
        if not isinstance(key, (str, int)) or key == "":
            raise place.error("the item has no id")
        if str(key) in works:
            raise place.error(f"the id {key!r} is used twice")
        works[str(key)] = _entry(EntryPlace(file=name, key=str(key)), item).work()
    return tuple(works.values())


def _entry(place: EntryPlace, item: Item) -> BibliographyEntry:
    people = item.get("author") or item.get("editor") or []
    if not isinstance(people, list):
        raise place.error("author is no list")
    return BibliographyEntry(
        place=place,
        values={name: FieldValue(_text(place, name, value)) for name, value in item.items() if value and name in READ},
        authors=tuple(_author(place, person) for person in people),
    )


def _text(place: EntryPlace, name: str, value: object) -> str:
    match value:
        case _ if name == "issued":
            return _year(place, value)
        case str() | int() | [str() | int()]:  # doi.org writes some texts as a list of one
            text = str(value[0] if isinstance(value, list) else value)
            return MARKUP.sub(" ", text) if name == "abstract" else text
    raise place.error(f"{name} is no text: {json.dumps(value)[:60]}")


def _year(place: EntryPlace, issued: object) -> str:
    match issued:
        case {"date-parts": [[(int() | str()) as year, *_], *_]}:
            return str(year)
        case {"date-parts": parts} if parts not in (None, [[]], [[None]]):
            raise place.error(f"date-parts is no date: {json.dumps(parts)[:60]}")
        case {**words}:
            return str(words.get("raw") or words.get("literal") or "")
    raise place.error(f"issued is no date: {json.dumps(issued)[:60]}")


def _author(place: EntryPlace, person: object) -> Author:
    match person:
        case {"literal": str(whole)} | {"name": str(whole)}:
            return Author(family=whole)
        case {"family": str(family), **rest}:
            particle = str(rest.get("non-dropping-particle") or rest.get("dropping-particle") or "")
            return Author(family=f"{particle} {family}".strip(), given=str(rest.get("given") or ""))
        case {"given": str(given)}:
            return Author(family=given)
        case _:
            raise place.error(f"an author has neither family nor literal: {json.dumps(person)[:60]}")


def _unique(pairs: list[tuple[str, Any]]) -> Item:
    item: Item = {}
    for name, value in pairs:
        if name in item:
            raise ValueError(f"an object holds {name!r} twice")
        item[name] = value
    return item


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")
