"""Builder: what every parser hands its pieces to, in reading order; it makes the text, its spans and its cells.

Characters that a reader cannot see are removed here, for all formats alike, and reported.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

from trimtab.documents import sentences
from trimtab.documents.formats import cell_grid
from trimtab.documents.parts import Document, Format, HiddenText, Position, Span, SpanKind

if TYPE_CHECKING:
    from trimtab.documents.formats.cell_grid import RawTable
    from trimtab.documents.formats.limits import DocumentLimits
    from trimtab.documents.parts import RowLabel, TableCell

# Joiners shape Arabic and Indic letters, so only what has no use between Latin letters is called hidden.
INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]+")
TAGS = re.compile("[\U000e0000-\U000e007f]+")
SOFT = str.maketrans(dict.fromkeys(map(ord, "\u00ad\x00")))
UNSEEN = re.compile(f"{INVISIBLE.pattern}|{TAGS.pattern}|[\u00ad\0]")
NARROW = re.compile(r"[\u00a0\u2009\u202f]|\\,")
# "37 323" with a space that does not break is one number, and so are digits that a thin space groups.
THOUSANDS = re.compile(rf"(?<![\w.,])\d{{1,3}}(?:(?:{NARROW.pattern})\d{{3}})+(?!\w)")
GROUPED = re.compile(r"(?<=\d)(?:[\u2009\u202f]|\\,)(?=\d{3}(?!\d))")
TABLE_LABEL = re.compile(r"^\s*(?P<label>(?:Table|TABLE|Tab\.)\s*(?:[A-Z]\.?)?(?:\d+(?:\.\d+)*|[IVX]+)\b)[.:|\s]*")


class Builder:
    """Collects one document.

    Args:
        sha256: Of the file's bytes.
        format_: Of the file.
        limits: What to stop at.
    """

    def __init__(self, sha256: str, format_: Format, limits: DocumentLimits) -> None:
        self.limits = limits
        self.title = ""
        self._sha256 = sha256
        self._format = format_
        self._length = 0
        self._pieces: list[str] = []
        self._spans: list[Span] = []
        self._cells: list[TableCell] = []
        self._labels: list[RowLabel] = []
        self._hidden: list[HiddenText] = []
        self._warnings: dict[str, None] = {}
        self._headings: list[tuple[int, str]] = []
        self._tables = 0

    def heading(self, text: str, level: int, position: Position) -> None:
        """Add a heading; it stands above everything until one of its level or higher."""
        clean = self.clean(text, position)
        self._headings = [(depth, above) for depth, above in self._headings if depth < level]
        self.add("heading", clean, position)
        if clean:
            self._headings.append((level, clean))
            self.title = self.title or clean

    def add(self, kind: SpanKind, text: str, position: Position) -> None:
        """Add a paragraph or a caption, a sentence a span, or code or an entry of the bibliography, one span."""
        text = self.clean(text, position)
        room = self.limits.characters - self._length
        if len(text) > room:
            self.warn(f"text after {self.limits.characters} characters was left out")
            text = text[: max(0, room)]
        if not text:
            return
        pieces = sentences.split(text) if kind in {"sentence", "caption"} else [(0, len(text))]
        section = " > ".join(above for _, above in self._headings)
        for start, end in pieces:
            span = Span(
                document=self._sha256,
                kind=kind,
                section=section,
                start=self._length + start,
                end=self._length + end,
                text=text[start:end],
                position=position,
            )
            self._spans.append(span)
        self._pieces.append(text)
        self._length += len(text) + 1

    def table(self, table: RawTable) -> None:
        """Add a table: its caption as spans, its body as cells; what is past a limit is left out with a warning.

        One without rows is no table.
        """
        if not table.rows:
            return
        self._tables += 1
        caption = self.clean(table.caption, table.position)
        self.add("caption", caption, table.position)
        match = TABLE_LABEL.match(caption)
        if match:
            label = re.sub(r"\s+", " ", match["label"])
            table = replace(table, label=label, caption=caption[match.end() :])
        else:
            table = replace(table, caption=caption)
        if len(self._cells) >= self.limits.cells:
            self.warn(f"tables after number {self._tables - 1} were left out: over {self.limits.cells} cells")
            return
        body = cell_grid.read(table, self._sha256, self._tables, self.limits.table_cells, self.clean)
        self._cells.extend(body.cells)
        self._labels.extend(body.labels)
        if body.warning:
            self.warn(body.warning)

    def hide(self, reason: str, text: str, position: Position) -> None:
        """Report text that was removed because a reader cannot see it."""
        squeezed = " ".join(text.split())
        if squeezed:
            self._hidden.append(HiddenText(reason=reason, text=squeezed[:1000], position=position))

    def warn(self, message: str) -> None:
        """Say that the document was read in part, and why."""
        self._warnings[message] = None

    def clean(self, text: str, position: Position) -> str:
        """Return a text on one line, normalized (NFC), without characters nobody sees; these are reported."""
        if text.isascii() and "\\," not in text:
            return " ".join(text.replace("\0", "").split())
        if UNSEEN.search(text):
            text = self._visible(text, position)
        if NARROW.search(text):
            comma = "" if self._format == "csv" else ","  # which parts the cells of a CSV file
            text = GROUPED.sub("", THOUSANDS.sub(lambda match: NARROW.sub(comma, match[0]), text))
        return " ".join(unicodedata.normalize("NFC", text).split())

    def _visible(self, text: str, position: Position) -> str:
        for match in TAGS.finditer(text):
            self.hide("unicode tags", "".join(chr(ord(letter) - 0xE0000) for letter in match[0]), position)
        untagged = TAGS.sub("", text.translate(SOFT)).removeprefix("\ufeff")
        for match in INVISIBLE.finditer(untagged):
            start, end = max(0, match.start() - 20), match.end() + 20
            self.hide("zero-width", INVISIBLE.sub("|", untagged[start:end]), position)
        return INVISIBLE.sub("", untagged)

    def finish(self, path: str) -> Document:
        """Return the document."""
        return Document(
            sha256=self._sha256,
            path=path,
            format=self._format,
            title=self.title,
            text="\n".join(self._pieces),
            spans=tuple(self._spans),
            cells=tuple(self._cells),
            labels=tuple(self._labels),
            hidden=tuple(self._hidden),
            warnings=tuple(self._warnings),
        )
