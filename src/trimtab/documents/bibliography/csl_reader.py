"""CSL-JSON, as Zotero, Pandoc and doi.org write it: a list of items, or one item."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from trimtab.documents.bibliography.entry import BibliographyEntry, EntryPlace
from trimtab.documents.work import Author

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.documents.work import Work

NAMES: Final = {"title": "title", "doi": "DOI", "url": "URL", "abstract": "abstract", "pubmed": "PMID"}
SPACE: Final = re.compile(r"[ \t\r\n]*")
Item = dict[str, Any]


def read(text: str, name: str) -> tuple[Work, ...]:
    """Return the works of a CSL-JSON file.

    Raises:
        DocumentError: It is no JSON, holds other things than items, an id is used twice, or an item describes no work;
            the message names file, line and key.
    """
    found: dict[str, EntryPlace] = {}
    works = []
    for place, item in _items(text, name):
        if place.key in found:
            raise place.error(f"the id is used twice, first on line {found[place.key].line}")
        found[place.key] = place
        works.append(_entry(place, item).work())
    return tuple(works)


def _items(text: str, name: str) -> Iterator[tuple[EntryPlace, Item]]:
    """Yield every item with the line it begins on, decoded one by one so that the line is known."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
    at = SPACE.match(text, 0).end()  # type: ignore[union-attr] # it matches nothing as well
    listed = text[at : at + 1] == "["
    at += listed
    while True:
        at = SPACE.match(text, at).end()  # type: ignore[union-attr]
        here = EntryPlace(file=name, line=text.count("\n", 0, at) + 1)
        if listed and text[at : at + 1] == "]":
            at += 1
            break
        try:
            item, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise EntryPlace(file=name, line=error.lineno).error(f"it is no JSON: {error.msg}") from error
        except ValueError as error:
            raise here.error(str(error)) from error
        yield _named(here, item), item
        at = SPACE.match(text, at).end()  # type: ignore[union-attr]
        if not listed:
            break
        if text[at : at + 1] not in (",", "]"):
            raise EntryPlace(file=name, line=text.count("\n", 0, at) + 1).error(
                "a comma or ] is missing behind an item"
            )
        at += text[at] == ","
    at = SPACE.match(text, at).end()  # type: ignore[union-attr]
    if text[at:]:
        raise EntryPlace(file=name, line=text.count("\n", 0, at) + 1).error(
            "something stands behind the end of the list"
        )


def _named(place: EntryPlace, item: object) -> EntryPlace:
    if not isinstance(item, dict):
        raise place.error(f"an item is an object, not {json.dumps(item)[:40]}")
    key = item.get("id", item.get("DOI"))
    if not isinstance(key, (str, int)) or key == "":
        raise place.error("the item has no id")
    return EntryPlace(file=place.file, line=place.line, key=str(key))


def _entry(place: EntryPlace, item: Item) -> BibliographyEntry:
    fields = {field: _text(place, item, name) for field, name in NAMES.items() if item.get(name)}
    venue = next((name for name in ("container-title", "event-title", "publisher") if item.get(name)), None)
    fields |= {"venue": _text(place, item, venue)} if venue else {}
    fields |= {"year": year} if (year := _year(place, item.get("issued"))) else {}
    fields["abstract"] = " ".join(re.sub(r"</?[\w:]+[^<>]*>", " ", fields.get("abstract", "")).split())
    people = item.get("author") or item.get("editor") or []
    if not isinstance(people, list):
        raise place.error("author is no list")
    return BibliographyEntry(place=place, fields=fields, authors=tuple(_author(place, one) for one in people), lines={})


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
    found: Item = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"an object holds {name!r} twice")
        found[name] = value
    return found


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")
