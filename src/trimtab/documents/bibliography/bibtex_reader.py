"""BibTeX and BibLaTeX: bibtexparser takes a file apart; macros and ``crossref`` are put in, accents become letters.

bibtexparser reads on where a file is malformed: a missing comma makes one field of two, an entry whose type no brace
follows becomes a remark. Here each value has to be one, and such a remark is an error with its line.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.documents.bibliography.entry import BibliographyEntry, EntryPlace
from trimtab.documents.work import Author
from trimtab.errors import MissingExtraError

try:
    from bibtexparser import model
    from bibtexparser.middlewares import names
    from bibtexparser.splitter import Splitter
    from pylatexenc.latex2text import LatexNodes2Text
except ImportError as error:
    raise MissingExtraError("bibtexparser and pylatexenc", extra="evidence") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.documents.work import Work

MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# The beginning of an entry that is read as a remark: without its brace, or with something between @ and it.
LOST: Final = re.compile(
    r"@\s*(?:article|inproceedings|misc|book|techreport|phdthesis|incollection)\b|@\s*[A-Za-z]+\s*[{(]", re.IGNORECASE
)
MACRO: Final = re.compile(r"[A-Za-z][\w:+.-]*")
NAME: Final = re.compile(r"[A-Za-z][\w:+.-]*\Z")
# The first of these that an entry has says where it appeared.
VENUES: Final = ("journal", "journaltitle", "booktitle", "publisher", "howpublished", "school", "institution")
# An unknown macro is read as its name in any other field: journals are often defined by a style that is not here.
NEEDED: Final = {"author", "editor", "title", "year", "date", "doi", "eprint", "crossref"}
_PLAIN: Final = LatexNodes2Text(math_mode="text", keep_comments=False)
_BRACED: Final = LatexNodes2Text(math_mode="text", keep_comments=False, keep_braced_groups=True)
logging.getLogger("bibtexparser").addHandler(logging.NullHandler())  # what it warns of is an error here


@dataclass(slots=True)
class Raw:
    """An entry as it stands in the file: values still LaTeX."""

    place: EntryPlace
    kind: str
    values: dict[str, str]
    lines: dict[str, int]


def read(text: str, name: str) -> tuple[Work, ...]:
    """Return the works of a BibTeX file; an entry that is there twice counts once.

    Raises:
        DocumentError: It is malformed, a key is used for two works, a field is given twice, a macro or ``crossref`` is
            unknown, or an entry describes no work; the message names file, line and key.
    """
    entries: dict[str, Raw] = {}
    for raw in _entries(text, name):
        first = entries.setdefault(raw.place.key.casefold(), raw)
        if first is not raw and plain(first.values.get("title", "")) != plain(raw.values.get("title", "")):
            raise raw.place.error(f"the key is used twice, first on line {first.place.line}")
    return tuple(_entry(_inherit(raw, entries)).work() for raw in entries.values() if raw.kind != "proceedings")


def _entries(text: str, name: str) -> Iterator[Raw]:
    """Yield every entry in order."""
    macros = {month: month.capitalize() for month in MONTHS}
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


def _raw(entry: model.Entry, place: EntryPlace, macros: dict[str, str]) -> Raw:
    key = entry.key or f"entry of line {place.line}"
    raw = Raw(place=EntryPlace(file=place.file, line=place.line, key=key), kind=entry.entry_type, values={}, lines={})
    for field in entry.fields:
        here, name = EntryPlace(file=place.file, line=(field.start_line or 0) + 1, key=key), field.key.casefold()
        if not NAME.match(name):
            raise here.error(f"{field.key!r} is no name of a field; is a comma or a brace missing?")
        if name in raw.values:
            raise here.error(f"the field {name!r} is given twice, first on line {raw.lines[name]}")
        raw.values[name], raw.lines[name] = _value(here, name, field.value, macros), here.line
    return raw


def _value(place: EntryPlace, name: str, text: str, macros: dict[str, str]) -> str:
    """Return a value, its pieces joined."""
    pieces = []
    for piece in _pieces(text):
        inner = piece[1:-1] if piece[:1] + piece[-1:] in ("{}", '""') and len(piece) > 1 else None
        if inner is not None and all(depth >= 0 for _, depth in _marks(inner)):
            pieces.append(inner)
        elif piece.isdecimal():
            pieces.append(piece)
        elif not MACRO.fullmatch(piece):
            near = " ".join(piece[:40].split())
            raise place.error(
                f'a value is a number, a macro, {{...}} or "...", not {near!r}: a comma or a brace is missing'
            )
        elif piece.casefold() in macros or name not in NEEDED:
            pieces.append(macros.get(piece.casefold(), piece))
        else:
            raise place.error(f"the macro {piece!r} is not defined", hint="put the value in braces")
    return "".join(pieces)


def _inherit(raw: Raw, entries: dict[str, Raw]) -> Raw:
    """Return an entry with what its ``crossref`` says where it says nothing itself."""
    if "crossref" not in raw.values:
        return raw
    parent = entries.get(raw.values["crossref"].strip().casefold())
    if parent is None or parent is raw:
        raise raw.place.error(f"crossref {raw.values['crossref']!r} names no other entry of this file")
    values = {("booktitle" if name == "title" else name): text for name, text in parent.values.items()}
    lines = {("booktitle" if name == "title" else name): line for name, line in parent.lines.items()}
    for own in ("doi", "url", "author", "editor", "eprint"):
        values.pop(own, None)
    return Raw(place=raw.place, kind=raw.kind, values=values | raw.values, lines=lines | raw.lines)


def _entry(raw: Raw) -> BibliographyEntry:
    values = {name: plain(text) for name, text in raw.values.items() if name not in ("author", "editor")}
    fields = {name: values[name] for name in ("title", "doi", "url", "abstract") if values.get(name)}
    lines = dict(raw.lines)
    for name, others in {"year": ("year", "date"), "venue": VENUES, "pubmed": ("pmid",)}.items():
        alternative = next((other for other in others if values.get(other)), None)
        if alternative:
            fields[name], lines[name] = values[alternative], raw.lines[alternative]
    archive = (values.get("archiveprefix") or values.get("eprinttype") or "").casefold()
    if archive == "arxiv" and values.get("eprint"):
        fields["arxiv"], lines["arxiv"] = values["eprint"], raw.lines["eprint"]
    people = raw.values.get("author") or raw.values.get("editor") or ""
    return BibliographyEntry(place=raw.place, fields=fields, authors=tuple(authors(people)), lines=lines)


def authors(text: str) -> Iterator[Author]:
    """Yield the people of an ``author`` field; "others" is nobody.

    >>> [str(person) for person in authors("Yu, Zhaojian and Ludwig van Beethoven and {The Team}")]
    ['Yu, Zhaojian', 'van Beethoven, Ludwig', 'The Team']
    """
    if "\\" in text:  # bibtexparser takes an accent outside braces away, "and \\'Eva", so it becomes a letter before
        text = _BRACED.latex_to_text(text, tolerant_parsing=True)
    for name in names.split_multiple_persons_names(text):
        if name.strip() and name.casefold() != "others":
            parts = names.parse_single_name_into_parts(name, strict=False)
            family, given = " ".join(parts.von + parts.last), " ".join(parts.first + parts.jr)
            yield Author(family=plain(family), given=plain(given))


def _marks(text: str) -> Iterator[tuple[re.Match[str], int]]:
    """Yield braces, quotation marks and ``#``, each with how many braces are open behind it."""
    depth = 0
    for match in re.finditer(r'\\.|[{}"#]', text, re.DOTALL):
        depth += (match[0] == "{") - (match[0] == "}")
        yield match, depth


def _pieces(text: str) -> list[str]:
    """Return the parts of a value between ``#`` outside braces and quotation marks."""
    parts, last, quoted = [], 0, False
    for match, depth in _marks(text):
        if depth == 0 and match[0] == '"':
            quoted = not quoted
        elif depth == 0 and match[0] == "#" and not quoted:
            parts.append(text[last : match.start()])
            last = match.end()
    return [part.strip() for part in (*parts, text[last:])]


def plain(text: str) -> str:
    """Return LaTeX as the letters it prints, without braces, spaces joined."""
    if re.search(r"[\\{$~]|--|``|''", text):
        text = str(_PLAIN.latex_to_text(text, tolerant_parsing=True)).replace("{", "").replace("}", "")
    return " ".join(text.split())
