r"""BibTeX and BibLaTeX: entries, ``@string``, concatenation by ``#``, ``crossref``; LaTeX accents become letters.

Text between entries is a remark, as in BibTeX. Everything else that is not an entry is an error with its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from trimtab.documents.bibliography.entry import BibliographyEntry, EntryPlace
from trimtab.documents.work import Author
from trimtab.errors import MissingExtraError

try:
    from pylatexenc.latex2text import LatexNodes2Text
except ImportError as error:
    raise MissingExtraError("pylatexenc", extra="evidence") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.documents.work import Work
    from trimtab.errors import DocumentError

MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
START: Final = re.compile(r"@\s*(?P<kind>[A-Za-z]+)\s*(?P<open>[{(])")
BRACELESS: Final = re.compile(
    r"@\s*(?:article|inproceedings|misc|book|techreport|phdthesis|incollection)\b", re.IGNORECASE
)
SPACE: Final = re.compile(r"\s*")
MARKS: Final = re.compile(r"\\.|[{}\"]", re.DOTALL)
KEY: Final = re.compile(r"\s*(?P<key>[^\s,{}\"=#%\\]*)\s*")
FIELD: Final = re.compile(r"\s*(?P<name>[A-Za-z][\w:+.-]*)\s*=\s*")
PIECE: Final = re.compile(r"\s*(?:(?P<number>\d+)|(?P<macro>[A-Za-z][\w:+.-]*)|(?P<open>[{\"]))")
NEXT: Final = re.compile(r"\s*(?P<mark>[#,})])")
MAX_DEPTH: Final = 50
# The first of these that an entry has says where it appeared.
VENUES: Final = ("journal", "journaltitle", "booktitle", "publisher", "howpublished", "school", "institution")
_PLAIN: Final = LatexNodes2Text(math_mode="text", keep_comments=False)


@dataclass(slots=True)
class Raw:
    """An entry as it stands in the file: values still LaTeX."""

    place: EntryPlace
    kind: str
    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)


def read(text: str, name: str) -> tuple[Work, ...]:
    """Return the works of a BibTeX file.

    Raises:
        DocumentError: It is malformed, a key or field is given twice, a macro or ``crossref`` is unknown, or an entry
            describes no work; the message names file, line and key.
    """
    entries: dict[str, Raw] = {}
    for raw in Scanner(text, name).entries():
        key = raw.place.key.casefold()
        if key in entries:
            raise raw.place.error(f"the key is used twice, first on line {entries[key].place.line}")
        entries[key] = raw
    return tuple(_entry(_inherit(raw, entries)).work() for raw in entries.values() if raw.kind != "proceedings")


class Scanner:
    """Takes a file apart.

    Args:
        text: The file.
        name: Its name, for messages.
    """

    def __init__(self, text: str, name: str) -> None:
        self._text, self._name, self._at = text, name, 0
        self._macros = {month: month.capitalize() for month in MONTHS}
        self._line_at, self._line = 0, 1

    def entries(self) -> Iterator[Raw]:
        """Yield every entry in order."""
        while (at := self._text.find("@", self._at)) >= 0:
            start = START.match(self._text, at)
            if start is None:
                # An address or a mention in a remark; an entry whose brace is missing looks like "@article key,".
                self._at = at + 1
                self._refuse_braceless(at)
                continue
            self._at = start.end()
            kind = start["kind"].casefold()
            if kind == "comment":
                self._skip(start)
            elif kind == "preamble":
                self._value(self._place(at))
                self._close(self._place(at), start["open"])
            elif kind == "string":
                self._string(start)
            else:
                yield self._entry(start, kind)

    def _refuse_braceless(self, at: int) -> None:
        if BRACELESS.match(self._text, at):
            raise self._place(at).error("an entry needs an opening brace behind its type")

    def _place(self, at: int, key: str = "") -> EntryPlace:
        # Places are asked for in ascending order, so lines are counted on from the last one.
        if at < self._line_at:
            self._line_at, self._line = 0, 1
        self._line += self._text.count("\n", self._line_at, at)
        self._line_at = at
        return EntryPlace(file=self._name, line=self._line, key=key)

    def _skip(self, start: re.Match[str]) -> None:
        if start["open"] == "{":
            self._braced(self._place(start.start()))

    def _string(self, start: re.Match[str]) -> None:
        place = self._place(start.start())
        name = self._match(FIELD, place, "@string needs a name and =")["name"]
        self._macros[name.casefold()] = self._value(place)
        self._close(place, start["open"])

    def _entry(self, start: re.Match[str], kind: str) -> Raw:
        place = self._place(start.start())
        key = self._match(KEY, place, "it has no key")["key"]
        if not key:
            raise place.error(f"an @{kind} without a key", hint="write @article{key, ...}")
        raw = Raw(place=EntryPlace(file=self._name, line=place.line, key=key), kind=kind)
        end = "}" if start["open"] == "{" else ")"
        while (mark := self._next(raw.place)) == ",":
            at = self._skip_space()
            if self._text[at : at + 1] not in ("}", ")"):
                self._field(raw)
        if mark != end:
            raise self._here(raw.place, f"{end} should close the entry")
        return raw

    def _field(self, raw: Raw) -> None:
        place = self._place(self._skip_space(), raw.place.key)
        name = self._match(FIELD, place, "a field needs a name and =; is a comma or a brace missing?")[
            "name"
        ].casefold()
        if name in raw.values:
            raise place.error(f"the field {name!r} is given twice, first on line {raw.lines[name]}")
        raw.lines[name] = place.line
        raw.values[name] = self._value(place)

    def _value(self, place: EntryPlace) -> str:
        """Return a value, its pieces joined."""
        pieces = [self._piece(place)]
        while (mark := NEXT.match(self._text, self._at)) and mark["mark"] == "#":
            self._at = mark.end()
            pieces.append(self._piece(place))
        return "".join(pieces)

    def _piece(self, place: EntryPlace) -> str:
        found = self._match(PIECE, place, 'a value is a number, a macro, {...} or "..."')
        if found["number"]:
            return found["number"]
        if found["macro"]:
            if found["macro"].casefold() not in self._macros:
                raise place.error(f"the macro {found['macro']!r} is not defined", hint="put the value in braces")
            return self._macros[found["macro"].casefold()]
        return self._braced(place) if found["open"] == "{" else self._quoted(place)

    def _braced(self, place: EntryPlace) -> str:
        return self._until(place, "}", "an opened brace is never closed")

    def _quoted(self, place: EntryPlace) -> str:
        return self._until(place, '"', "an opened quotation mark is never closed")

    def _until(self, place: EntryPlace, end: str, message: str) -> str:
        """Return what stands before ``end`` outside inner braces, and go behind it."""
        start, depth = self._at, 0
        for match in MARKS.finditer(self._text, start):
            mark = match[0]
            if mark == end and depth == 0:
                self._at = match.end()
                return self._text[start : match.start()]
            depth += (mark == "{") - (mark == "}")
            if depth < 0 or depth > MAX_DEPTH:
                raise place.error("braces do not match" if depth < 0 else f"braces are nested over {MAX_DEPTH} deep")
        raise place.error(message)

    def _skip_space(self) -> int:
        found = SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at

    def _next(self, place: EntryPlace) -> str:
        mark = self._match(NEXT, place, "a comma or a closing brace is missing")["mark"]
        if mark == "#":
            raise place.error("a # joins two values; there is none before it")
        return mark

    def _close(self, place: EntryPlace, opened: str) -> None:
        if self._next(place) != {"{": "}", "(": ")"}[opened]:
            raise place.error("a closing brace is missing")

    def _match(self, pattern: re.Pattern[str], place: EntryPlace, message: str) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._here(place, message)
        self._at = found.end()
        return found

    def _here(self, place: EntryPlace, message: str) -> DocumentError:
        near = " ".join(self._text[self._at : self._at + 40].split())
        line = self._place(self._at).line
        return EntryPlace(file=self._name, line=line, key=place.key).error(f"{message} (near {near!r})")


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

    >>> [str(one) for one in authors("Yu, Zhaojian and Ludwig van Beethoven and {The Team}")]
    ['Yu, Zhaojian', 'van Beethoven, Ludwig', 'The Team']
    """
    for name in _split(text, r"\s+and\s+"):
        if name.casefold() == "others" or not name:
            continue
        parts = _split(name, r"\s*,\s*")
        if len(parts) > 1:
            yield Author(family=plain(parts[0]), given=plain(" ".join((*parts[2:], *parts[1:2]))))
            continue
        words = _split(name, r"\s+")
        first = next((index for index, word in enumerate(words[:-1]) if word[:1].islower()), len(words) - 1)
        yield Author(family=plain(" ".join(words[first:])), given=plain(" ".join(words[:first])))


def _split(text: str, separator: str) -> list[str]:
    """Return the parts of a text between separators outside braces."""
    parts, depth, last = [], 0, 0
    for match in re.compile(rf"\\.|[{{}}]|{separator}", re.DOTALL).finditer(text):
        mark = match[0]
        depth += (mark == "{") - (mark == "}")
        if depth == 0 and mark not in ("{", "}") and not mark.startswith("\\"):
            parts.append(text[last : match.start()])
            last = match.end()
    return [part.strip() for part in (*parts, text[last:])]


def plain(text: str) -> str:
    """Return LaTeX as the letters it prints, without braces, spaces joined."""
    if re.search(r"[\\{$~]|--|``|''", text):
        text = str(_PLAIN.latex_to_text(text, tolerant_parsing=True)).replace("{", "").replace("}", "")
    return " ".join(text.split())
