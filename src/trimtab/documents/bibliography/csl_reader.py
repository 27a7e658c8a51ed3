"""CSL-JSON, as Zotero, Pandoc and doi.org write it: a list of items, or one item."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from trimtab.documents.bibliography.entry import BibliographyEntry, EntryPlace
from trimtab.documents.work import Author

if TYPE_CHECKING:
    from trimtab.documents.work import Work

NAMES: Final = {"title": "title", "doi": "DOI", "url": "URL", "abstract": "abstract", "pubmed": "PMID"}
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
    fields = {field: _text(place, item, name) for field, name in NAMES.items() if item.get(name)}
    venue = next((name for name in ("container-title", "event-title", "publisher") if item.get(name)), None)
    fields |= {"venue": _text(place, item, venue)} if venue else {}
    fields |= {"year": year} if (year := _year(place, item.get("issued"))) else {}
    fields["abstract"] = " ".join(re.sub(r"</?[\w:]+[^<>]*>", " ", fields.get("abstract", "")).split())
    people = item.get("author") or item.get("editor") or []
    if not isinstance(people, list):
        raise place.error("author is no list")
    return BibliographyEntry(
        place=place, fields=fields, authors=tuple(_author(place, person) for person in people), lines={}
    )


def _text(place: EntryPlace, item: Item, name: str) -> str:
    value = item[name]
    # doi.org writes some texts as a list of one.
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    if not isinstance(value, (str, int)):
        raise place.error(f"{name} is no text: {json.dumps(value)[:60]}")
    return " ".join(str(value).split())


def _year(place: EntryPlace, issued: object) -> str:
    if issued is None:
        return ""
    if not isinstance(issued, dict):
        raise place.error(f"issued is no date: {json.dumps(issued)[:60]}")
    match issued.get("date-parts"):
        case [[(int() | str()) as year, *_], *_]:
            return str(year)
        case None | [[None]] | [[]]:
            return str(issued.get("raw") or issued.get("literal") or "")
        case other:
            raise place.error(f"date-parts is no date: {json.dumps(other)[:60]}")


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
