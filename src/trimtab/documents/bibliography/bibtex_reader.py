"""BibTeX and BibLaTeX: bibtexparser takes a file apart; macros and ``crossref`` are put in, accents become letters.

bibtexparser reads on where a file is malformed: a missing comma makes one field of two, an entry whose type no brace
follows becomes a remark. Here each value has to be one, and such a remark is an error with its line.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bibtexparser import model
from bibtexparser.middlewares import names
from bibtexparser.splitter import Splitter
from pylatexenc.latex2text import LatexNodes2Text

from trimtab.documents.bibliography.entry import READ, BibliographyEntry, EntryPlace, FieldValue
from trimtab.documents.formats.latex_source import braces
from trimtab.documents.work import Author

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.documents.work import Work

# The beginning of an entry that is read as a remark: without its brace, or with something between @ and it.
LOST: Final = re.compile(
    r"@\s*(?:article|inproceedings|misc|book|techreport|phdthesis|incollection)\b|@\s*[A-Za-z]+\s*[{(]", re.IGNORECASE
)
NAME: Final = re.compile(r"[A-Za-z][\w:+.-]*")  # of a field, of a macro
# An unknown macro is read as its name in any other field: journals are often defined by a style that is not here.
NEEDED: Final = {"author", "editor", "title", "year", "date", "doi", "eprint", "crossref"}
# What an entry does not take over from the one that its crossref names.
OWN: Final = {"title", "doi", "url", "author", "editor", "eprint"}
_PLAIN: Final = LatexNodes2Text(math_mode="text", keep_comments=False)
_BRACED: Final = LatexNodes2Text(math_mode="text", keep_comments=False, keep_braced_groups=True)
for library in ("bibtexparser", "pylatexenc"):  # what they warn of is an error here, or read otherwise
    logging.getLogger(library).addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True, kw_only=True)
class RawEntry:
    """An entry as it stands in the file: values still LaTeX."""

    place: EntryPlace
    kind: str
    values: dict[str, FieldValue]

    def latex(self, name: str) -> str:
        """Return what a field says, "" where it is not there."""
        return self.values.get(name, FieldValue()).text


def read(text: str, name: str) -> tuple[Work, ...]:
    """Return the works of a BibTeX file; an entry that is there twice counts once.

    Raises:
        DocumentError: It is malformed, a key is used for two works, a field is given twice, a macro or ``crossref`` is
            unknown, or an entry describes no work; the message names file, line and key.
    """
    entries: dict[str, RawEntry] = {}
    for raw in _entries(text, name):
        first = entries.setdefault(raw.place.key.casefold(), raw)
        if first is not raw and plain(first.latex("title")) != plain(raw.latex("title")):
            raise raw.place.error(f"the key is used twice, first on line {first.place.line}")
    return tuple(_entry(_inherit(raw, entries)).work() for raw in entries.values() if raw.kind != "proceedings")


def _entries(text: str, name: str) -> Iterator[RawEntry]:
    """Yield every entry in order."""
    macros: dict[str, str] = {}
    for block in Splitter(text).split().blocks:
        place = EntryPlace(file=name, line=(block.start_line or 0) + 1)
        entry: model.Block | None = block
        if isinstance(block, (model.DuplicateBlockKeyBlock, model.DuplicateFieldKeyBlock)):
            entry = block.ignore_error_block  # what is twice is looked for here
        if isinstance(entry, model.Entry):
            yield _raw(entry, place, macros)
        elif isinstance(block, model.String):
            macros[block.key.casefold()] = _value(place, block.key, block.value, macros)
        elif isinstance(block, model.ParsingFailedBlock):
            key = re.match(r"@\s*\w+\s*[{(]\s*([^\s,{}()=]+)\s*,", block.raw or "")
            reason = getattr(block.error, "abort_reason", block.error)
            place = EntryPlace(file=name, line=place.line, key=key[1] if key else "")
            raise place.error(f"a brace, a quotation mark, a comma or = is missing: {reason}")
        elif isinstance(block, model.ImplicitComment) and (lost := LOST.search(block.comment)):
            line = place.line + block.comment.count("\n", 0, lost.start())
            raise EntryPlace(file=name, line=line).error("an entry needs an opening brace behind its type")


def _raw(entry: model.Entry, place: EntryPlace, macros: dict[str, str]) -> RawEntry:
    place = replace(place, key=entry.key or f"entry of line {place.line}")
    values: dict[str, FieldValue] = {}
    for field in entry.fields:
        here, name = replace(place, line=(field.start_line or 0) + 1), field.key.casefold()
        if not NAME.fullmatch(name):
            raise here.error(f"{field.key!r} is no name of a field; is a comma or a brace missing?")
        if name in values:
            raise here.error(f"the field {name!r} is given twice, first on line {values[name].line}")
        values[name] = FieldValue(_value(here, name, field.value, macros), here.line)
    return RawEntry(place=place, kind=entry.entry_type, values=values)


def _value(place: EntryPlace, name: str, text: str, macros: dict[str, str]) -> str:
    """Return a value, its pieces joined."""
    pieces = []
    for piece in _pieces(text):
        enclosed = piece[:1] + piece[-1:] in ("{}", '""') and len(piece) > 1
        if enclosed and all(depth >= 0 for _, depth in braces(piece[1:-1])):
            pieces.append(piece[1:-1])
        elif piece.isdecimal():
            pieces.append(piece)
        elif not NAME.fullmatch(piece):
            near = " ".join(piece[:40].split())
            raise place.error(
                f'a value is a number, a macro, {{...}} or "...", not {near!r}: a comma or a brace is missing'
            )
        elif piece.casefold() in macros or name not in NEEDED:
            pieces.append(macros.get(piece.casefold(), piece))
        else:
            raise place.error(f"the macro {piece!r} is not defined", hint="put the value in braces")
    return "".join(pieces)


def _inherit(raw: RawEntry, entries: dict[str, RawEntry]) -> RawEntry:
    """Return an entry with what its ``crossref`` says where it says nothing itself."""
    if "crossref" not in raw.values:
        return raw
    parent = entries.get(raw.latex("crossref").strip().casefold())
    if parent is None or parent is raw:
        raise raw.place.error(f"crossref {raw.latex('crossref')!r} names no other entry of this file")
    inherited = {name: value for name, value in parent.values.items() if name not in OWN}
    if title := parent.values.get("title"):
        inherited.setdefault("booktitle", title)
    return replace(raw, values=inherited | raw.values)


def _entry(raw: RawEntry) -> BibliographyEntry:
    archive = plain(raw.latex("archiveprefix")) or plain(raw.latex("eprinttype"))
    return BibliographyEntry(
        place=raw.place,
        values={
            name: FieldValue(plain(text), line)
            for name, (text, line) in raw.values.items()
            if name in READ and (name != "eprint" or archive.casefold() == "arxiv")
        },
        authors=tuple(authors(raw.latex("author") or raw.latex("editor"))),
    )


def authors(text: str) -> Iterator[Author]:
    """Yield the people of an ``author`` field; "others" is nobody.

    >>> [str(person) for person in authors("Yu, Zhaojian and Ludwig van Beethoven and {The Team}")]
    ['Yu, Zhaojian', 'van Beethoven, Ludwig', 'The Team']
    """
    if "\\" in text:  # bibtexparser takes an accent outside braces away, "and \\'Eva", so it becomes a letter before
        text = _printed(text, _BRACED)
    for name in names.split_multiple_persons_names(text):
        if name.strip() and name.casefold() != "others":
            parts = names.parse_single_name_into_parts(name, strict=False)
            family, given = " ".join(parts.von + parts.last), " ".join(parts.first + parts.jr)
            yield Author(family=plain(family), given=plain(given))


def _pieces(text: str) -> list[str]:
    """Return the parts of a value between ``#`` outside braces and quotation marks."""
    parts, last, quoted = [], 0, False
    for match, depth in braces(text):
        if depth == 0 and match[0] == '"':
            quoted = not quoted
        elif depth == 0 and match[0] == "#" and not quoted:
            parts.append(text[last : match.start()])
            last = match.end()
    return [part.strip() for part in (*parts, text[last:])]


def plain(text: str) -> str:
    """Return LaTeX as the letters it prints, without braces, spaces joined."""
    if re.search(r"[\\{$~]|--|``|''", text):
        text = _printed(text, _PLAIN).replace("{", "").replace("}", "")
    return " ".join(text.split())


def _printed(text: str, printer: LatexNodes2Text) -> str:
    try:
        return str(printer.latex_to_text(text, tolerant_parsing=True))
    except (AttributeError, LookupError, TypeError):  # a macro of pylatexenc's whose argument is missing
        return text.replace("\\", " ")
